"""What can be read of a damaged ledger, taken over into a new one; the damaged one is kept beside it.

A row is taken when it can be read and its checksum says that it is as it was written. A session that is not finished
and whose rows are not all there is closed: a loop that went on would decide without knowing what was decided.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.ledger.file import create_ledger
from agent.ledger.tables import SCHEMA
from common import row_digests
from common.clock import now
from common.errors import BadInput
from common.files import set_aside, sync
from lanes import Recipe

JSON_COLUMNS = ("limits", "before", "after", "comparison", "policy", "row", "course", "data")
UNDECIDING = ("events", "periods")
"""Tables without which a session can go on."""


def take_over(path: Path) -> str:
    """Put a new ledger in the place of a damaged one; what was done, in a sentence. The caller holds the workspace."""
    aside = _set_aside(path)
    made = path.with_name("ledger-repaired.sqlite")
    made.unlink(missing_ok=True)
    create_ledger(made, SCHEMA)
    with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as new:
        row_digests.keep(new)
        new.execute("BEGIN")
        with contextlib.closing(sqlite3.connect(aside / path.name)) as old:
            taken, lost, doubted = _copied(old, new)
        recipes = _missing_recipes(new, path.parent)
        closed = _close(new) if sum(lost.values()) > sum(lost.get(table, 0) for table in UNDECIDING) else []
        new.execute("COMMIT")
    for suffix in ("-wal", "-shm"):  # before the rename: they would be replayed into the new file
        if (beside := path.with_name(path.name + suffix)).is_dir():
            set_aside(beside)
        else:
            beside.unlink(missing_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    made.replace(path)
    sync(path.parent)
    told = ", ".join(f"{number} of {table}" for table, number in sorted(lost.items()) if number) or "none"
    return (
        f"{taken} rows were taken over into a new {path.name}, lost are: {told}"
        + ("; no checksums could be read, so the rows were taken as they are" if doubted else "")
        + (f"; {recipes} recipes came from the folders of probes" if recipes else "")
        + (f"; closed, since rows of theirs may be missing: {', '.join(closed)}" if closed else "")
        + f"; the damaged ledger is in {aside}, with results.tsv and progress.log as they were"
    )


def _set_aside(path: Path) -> Path:
    """A new folder with copies of the ledger's files and of the two files that follow it."""
    names = (path.with_name(f"ledger-damaged{number}") for number in ("", *(f"-{n}" for n in range(2, 10_000))))
    aside = next(name for name in names if not name.exists())
    aside.mkdir()
    followers = (path.with_name("progress.log"), path.parent.parent / "results.tsv")
    for file in (*(path.with_name(path.name + suffix) for suffix in ("", "-wal")), *followers):
        if file.is_file():
            shutil.copy2(file, aside)
    return aside


def _copied(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, dict[str, int], bool]:
    """How many rows were taken over, how many were lost by table, and whether their checksums could not be read."""
    kept, taken, lost, seen = _kept(old), 0, dict[str, int](), set()
    for table, names in row_digests.columns(new).items():
        for rowid, row in _readable(old, table):
            digest = row_digests.digest_of_row(table, row)
            if (kept is None or digest in kept) and _fits(
                new, table, rowid, {n: row.get(n) for n in names if n in row}
            ):
                taken += 1
                seen.add(digest)
            elif kept is None:
                lost[table] = lost.get(table, 0) + 1
    for digest, table in (kept or {}).items():
        if digest not in seen:
            lost[table] = lost.get(table, 0) + 1
    return taken, lost, kept is None


def _kept(old: sqlite3.Connection) -> dict[bytes, str] | None:
    """Digest -> its table; None where there are none, or not all can be read."""
    try:
        return {bytes(row[0]): str(row[1]) for row in old.execute(f"SELECT digest, source FROM {row_digests.TABLE}")}
    except sqlite3.Error:
        return None


def _readable(old: sqlite3.Connection, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows from the first on until one cannot be read, then from the last back."""
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
        except sqlite3.Error:
            continue


def _fits(new: sqlite3.Connection, table: str, rowid: int, row: dict[str, Any]) -> bool:
    """Insert a row; False for one that no ledger of ours would hold, or whose session is not there."""
    try:
        for column in JSON_COLUMNS:
            if row.get(column) is not None:
                json.loads(row[column])
        session = row.get("session")
        if session is not None and not new.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone():
            return False
        marks = ", ".join("?" * (1 + len(row)))
        new.execute(f"INSERT INTO {table} (rowid, {', '.join(row)}) VALUES ({marks})", (rowid, *row.values()))
    except (sqlite3.Error, ValueError, TypeError, RecursionError):
        return False
    return True


def _missing_recipes(new: sqlite3.Connection, runs: Path) -> int:
    """Find the recipes that rows name and the ledger lost in the folders of probes and sessions; how many."""
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
    """End the sessions that are not finished; their ids."""
    names = [row[0] for row in new.execute("SELECT id FROM sessions WHERE finished IS NULL")]
    new.execute(
        "UPDATE sessions SET finished = ?, finish_reason = 'its ledger was damaged and rows of it are lost' "
        "WHERE finished IS NULL",
        (now(),),
    )
    return names
