"""What a person may type next."""

import shlex

from agent.ledger.tables import SessionRow


def resume_command(session: SessionRow, workspace: str = "") -> str:
    """How an unfinished session is taken up; ``workspace`` is what --workspace must say, if anything."""
    return f"nightlane resume {session.id}{_at(workspace)}"


def run_command(study_path: str, workspace: str = "") -> str:
    """How a new session goes on from what stands."""
    return f"nightlane run {shlex.quote(study_path)}{_at(workspace)}"


def status_command(session: SessionRow, workspace: str = "") -> str:
    return f"nightlane status {session.id}{_at(workspace)}"


def _at(workspace: str) -> str:
    return f" --workspace {shlex.quote(workspace)}" if workspace not in ("", ".") else ""
