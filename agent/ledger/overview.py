"""The ledger as lists read it: many rows, a few columns of each, nothing decoded that a list does not show."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.ledger.codecs import decode
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow


class DecisionSummary(NamedTuple):
    """A decision without its comparison. ``row``: its line of results.tsv."""

    id: str
    turn: int
    status: str
    reason: str
    time: str
    row: Mapping[str, Any]


class LedgerOverview(Ledger):
    def session_rows(self) -> list[SessionRow]:
        """All sessions, oldest first."""
        return [decode(SessionRow, row) for row in self._db.execute("SELECT * FROM sessions ORDER BY rowid")]

    def status_counts(self) -> dict[str, dict[str, int]]:
        """By session: how many decisions after its baseline have each status; A/A tests are not counted."""
        found: dict[str, dict[str, int]] = {}
        rows = self._db.tuples(
            "SELECT session, status, COUNT(*) FROM decisions "
            "WHERE turn != 0 AND reason NOT IN ('calibration', 'false_alarm') GROUP BY session, status"
        )
        for session, status, number in rows:
            found.setdefault(session, {})[status] = number
        return found

    def decision_summaries(self, session: str) -> list[DecisionSummary]:
        """The decisions of a session, oldest first."""
        self._require_unaltered("decisions", "session = ?", (session,))
        rows = self._db.tuples(
            "SELECT id, turn, status, reason, time, row FROM decisions WHERE session = ? ORDER BY rowid", (session,)
        )
        return [
            DecisionSummary(name, turn, status, reason, time, json.loads(text))
            for name, turn, status, reason, time, text in rows
        ]

    def last_notes(self, session: str, number: int) -> list[tuple[str, str]]:
        """(time, text) of the last lines of a session's progress log that are no decisions, the latest first."""
        rows = self._db.execute(
            "SELECT * FROM events WHERE session = ? AND id NOT IN (SELECT id FROM decisions WHERE session = ?) "
            "ORDER BY rowid DESC LIMIT ?",
            (session, session, number),
        )
        return [(row["time"], row["text"]) for row in rows]
