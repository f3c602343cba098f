"""The file of a ledger: how it is created, what it holds, and the messages when it is lost or damaged.

``nightlane doctor --repair`` salvages what can be read of a damaged one (agent/ledger/database/repair.py).
"""

import contextlib
import shlex
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from common.errors import BadInput
from common.files import remove_log, set_aside, sync
from common.sqlite.shared import open_to_read

SMALLEST = 512
"""Bytes of the smallest SQLite file with a table. A shorter file was cut off while it was created and holds nothing."""


REPAIRED = "ledger-repaired"
"""The folder of a repaired ledger until that has replaced the damaged one; complete as soon as it exists."""


def damage_error(path: Path, why: object) -> BadInput:
    return BadInput(f"{path} is damaged ({why}); restore it, or {repair_hint(path)}")


def repair_hint(path: Path) -> str:
    """How a person salvages the rows that can be read."""
    return f"take over what can be read of it with {repair_command(path)}"


def repair_command(path: Path) -> str:
    return f"nightlane doctor --repair --workspace {_root(path)}"


def holds_sessions(path: Path) -> bool:
    """Whether there is a ledger; a file that was cut off while it was created does not count."""
    if repair_is_unfinished(path):
        return True  # whoever opens it finishes the repair, or says what is wrong
    try:
        if path.stat().st_size < SMALLEST:
            return False
        with contextlib.closing(open_to_read(path, sqlite3.Connection)) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is not None
    except FileNotFoundError:
        return False
    except (OSError, sqlite3.Error, BadInput):
        return True  # opening it reports what is wrong


def lost_sessions(path: Path) -> list[str]:
    """The session folders whose session the ledger does not have, because it was lost or replaced by an older copy. A
    copy without its write-ahead log (ledger.sqlite-wal) counts as older, too.
    """
    folders = sorted(file.parent.name for file in path.parent.glob("session-*/checkpoint.sqlite"))
    if path.is_dir() or not folders or not holds_sessions(path):
        return [] if path.is_dir() else folders
    known = session_ids(path)
    if known is None:
        return []  # opening it reports what is wrong
    return [name for name in folders if name.removeprefix("session-") not in known]


def session_ids(path: Path) -> set[str] | None:
    """The ids of a ledger's sessions; None if it cannot be read."""
    if not holds_sessions(path):
        return set()
    try:
        with contextlib.closing(open_to_read(path, sqlite3.Connection)) as database:
            return {name for (name,) in database.execute("SELECT id FROM sessions")}
    except (sqlite3.Error, BadInput):
        return None


def lost_sessions_message(path: Path, sessions: Sequence[str]) -> str:
    """The message about lost sessions, as it continues after the name of the ledger."""
    return (
        f"does not have {', '.join(sessions)}, although the folder exists: the ledger was lost, or is a copy without "
        f"its {path.name}-wal; restore both files, or move the folder away and begin anew: results.tsv keeps the rows"
    )


def no_session_error(path: Path) -> BadInput:
    """The error where there is no ledger with tables: it was lost, or no session has begun here."""
    if missing := lost_sessions(path):
        return BadInput(f"{path} {lost_sessions_message(path, missing)}")
    recorded = sorted(folder.name for folder in path.parent.glob("session-*") if folder.is_dir())
    note = f" ({', '.join(recorded)} is a record to read, without a ledger)" if recorded else ""
    state = "holds no session yet" if path.exists() else "does not exist, so there is no session here"
    return BadInput(f"{path} {state}{note}; start one with nightlane run STUDY")


def repair_is_unfinished(path: Path) -> bool:
    """Whether a repaired ledger has not yet replaced the damaged one: the repair runs now, or was cut off."""
    return path.with_name(REPAIRED).exists()


def unfinished_repair_message(path: Path) -> str:
    """The message about an unfinished repair, as it continues after the name of the ledger."""
    return f"is being repaired, or its repair was cut off; finish it with {repair_command(path)}"


def finish_repair(path: Path) -> None:
    """Replace the damaged ledger, of which there is a copy, by the repaired one, if there is one. Every step is on the
    disk before the next, so a killed call can be repeated. The caller holds the workspace lock."""
    made = path.with_name(REPAIRED) / path.name
    if made.exists():
        remove_log(path)
        if path.is_dir():
            set_aside(path)
        made.replace(path)
        sync(path.parent)
        sync(made.parent)
    if made.parent.exists():
        made.parent.rmdir()


def create_ledger(path: Path, schema: str) -> None:
    """Create a ledger, unless there is a complete one. It is written under a temporary name and then renamed, so that a
    reader finds all tables or no file. The caller holds the workspace lock."""
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
    for name in (f"{path.name}-wal", f"{path.name}-shm"):  # of a lost ledger; the new one must not replay them
        with contextlib.suppress(FileNotFoundError):
            (path.parent / name).rename(path.parent / f"{name}.stray")
    temporary.replace(path)
    sync(path.parent)


def require_sound(path: Path) -> None:
    """Read a whole database; sqlite3.DatabaseError if it is damaged."""
    with contextlib.closing(open_to_read(path, sqlite3.Connection)) as database:
        if (found := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite reports a damaged file, rather than a file that it cannot write."""
    code = getattr(error, "sqlite_errorcode", None)
    return "decode" in str(error) if code is None else code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether SQLite failed for a reason outside of the file, such as a full disk. A file that is shorter than it
    should be is damaged."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        return code != sqlite3.SQLITE_IOERR_SHORT_READ
    return code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY)


def _root(path: Path) -> str:
    return shlex.quote(str(path.parent.parent))
