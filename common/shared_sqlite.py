"""A small SQLite file that several processes of one machine write to."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from common.errors import BadInput

WAIT = 60.0  # seconds for another process's write
Kind = TypeVar("Kind", bound=sqlite3.Connection)
COPIES = 5  # at most, of a database that is being written to


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


def open_to_read(path: Path, kind: type[Kind]) -> Kind:
    """The database as it is now, opened as this ``kind`` of connection, also for somebody who may not write beside
    it. BadInput where it may not be read.

    SQLite needs the two files that a writer keeps beside a database, and can neither make them where nothing may be
    written nor do without them where the last rows are in one of them. Then a copy is read.
    """
    if not os.access(path, os.W_OK) and not path.with_name(f"{path.name}-shm").exists():
        return _copy(
            path, kind
        )  # where a file could be made beside it, it would be the reader's, and its owner's no more
    where = f"{path.resolve().as_uri()}?mode=ro"
    try:
        database = sqlite3.connect(
            where, uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False, factory=kind
        )
        with contextlib.ExitStack() as unless_it_works:
            unless_it_works.callback(database.close)
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            unless_it_works.pop_all()
        return database
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        return _copy(path, kind)


def _copy(path: Path, kind: type[Kind]) -> Kind:
    """In memory, with what its write-ahead log holds."""
    with tempfile.TemporaryDirectory(prefix="nightlane-") as folder:
        here = Path(folder) / path.name
        for _ in range(COPIES):
            before = path.stat()
            for name in (path, _log_of(path)):
                _copy_file(name, here.with_name(name.name))
            after = path.stat()
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                break  # nothing moved from the log to the database meanwhile
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=kind)
        with contextlib.closing(sqlite3.connect(here)) as copied:
            copied.backup(memory)
    return memory


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _copy_file(there: Path, here: Path) -> None:
    here.unlink(missing_ok=True)
    try:
        shutil.copyfile(there, here)
    except FileNotFoundError:
        return  # without a log, all rows are in the database
    except PermissionError as error:
        raise BadInput(
            f"{there} holds rows of {there.name.removesuffix('-wal')} and you may not read it ({error.strerror}); ask "
            "its owner for permission"
        ) from None


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
