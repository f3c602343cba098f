"""The status of a file of a workspace, and the tests and repairs that several kinds of files share."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.ledger.database.file import require_sound
from common.digests import require_own_digest
from common.errors import BadInput
from common.files import set_aside, set_database_aside, write_durably
from common.sqlite import row_digests
from common.sqlite.shared import open_to_read

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a garbled file may raise."""
Repair = Callable[[], str]
"""Repairs a file and returns what was done."""


@dataclass(frozen=True)
class FileStatus:
    """The status of a file or a group of files. ``message``: what it holds, or what is wrong and the remedy.
    ``repair``: None if nothing is damaged, or if only a person can help."""

    path: str
    intact: bool
    message: str
    repair: Repair | None = None


def is_json(path: Path) -> bool:
    """Whether the file, or each line of a .jsonl, is JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(part)
    except UNREADABLE:
        return False
    return True


def is_unaltered_json(path: Path) -> bool:
    """Whether the file is JSON and, if it has a digest of its own, as it was written."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
        require_own_digest(text)
    except UNREADABLE:
        return False
    return True


def database_problem(path: Path, tables: Iterable[str] = (), rows_may_vanish: bool = False) -> str | None:
    """What is wrong with an SQLite file, or None. ``tables``: those whose rows have checksums; ``rows_may_vanish``:
    missing rows are no damage, altered ones are."""
    try:
        require_sound(path)
        with contextlib.closing(open_to_read(path, sqlite3.Connection)) as database:
            if tables and row_digests.has_digests(database):
                altered = [
                    name for _, name in row_digests.altered_rows(database, tuple(tables)) if name or not rows_may_vanish
                ]
                return f"{len(altered)} of its rows are not as they were written" if altered else None
    except (sqlite3.Error, OSError, BadInput) as error:
        return str(error)
    return None


def writing(path: Path, text: str) -> Repair:
    def repair() -> str:
        if path.is_dir():
            set_aside(path)
        write_durably(path, text)
        return f"{path.name} is written again"

    return repair


def setting_aside(path: Path) -> Repair:
    return lambda: f"{path.name} is now {set_aside(path).name}"


def setting_database_aside(path: Path) -> Repair:
    return lambda: f"{path.name} is now {set_database_aside(path).name}"


def together(repairs: list[Repair]) -> Repair | None:
    return (lambda: "; ".join(repair() for repair in repairs)) if repairs else None
