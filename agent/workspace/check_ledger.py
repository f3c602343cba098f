"""Checks the ledger, and the files that are written from it."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.ledger.database.file import (
    holds_sessions,
    lost_sessions,
    lost_sessions_message,
    repair_hint,
    repair_is_unfinished,
    require_sound,
    unfinished_repair_message,
)
from agent.ledger.database.repair import finish_salvage, salvage
from agent.ledger.results.columns import COLUMNS
from agent.ledger.results.sheet import one_line, row_text
from agent.ledger.tables import COMPARED
from agent.workspace.file_status import UNREADABLE, FileStatus
from agent.workspace.folder import Workspace
from common.errors import BadInput
from common.sqlite import row_digests
from common.sqlite.shared import open_to_read
from common.wording import count

_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY)


@dataclass(frozen=True)
class LedgerContent:
    """What the other files of a workspace are compared with.

    ``studies``: session -> path and text of its study; ``rows``: the lines of results.tsv; ``events``: the lines of
    progress.log; ``readings``: ids of the probes with a reading; ``recipes``: digests; ``compared``: session -> names
    of the comparisons that a judge made; ``known``: whether the ledger could be read."""

    studies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    rows: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    readings: frozenset[str] = frozenset()
    recipes: frozenset[str] = frozenset()
    compared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: bool = True


def check_ledger(workspace: Workspace) -> tuple[FileStatus, LedgerContent]:
    """The ledger's status and its content, which is empty if there is no ledger or it cannot be read."""
    path, name = workspace.ledger, str(workspace.ledger)
    if repair_is_unfinished(path):
        return FileStatus(name, False, unfinished_repair_message(path), lambda: finish_salvage(path)), LedgerContent()
    lost = lost_sessions(path)
    if not path.is_dir() and not holds_sessions(path):
        message = lost_sessions_message(path, lost) if lost else "no session yet"
        return FileStatus(name, not lost, message), LedgerContent()
    try:
        require_sound(path)
        with contextlib.closing(open_to_read(path, sqlite3.Connection)) as database:
            altered = list(row_digests.altered_rows(database)) if row_digests.has_digests(database) else []
            content = _content(database)
    except BadInput as error:  # no permission to read it
        return FileStatus(name, False, str(error)), LedgerContent(known=False)
    except (sqlite3.Error, *UNREADABLE) as error:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _IN_USE:
            message = f"cannot be read now ({error}), which does not mean that it is damaged; try again later"
            return FileStatus(name, False, message), LedgerContent(known=False)
        message = f"is damaged ({error}); restore it, or {repair_hint(path)}"
        return FileStatus(name, False, message, lambda: salvage(path)), LedgerContent(known=False)
    if altered:
        named = [f"{row} of {table}" if row else f"one of {table}, which is gone" for table, row in altered[:3]]
        problem = f"{len(altered)} of its rows are not as they were written ({', '.join(named)})"
        message = f"{problem}; restore it, or {repair_hint(path)}"
        return FileStatus(name, False, message, lambda: salvage(path)), content
    if lost:
        return FileStatus(name, False, lost_sessions_message(path, lost)), content
    sizes = f"{count(len(content.studies), 'session')}, {count(len(content.rows), 'decision')}"
    return FileStatus(name, True, f"{sizes}, every row as it was written"), content


def _content(database: sqlite3.Connection) -> LedgerContent:
    sessions = list(database.execute("SELECT id, study_path, study_text, finished FROM sessions"))
    rows = [json.loads(row[0]) for row in database.execute("SELECT row FROM decisions ORDER BY rowid")]
    events = database.execute("SELECT time, session, text FROM events ORDER BY rowid")
    readings = database.execute("SELECT id FROM probes WHERE kind = 'reading'")
    compared = dict[str, set[str]]()
    if database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'checks'").fetchone():
        for session, name in database.execute("SELECT session, subject FROM checks WHERE kind = ?", (COMPARED,)):
            compared.setdefault(session, set()).add(name)
    return LedgerContent(
        {row[0]: (row[1], row[2]) for row in sessions},
        frozenset(row[0] for row in sessions if row[3]),
        tuple(map(row_text, rows)),
        tuple(one_line(" ".join(event)) for event in events),
        frozenset(row[0] for row in readings),
        frozenset(row[0] for row in database.execute("SELECT digest FROM recipes")),
        {session: frozenset(names) for session, names in compared.items()},
    )


def check_result_files(workspace: Workspace, content: LedgerContent) -> Iterator[FileStatus]:
    """Whether results.tsv and progress.log hold exactly the ledger's lines, in order, for the ledger's sessions."""
    width = len(COLUMNS)
    yield _check_lines(
        workspace.root / "results.tsv",
        content,
        content.rows,
        session_of=lambda line: line.split("\t")[1:2],
        without_extra_columns=lambda line: "\t".join(line.split("\t")[:width]),
    )
    yield _check_lines(
        workspace.runs / "progress.log",
        content,
        content.events,
        session_of=lambda line: line.split(" ")[1:2],
        without_extra_columns=lambda line: line,
    )


def _check_lines(
    path: Path,
    content: LedgerContent,
    expected: tuple[str, ...],
    session_of: Callable[[str], list[str]],
    without_extra_columns: Callable[[str], str],
) -> FileStatus:
    name = str(path)
    if not path.exists() and not expected:
        return FileStatus(name, True, "not written yet")
    remedy = "the next run or resume writes it again from the ledger"
    try:
        lines = path.read_bytes().decode("utf-8").splitlines() if path.exists() else []
    except UNREADABLE as error:
        return FileStatus(name, False, f"cannot be read ({error}); {remedy}, so move it away if it is no text")
    ours = [without_extra_columns(line) for line in lines if content.studies.keys() & session_of(line)]
    known = set(expected)
    if (unknown := [line for line in ours if line not in known]) and len(ours) > len(expected):
        message = (
            f"has {len(unknown)} lines of sessions of this ledger that the ledger does not have "
            f"({unknown[0][:60]}...): it lost them, or somebody wrote them; restore the ledger, else {remedy}"
        )
        return FileStatus(name, False, message)
    if ours == list(expected):
        return FileStatus(name, True, f"{count(len(ours), 'line')}, as the ledger has them")
    if ours == list(expected[: len(ours)]) and len(content.finished) < len(content.studies):
        behind = count(len(expected) - len(ours), "line")
        return FileStatus(name, True, f"{behind} behind the ledger, which resume adds")
    return FileStatus(name, False, f"disagrees with the ledger; {remedy}")
