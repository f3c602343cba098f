"""The file that a ledger lies in: made as a whole, its rows with checksums, and damage told in one sentence.

What can still be read of a damaged one is taken over by ``nightlane doctor --repair`` (agent/ledger/repair.py).
"""

import contextlib
import shlex
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from common.errors import BadInput
from common.files import sync

SMALLEST = 512
"""Bytes of the smallest SQLite file with a table: what is shorter was cut off while it was made, and holds nothing."""


def damage_error(path: Path, why: object) -> BadInput:
    """What to say of a ledger that cannot be trusted."""
    return BadInput(f"{path} is damaged ({why}); restore it, or {repair_hint(path)}")


def repair_hint(path: Path) -> str:
    """What takes over the rows of a ledger that can be read, as a person types it."""
    return f"take over what can be read of it with nightlane doctor --repair --workspace {_root(path)}"


def holds_sessions(path: Path) -> bool:
    """Whether there is a ledger at all: a file that was cut off while it was made is none yet."""
    try:
        if path.stat().st_size < SMALLEST:
            return False
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is not None
    except FileNotFoundError:
        return False
    except (OSError, sqlite3.Error):
        return True  # whoever opens it says what is wrong


def lost_sessions(path: Path) -> list[str]:
    """Folders of sessions that the ledger beside them does not have. It must have had them: it is gone, or older than
    they are, as a copy without its write-ahead log (ledger.sqlite-wal) is."""
    there = sorted(file.parent.name for file in path.parent.glob("session-*/checkpoint.sqlite"))
    if path.is_dir() or not there or not holds_sessions(path):
        return [] if path.is_dir() else there
    known = session_ids(path)
    if known is None:
        return []  # whoever opens it says what is wrong
    return [name for name in there if name.removeprefix("session-") not in known]


def session_ids(path: Path) -> set[str] | None:
    """The ids of a ledger's sessions; None where it cannot be read."""
    if not holds_sessions(path):
        return set()
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return {name for (name,) in database.execute("SELECT id FROM sessions")}
    except sqlite3.Error:
        return None


def lost_sessions_message(path: Path, sessions: Sequence[str]) -> str:
    """What to say of them, as it goes on after the ledger's name."""
    return (
        f"does not have {', '.join(sessions)}, of which the folder is there: it is lost, or a copy without its "
        f"{path.name}-wal; restore both files, or move the folder away and begin anew: results.tsv keeps the rows"
    )


def no_session_error(path: Path) -> BadInput:
    """What to say where there is no ledger, or none with tables: it was lost, or nothing began here."""
    if missing := lost_sessions(path):
        return BadInput(f"{path} {lost_sessions_message(path, missing)}")
    recorded = sorted(folder.name for folder in path.parent.glob("session-*") if folder.is_dir())
    apart = f" ({', '.join(recorded)} is a record to read, without a ledger)" if recorded else ""
    gone = "holds no session yet" if path.exists() else "does not exist, so there is no session here"
    return BadInput(f"{path} {gone}{apart}; start one with nightlane run STUDY")


def create_ledger(path: Path, schema: str) -> None:
    """Make a ledger that is not there yet, or was cut off while it was made. Beside it first, then renamed: a reader
    finds all of its tables or no file. The caller holds the workspace."""
    with contextlib.suppress(OSError):
        if path.stat().st_size >= SMALLEST or path.is_dir():
            return
    temporary = path.with_name(f".{path.name}.tmp")
    for leftover in path.parent.glob(f".{path.name}.tmp*"):
        leftover.unlink()
    with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(f"BEGIN; {schema} COMMIT;")
        database.execute("PRAGMA journal_mode=WAL")
    for name in (f"{path.name}-wal", f"{path.name}-shm"):  # of a ledger that is gone: they are no part of the new one
        with contextlib.suppress(FileNotFoundError):
            (path.parent / name).rename(path.parent / f"{name}.stray")
    temporary.replace(path)
    sync(path.parent)


def require_sound(path: Path) -> None:
    """sqlite3.DatabaseError when a file is no sound database; reads all of it."""
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        if (found := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that a file is not what it wrote, and not that it cannot write it."""
    code = getattr(error, "sqlite_errorcode", None)
    return "decode" in str(error) if code is None else code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _root(path: Path) -> str:
    return shlex.quote(str(path.parent.parent))
