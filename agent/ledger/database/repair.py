"""Salvages a damaged ledger: copies the rows that can be read into a new one and keeps the damaged one beside it.

A row is copied if it can be read and its checksum is right. If rows are lost, unfinished sessions are closed: a loop
that continued would not know what was decided before. The damaged ledger stays complete and in its place until the new
one is on the disk, so the next repair can begin again, or finish, a repair that was killed.
"""

import contextlib
import filecmp
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.ledger.database.codecs import JSON_FIELDS
from agent.ledger.database.file import REPAIRED, create_ledger, finish_repair, is_of_the_disk
from agent.ledger.tables import SCHEMA
from common.clock import now
from common.errors import BadInput
from common.files import whole_folder
from common.sqlite import row_digests
from lanes import Recipe

JSON_COLUMNS = sorted({name for names in JSON_FIELDS.values() for name in names})
EXPENDABLE = ("events", "periods")
"""Tables whose rows a session does not need to continue."""


def salvage(path: Path) -> str:
    """Replace a damaged ledger by a new one; returns a sentence about it. The caller holds the workspace lock."""
    aside = _copy_aside(path)
    with whole_folder(path.with_name(REPAIRED), "the repaired ledger") as folder:
        create_ledger(folder / path.name, SCHEMA)
        with (
            contextlib.closing(sqlite3.connect(folder / path.name, isolation_level=None)) as new,
            tempfile.TemporaryDirectory(dir=folder) as scratch,
        ):
            new.execute("PRAGMA journal_mode=DELETE")  # so that everything is in one file
            row_digests.record_digests(new)
            new.execute("BEGIN")
            copied, lost, unchecked = _copy_readable_rows(aside / path.name, Path(scratch), new)
            recipes = _restore_recipes(new, path.parent)
            closed = _close(new) if sum(lost.values()) > sum(lost.get(table, 0) for table in EXPENDABLE) else []
            new.execute("COMMIT")
    finish_repair(path)
    losses = ", ".join(f"{number} of {table}" for table, number in sorted(lost.items()) if number) or "none"
    return (
        f"{copied} rows were copied into a new {path.name}; rows lost: {losses}"
        + ("; no checksums could be read, so the rows were copied unchecked" if unchecked else "")
        + (f"; {recipes} recipes came from the folders of probes" if recipes else "")
        + (f"; sessions closed because some of their rows may be missing: {', '.join(closed)}" if closed else "")
        + f"; the damaged ledger is in {aside}, with results.tsv and progress.log as they were"
    )


def finish_salvage(path: Path) -> str:
    """Finish a repair that was cut off; returns a sentence about it. The caller holds the workspace lock."""
    finish_repair(path)
    return "its repair, which was cut off, is finished"


def _copy_aside(path: Path) -> Path:
    """Copy the ledger's files, results.tsv and progress.log into a new folder, and return it. The folder of a repair
    that was cut off is used again if the files have not changed since."""
    followers = (path.with_name("progress.log"), path.parent.parent / "results.tsv")
    files = [file for file in (path, path.with_name(f"{path.name}-wal"), *followers) if file.is_file()]
    for number in ("", *(f"-{n}" for n in range(2, 10_000))):
        aside = path.with_name(f"ledger-damaged{number}")
        if not aside.exists():
            break
        copies = [aside / file.name for file in files]
        if all(copy.is_file() and filecmp.cmp(file, copy, False) for file, copy in zip(files, copies, strict=True)):
            return aside
    with whole_folder(aside, "the damaged ledger") as folder:
        for file in files:
            shutil.copy2(file, folder)
    return aside


