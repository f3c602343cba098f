"""What judging costs a session, counted where all of its processes see it, and refused before a limit is passed.

A call's price is known only afterwards, so the most that it can cost is set aside first. What a killed process had set
aside stays counted: its call may have been charged.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common import row_digests
from common.errors import BadInput, BudgetSpent
from common.shared_sqlite import open_shared, open_to_read


@dataclass(frozen=True, slots=True)
class Usage:
    """What judging took: replies that came, also unreadable ones, judgements had from the cache, tokens and price."""

    calls: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls, self.cache_hits + other.cache_hits, self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens, self.dollars + other.dollars,
        )  # fmt: skip


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a session may still spend on judging, as its workers are told. ``file`` counts what it has spent.

    ``dollars``: for judging since the session began; None: no limit. It shrinks by ``dollars_per_hour``, the machine's
    price, from ``since``: seconds of the monotonic clock, which all processes of a machine share.
    """

    file: Path
    session: str
    dollars: float | None = None
    dollars_per_hour: float = 0.0
    since: float = 0.0

    def limit(self) -> float | None:
        """In dollars, as of now."""
        if self.dollars is None:
            return None
        return self.dollars - self.dollars_per_hour * max(0.0, time.monotonic() - self.since) / 3600


class SpendingMeter:
    """Counts one scoring's calls, and pays them from an allowance if there is one. Safe for threads."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        self._allowance, self._spent, self._pending = allowance, NO_USAGE, 0
        self._change = threading.Condition()
        self._database = _opened(allowance.file) if allowance else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()

    @property
    def spent(self) -> Usage:
        """Through this meter."""
        with self._change:
            return self._spent

    def count(self, more: Usage) -> None:
        """What costs nothing, or was paid."""
        with self._change:
            self._spent += more

    @contextlib.contextmanager
    def call(self, at_most: float) -> Iterator[list[Usage]]:
        """Set ``at_most`` dollars aside for one call; what the block appends is what it took. BudgetSpent before a
        call that could pass the limit, once no call is in flight whose change might still pay it."""
        taken: list[Usage] = []
        self._set_aside(at_most)
        try:
            yield taken
        finally:
            paid = sum(taken, NO_USAGE)
            with self._change:
                self._pending -= 1
                self._spent += paid
                self._book(paid.dollars - at_most)
                self._change.notify_all()

    def _set_aside(self, dollars: float) -> None:
        with self._change:
            while not self._book(dollars):
                if self._pending == 0:
                    limit = self._allowance.limit() if self._allowance else None
                    raise BudgetSpent(
                        f"judging may cost ${max(0.0, limit or 0.0):.2f} in this session and the next call could pass "
                        "that; raise dollars under [budget] and begin another session"
                    )
                self._change.wait()
            self._pending += 1

    def _book(self, dollars: float) -> bool:
        """Add to what the session has spent, unless that passes its limit. Taking back always succeeds."""
        allowance, database = self._allowance, self._database
        if allowance is None or database is None or dollars == 0:
            return True
        limit = allowance.limit() if dollars > 0 else None
        database.execute("INSERT OR IGNORE INTO spent VALUES (?, 0)", (allowance.session,))
        done = database.execute(
            "UPDATE spent SET dollars = dollars + ?1 WHERE session = ?2 AND (?3 IS NULL OR dollars + ?1 <= ?3)",
            (dollars, allowance.session, limit),
        )
        return done.rowcount == 1


def spent_on_judging(file: Path, session: str) -> float:
    """Dollars, what is set aside for calls in flight included; 0 where nothing was counted."""
    if not file.exists():
        return 0.0
    with _damage_is_said(file), contextlib.closing(open_to_read(file, sqlite3.Connection)) as database:
        _hold_to_digests(database)
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'spent'").fetchone():
            return 0.0  # it was made a moment ago
        row = database.execute("SELECT * FROM spent WHERE session = ?", (session,)).fetchone()
    return max(0.0, float(row["dollars"])) if row else 0.0


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = "CREATE TABLE IF NOT EXISTS spent (session TEXT PRIMARY KEY, dollars REAL NOT NULL)"
    with _damage_is_said(path):
        database = open_shared(path, table)
        row_digests.keep(database)
        _hold_to_digests(database)
        database.execute("SELECT * FROM spent").fetchall()
    return database


def _hold_to_digests(database: sqlite3.Connection) -> None:
    database.row_factory = row_digests.checked(database, lambda table, name: sqlite3.DatabaseError(f"row {name}"))


@contextlib.contextmanager
def _damage_is_said(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise
        raise BadInput(
            f"{path} counts what judging cost, and cannot be read ({error}); restore it, or set it aside with "
            "nightlane doctor --repair, and what was spent before is no longer counted"
        ) from None
