"""The sessions of a workspace, the latest first, and one of them as it is now."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.study.load import Study
from agent.workspace.folder import Workspace
from view.data.listing.live import Live, live
from view.data.next_commands import resume_command, run_command
from view.data.session_record import holder_of

STATUSES = ("KEEP", "DISCARD", "CRASH", "RETRACT")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """``state``: running, finished or interrupted; ``holder``: the process that runs it. ``decisions``: how many have
    each status."""

    id: str
    study: str
    state: str
    holder: int | None
    started: str
    finished: str | None
    finish_reason: str | None
    active_hours: float
    decisions: Mapping[str, int]

    @property
    def total(self) -> int:
        """Decisions on changes; a RETRACT is about one of them."""
        return sum(number for status, number in self.decisions.items() if status != "RETRACT")


def session_lines(workspace: Workspace) -> list[SessionLine]:
    """All sessions, the latest first; empty for a workspace without a ledger."""
    if not workspace.ledger.exists():
        return []
    with LedgerOverview(workspace.ledger, read_only=True) as ledger:
        counts = ledger.status_counts()
        return [session_line(workspace, ledger, row, counts.get(row.id, {})) for row in reversed(ledger.session_rows())]


def session_line(
    workspace: Workspace, ledger: LedgerOverview, row: SessionRow, counts: Mapping[str, int]
) -> SessionLine:
    holder = holder_of(workspace, ledger, row)
    return SessionLine(
        id=row.id,
        study=row.study,
        state="finished" if row.finished else "interrupted" if holder is None else "running",
        holder=holder,
        started=row.started,
        finished=row.finished,
        finish_reason=row.finish_reason,
        active_hours=round(ledger.active_seconds(row.id) / 3600, 4),
        decisions={status: counts.get(status, 0) for status in STATUSES},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNow:
    """``go_on``: the command that continues; None while the session runs."""

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
