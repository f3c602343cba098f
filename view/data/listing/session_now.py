"""A session as it is now, for pages and terminals that follow it."""

import os
from dataclasses import dataclass
from pathlib import Path

from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.study.load import Study
from agent.workspace.folder import Workspace
from view.data.listing.live import Live, live
from view.data.listing.sessions import SessionLine, session_line
from view.data.next_commands import resume_command, run_command


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNow:
    """``go_on``: the command to type next; None while it runs."""

    session: SessionLine
    live: Live
    go_on: str | None


def session_now(workspace: Workspace, ledger: LedgerOverview, row: SessionRow, study: Study) -> SessionNow:
    line = session_line(workspace, ledger, row, ledger.status_counts().get(row.id, {}))
    return SessionNow(
        session=line,
        live=live(workspace, ledger, row, study, line.holder),
        go_on=_go_on(workspace.root, row, line.state),
    )


def _go_on(root: Path, row: SessionRow, state: str) -> str | None:
    if state == "running":
        return None
    if state == "interrupted":
        return resume_command(row, str(root))
    return run_command(os.path.normpath(root / row.study_path), str(root))
