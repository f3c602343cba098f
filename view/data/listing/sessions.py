"""The sessions of a workspace, the latest first."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.workspace.folder import Workspace
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
    """Empty for a workspace without a ledger."""
    if not workspace.ledger.exists():
        return []
    with LedgerOverview(workspace.ledger, read_only=True) as ledger:
        counts = ledger.status_counts()
        return [_line(workspace, ledger, row, counts.get(row.id, {})) for row in reversed(ledger.session_rows())]


def _line(workspace: Workspace, ledger: LedgerOverview, row: SessionRow, counts: Mapping[str, int]) -> SessionLine:
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
