"""A session as it is now, for pages and terminals that follow it."""

from dataclasses import dataclass

from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.study.load import Study
from agent.workspace.folder import Workspace
from view.data.listing.live import Live, live
from view.data.listing.sessions import SessionLine, session_line
from view.terminal.next_commands import resume_command, run_command


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
        go_on=_go_on(str(workspace.root), row, line.state),
    )


def _go_on(root: str, row: SessionRow, state: str) -> str | None:
    if state == "running":
        return None
    return resume_command(row, root) if state == "interrupted" else run_command(row.study_path, root)
