"""Commands that a message suggests to type next."""

import shlex

from agent.ledger.tables import SessionRow


def resume_command(session: SessionRow, workspace: str = "") -> str:
    """Resumes an unfinished session; ``workspace`` is the value of --workspace, if one is needed."""
    return f"nightlane resume {session.id}{_at(workspace)}"


def run_command(study_path: str, workspace: str = "") -> str:
    """Starts a new session from the incumbent."""
    return f"nightlane run {shlex.quote(study_path)}{_at(workspace)}"


def status_command(session: SessionRow, workspace: str = "") -> str:
    return f"nightlane status {session.id}{_at(workspace)}"


def report_command(session: str, workspace: str = "") -> str:
    return f"nightlane report {session}{_at(workspace)}"


def _at(workspace: str) -> str:
    return f" --workspace {shlex.quote(workspace)}" if workspace not in ("", ".") else ""
