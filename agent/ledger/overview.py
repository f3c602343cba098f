"""Reads the ledger for lists: a few columns of many rows, without decoding the others."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.ledger.database.codecs import decode
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

    def decision_summaries(self, session: str, last: int = -1) -> list[DecisionSummary]:
        """The decisions of a session, oldest first. ``last``: only so many of the latest; -1 for all."""
        where = "session = ?"
        values: tuple[object, ...] = (session,)
        if last >= 0:
            where = "rowid IN (SELECT rowid FROM decisions WHERE session = ? ORDER BY rowid DESC LIMIT ?)"
            values = (session, last)
        self._require_unaltered("decisions", where, values)
        rows = self._db.tuples(
            f"SELECT id, turn, status, reason, time, row FROM decisions WHERE {where} ORDER BY rowid", values
        )
        return [
            DecisionSummary(name, turn, status, reason, time, json.loads(text))
            for name, turn, status, reason, time, text in rows
        ]

    def last_decision(self) -> int:
        """The number of the last decision of all sessions; 0 before the first."""
        return int(self._db.execute("SELECT COALESCE(MAX(rowid), 0) FROM decisions").fetchone()[0])

    def last_notes(self, session: str, number: int) -> list[tuple[str, str]]:
        """(time, text) of the last lines of a session's progress log other than decisions, the latest first."""
        rows = self._db.execute(
            "SELECT * FROM events WHERE session = ? AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.id = "
            "events.id) ORDER BY rowid DESC LIMIT ?",
            (session, number),
        )
        return [(row["time"], row["text"]) for row in rows]