def _copy_readable_rows(damaged: Path, scratch: Path, new: sqlite3.Connection) -> tuple[int, dict[str, int], bool]:
    """``_copy_rows`` from a scratch copy, since SQLite writes to a file with a log when it opens it."""
    for file in (damaged, damaged.with_name(f"{damaged.name}-wal")):
        if file.is_file():
            shutil.copy2(file, scratch)
    with contextlib.closing(sqlite3.connect(scratch / damaged.name)) as old:
        return _copy_rows(old, new)


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, dict[str, int], bool]:
    """The number of rows copied, the numbers of rows lost by table, and whether checksums could not be read."""
    digests, copied, lost, seen = _digests(old), 0, dict[str, int](), set()
    for table, names in row_digests.columns(new).items():
        for rowid, row in _readable(old, table):
            digest = row_digests.digest_of_row(table, row)
            sound = digests is None or digest in digests
            if sound and _insert(new, table, rowid, {n: row.get(n) for n in names if n in row}):
                copied += 1
                seen.add(digest)
            elif digests is None:
                lost[table] = lost.get(table, 0) + 1
    for digest, table in (digests or {}).items():
        if digest not in seen:
            lost[table] = lost.get(table, 0) + 1
    return copied, lost, digests is None


def _digests(old: sqlite3.Connection) -> dict[bytes, str] | None:
    """Row digest -> table; None if there are no digests, or not all can be read. Errors of the disk are raised, since
    rows that cannot be read because of them are not lost."""
    try:
        return {bytes(row[0]): str(row[1]) for row in old.execute(f"SELECT digest, source FROM {row_digests.TABLE}")}
    except sqlite3.Error as error:
        if is_of_the_disk(error):
            raise
        return None


def _readable(old: sqlite3.Connection, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(rowid, row): from the first row forwards until one cannot be read, then from the last one backwards."""
    seen = set()
    old.text_factory = bytes
    for order in ("ASC", "DESC"):
        try:
            cursor = old.execute(f"SELECT rowid, * FROM {table} NOT INDEXED ORDER BY rowid {order}")
            names = [column[0] for column in cursor.description]
            for values in cursor:
                if values[0] in seen:
                    break
                seen.add(values[0])
                with contextlib.suppress(UnicodeDecodeError):
                    plain: list[Any] = [value.decode() if isinstance(value, bytes) else value for value in values]
                    yield int(plain[0]), dict(zip(names[1:], plain[1:], strict=True))
            else:
                return
        except sqlite3.Error as error:
            if is_of_the_disk(error):
                raise
            continue


def _insert(new: sqlite3.Connection, table: str, rowid: int, row: dict[str, Any]) -> bool:
    """Insert a row; False if it is malformed or its session is missing."""
    try:
        for column in JSON_COLUMNS:
            if row.get(column) is not None:
                json.loads(row[column])
        session = row.get("session")
        if session is not None and not new.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone():
            return False
        marks = ", ".join("?" * (1 + len(row)))
        new.execute(f"INSERT INTO {table} (rowid, {', '.join(row)}) VALUES ({marks})", (rowid, *row.values()))
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, TypeError, RecursionError):
        return False  # any other error of SQLite, such as a full disk, ends the repair
    return True


def _restore_recipes(new: sqlite3.Connection, runs: Path) -> int:
    """Restore lost recipes from the folders of probes and sessions; returns their number."""
    named = (
        "SELECT start FROM sessions UNION SELECT incumbent FROM decisions UNION SELECT parent FROM proposals "
        "UNION SELECT child FROM proposals UNION SELECT recipe FROM probes"
    )
    missing = {row[0] for row in new.execute(f"SELECT * FROM ({named}) EXCEPT SELECT digest FROM recipes")}
    found = 0
    for path in runs.glob("*/recipe.toml") if missing else ():
        with contextlib.suppress(OSError, ValueError, BadInput):
            recipe = Recipe.from_toml(path.read_text(encoding="utf-8"))
            if recipe.digest in missing:
                missing.remove(recipe.digest)
                new.execute("INSERT INTO recipes VALUES (?, ?)", (recipe.digest, recipe.to_toml()))
                found += 1
    return found


def _close(new: sqlite3.Connection) -> list[str]:
    """Close the unfinished sessions; returns their ids."""
    names = [row[0] for row in new.execute("SELECT id FROM sessions WHERE finished IS NULL")]
    new.execute(
        "UPDATE sessions SET finished = ?, finish_reason = 'its ledger was damaged and rows of it are lost' "
        "WHERE finished IS NULL",
        (now(),),
    )
    return names
