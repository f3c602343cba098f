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
    """Open the database and create the table where it is missing. Threads may share the connection behind a lock.

    Readers never wait. A statement that returned survives kill -9; the last ones may be lost in a power cut.
    """
    database = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
    try:
        _retry_while_busy(lambda: database.execute("PRAGMA journal_mode=WAL"))
        database.execute("PRAGMA synchronous=NORMAL")
        _retry_while_busy(lambda: database.execute(table))
    except BaseException:
        database.close()
        raise
    return database


def open_to_read(path: Path, kind: type[Kind]) -> Kind:
    """Open the database to read, as this ``kind`` of connection. BadInput without permission to read it.

    SQLite needs two files beside a database in WAL mode. Where they are missing and the user may not write, a copy in
    memory is read.
    """
    if not os.access(path, os.W_OK) and not path.with_name(f"{path.name}-shm").exists():
        return _copy(path, kind)  # files that SQLite makes here would belong to the reader, and shut out the owner
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
    """A copy in memory, including the write-ahead log."""
    with tempfile.TemporaryDirectory(prefix="nightlane-") as folder:
        here = Path(folder) / path.name
        for _ in range(COPIES):
            before = path.stat()
            for name in (path, _log_of(path)):
                _copy_file(name, here.with_name(name.name))
            after = path.stat()
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                break  # no checkpoint happened during the copy
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


def _retry_while_busy(action: Callable[[], object]) -> None:
    """Retry while the database is busy: SQLite's own timeout does not cover the change of the journal mode."""
    ends = time.monotonic() + WAIT
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > ends:
                raise
            time.sleep(0.02)
