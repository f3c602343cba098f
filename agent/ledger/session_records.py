"""The ledger's recipes, sessions and lines of the progress log. agent/ledger/store.py adds what sessions measured and
decided."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.ledger.database.codecs import decode, encode
from agent.ledger.database.connection import LedgerDatabase
from agent.ledger.database.file import damage_error
from agent.ledger.tables import CheckRow, ExaminationRow, SessionRow
from lanes import Recipe


class SessionRecords(LedgerDatabase):
    def __init__(self, path: Path, read_only: bool = False) -> None:
        super().__init__(path, read_only)
        # by digest
        self._recipes: dict[str, Recipe] = {}
        self._effects: dict[str, str] = {}

    # sessions

    def begin(
        self,
        session: SessionRow,
        start: Recipe,
        check: CheckRow | None = None,
        examination: ExaminationRow | None = None,
    ) -> None:
        """Record a session together with what a resumed session could not find again, all or none: where its start
        comes from (``check``), and the examination of its scorer."""
        with self._transaction():
            self._insert_recipe(start)
            self._insert("sessions", encode(session))
            if check is not None:
                self._insert("checks", encode(check))
            if examination is not None:
                self._insert("examinations", encode(examination))

    def session(self, session_id: str | None = None) -> SessionRow | None:
        """The session of that id, or the latest."""
        clause, values = ("WHERE id = ?", (session_id,)) if session_id else ("ORDER BY rowid DESC", ())
        row = self._db.execute(f"SELECT * FROM sessions {clause} LIMIT 1", values).fetchone()
        return decode(SessionRow, row) if row else None

    def sessions(self) -> list[str]:
        """The ids in the order in which the sessions began, even if the clock was set back."""
        return [row["id"] for row in self._db.execute("SELECT id FROM sessions ORDER BY rowid")]

    def sessions_before(self, session_id: str) -> int:
        """The number of earlier sessions under the question of this one."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM sessions s JOIN sessions m ON s.question = m.question "
            "WHERE m.id = ? AND (s.started, s.rowid) < (m.started, m.rowid)",
            (session_id,),
        ).fetchone()
        return int(row[0])

    def unfinished(self) -> str | None:
        """The last session that has not ended."""
        row = self._db.execute(
            "SELECT id FROM sessions WHERE finished IS NULL ORDER BY started DESC, rowid DESC LIMIT 1"
        ).fetchone()
        return row["id"] if row else None

    def set_limits(self, session_id: str, limits: Mapping[str, Any]) -> None:
        """Store the budget limits that the command line gives instead of the study's."""
        self._db.execute("UPDATE sessions SET limits = ? WHERE id = ?", (json.dumps(dict(limits)), session_id))

    def finish(self, session_id: str, time: str, reason: str) -> None:
        self._db.execute(
            "UPDATE sessions SET finished = ?, finish_reason = ? WHERE id = ? AND finished IS NULL",
            (time, reason, session_id),
        )

    def mark_alive(self, session_id: str, period: float, now: float) -> None:
        """Note that the session runs at ``now``, in the period that began at ``period``.

        Both are seconds since the epoch. Their difference is time that passed, even if the clock was set meanwhile.
        """
        self._db.execute(
            "INSERT INTO periods VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen",
            (session_id, period, now),
        )

    def unused_period(self, session_id: str, now: float) -> float:
        """``now``, or the next moment at which no period of the session began.

        A clock that was set back may come to the same moment twice.
        """
        taken = {
            row["started"] for row in self._db.execute("SELECT started FROM periods WHERE session = ?", (session_id,))
        }
        while now in taken:
            now = math.nextafter(now, math.inf)
        return now

    def active_seconds(self, session_id: str, until: float = math.inf) -> float:
        """The seconds that the session ran until a moment (seconds since the epoch), without the time between a kill
        and a resume.

        Older versions measured by the wall clock, so one of their periods may end before it begins; it counts as 0.
        """
        row = self._db.execute(
            "SELECT SUM(MAX(MIN(seen, :until) - started, 0)) FROM periods WHERE session = :id AND started < :until",
            {"id": session_id, "until": until},
        ).fetchone()
        return float(row[0] or 0.0)

    # lines of the progress log

    def record_event(self, event_id: str, session_id: str, time: str, text: str) -> None:
        """Record a line of the progress log that is not a decision."""
        with self._transaction():
            self._insert_event(event_id, session_id, time, text)

    def _insert_event(self, event_id: str, session_id: str, time: str, text: str) -> None:
        self._insert("events", {"id": event_id, "session": session_id, "time": time, "text": text})

    def events(self) -> list[tuple[str, str, str]]:
        """(session, time, text) of all sessions, oldest first."""
        return [(session, time, text) for _, session, time, text in self.events_after(0)]

    def events_after(self, number: int) -> Iterator[tuple[int, str, str, str]]:
        """(number, session, time, text) of all sessions after a number, oldest first."""
        found = self._db.execute("SELECT rowid, * FROM events WHERE rowid > ? ORDER BY rowid", (number,))
        return ((row["rowid"], row["session"], row["time"], row["text"]) for row in found)

    def session_of_last_event(self) -> str | None:
        row = self._db.execute("SELECT session FROM events ORDER BY rowid DESC LIMIT 1").fetchone()
        return row["session"] if row else None

    # recipes

    def recipe(self, digest: str) -> Recipe:
        if digest not in self._recipes:
            self._recipes[digest] = Recipe.from_toml(self._recipe_text(digest))
        return self._recipes[digest]

    def effect(self, digest: str) -> str:
        """The effect (``Recipe.effect``) of the recipe with this digest. The recipe itself is not kept in memory."""
        if digest not in self._effects:
            self._effects[digest] = Recipe.from_toml(self._recipe_text(digest)).effect
        return self._effects[digest]

    def _recipe_text(self, digest: str) -> str:
        row = self._db.execute("SELECT * FROM recipes WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise damage_error(self.path, f"its recipe {digest} is gone")
        return str(row["toml"])

    def record_recipe(self, recipe: Recipe) -> None:
        """Record a recipe that becomes the incumbent without a proposal, as after a retraction."""
        with self._transaction():
            self._insert_recipe(recipe)

    def _insert_recipe(self, recipe: Recipe) -> None:
        self._insert("recipes", {"digest": recipe.digest, "toml": recipe.to_toml()})
