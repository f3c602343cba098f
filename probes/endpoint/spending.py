"""Counts what judging costs a session, for all of its processes, and refuses a call that could exceed the limit.

A call's price is known only afterwards, so its highest price is reserved first. What a killed process had reserved
stays counted: its call may have been charged.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.errors import BadInput, BudgetSpent
from common.sqlite import row_digests
from common.sqlite.shared import open_shared, open_to_read


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What judging used: replies (unreadable ones included), cache hits, tokens and dollars."""

    calls: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            cache_hits=self.cache_hits + other.cache_hits,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            dollars=self.dollars + other.dollars,
        )


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a session may spend on judging. Sent to the workers. ``file``: the database of what was spent.

    ``dollars``: for judging since the session began, as of the time ``since``; None for no limit. From then on the
    machine uses up ``dollars_per_hour`` of them. ``since`` is on the monotonic clock, which all processes of a machine
    share.
    """

    file: Path
    session: str
    dollars: float | None = None
    dollars_per_hour: float = 0.0
    since: float = 0.0

    def limit(self) -> float | None:
        """Dollars that judging may have cost by now."""
        if self.dollars is None:
            return None
        return self.dollars - self.dollars_per_hour * max(0.0, time.monotonic() - self.since) / 3600


class SpendingMeter:
    """Counts what one scoring or examination costs, and books it on an allowance, if any. Safe for threads."""

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
        """What this meter has counted."""
        with self._change:
            return self._spent

    def count(self, more: Usage) -> None:
        """Count a cache hit or a call that was paid."""
        with self._change:
            self._spent += more

    @contextlib.contextmanager
    def call(self, at_most: float) -> Iterator[list[Usage]]:
        """Reserve ``at_most`` dollars for one call; the block appends what it used. BudgetSpent if the call could
        exceed the limit and no call in flight can free reserved money."""
        taken: list[Usage] = []
        self._reserve(at_most)
        try:
            yield taken
        finally:
            paid = sum(taken, NO_USAGE)
            with self._change:
                self._pending -= 1
                self._spent += paid
                self._book(paid.dollars - at_most)
                self._change.notify_all()

    def _reserve(self, dollars: float) -> None:
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
        """Add to what the session has spent; False if that exceeds its limit. A negative amount is always booked."""
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
    """Dollars spent, with what is reserved for calls in flight; 0 if nothing was counted."""
    if not file.exists():
        return 0.0
    with _damage_reported(file), contextlib.closing(open_to_read(file, sqlite3.Connection)) as database:
        _check_digests(database)
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'spent'").fetchone():
            return 0.0  # the file was made a moment ago
        row = database.execute("SELECT * FROM spent WHERE session = ?", (session,)).fetchone()
    return max(0.0, float(row["dollars"])) if row else 0.0


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = "CREATE TABLE IF NOT EXISTS spent (session TEXT PRIMARY KEY, dollars REAL NOT NULL)"
    with _damage_reported(path):
        database = open_shared(path, table)
        row_digests.record_digests(database)
        _check_digests(database)
        database.execute("SELECT * FROM spent").fetchall()
    return database


def _check_digests(database: sqlite3.Connection) -> None:
    database.row_factory = row_digests.checking_row_factory(
        database, lambda table, name: sqlite3.DatabaseError(f"row {name}")
    )


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise
        raise BadInput(
            f"{path} counts what judging cost, and cannot be read ({error}); restore it, or set it aside with "
            "nightlane doctor --repair, and what was spent before is no longer counted"
        ) from None
