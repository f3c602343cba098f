"""A small SQLite file that several processes of one machine write to."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

WAIT = 60.0  # seconds for another process's write


def open_shared(path: Path, table: str) -> sqlite3.Connection:
    """The database, with the table that the statement makes if it is not there; safe for threads behind a lock.

    Readers wait for nobody. Each statement is durable against kill -9 when it returns; of a power cut the last ones may
    not survive.
    """
    database = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
    try:
        _insist(lambda: database.execute("PRAGMA journal_mode=WAL"))
        database.execute("PRAGMA synchronous=NORMAL")
        _insist(lambda: database.execute(table))
    except BaseException:
        database.close()
        raise
    return database


def _insist(act: Callable[[], object]) -> None:
    """SQLite's own waiting does not cover the change of the journal mode, which several workers make at once."""
    ends = time.monotonic() + WAIT
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > ends:
                raise
            time.sleep(0.02)
