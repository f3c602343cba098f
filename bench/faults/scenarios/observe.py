"""What a command leaves in its folder, as lines without times and session ids, and a comparison of two such results."""

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Observed = Mapping[str, Sequence[str]]
"""Lines by their source (results.tsv, decisions, ...)."""
VARYING_COLUMNS = ("time", "session", "id", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd")
"""Columns of results.tsv that differ between two sessions with the same decisions."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?")
_SESSION = re.compile(r"\d{8}-\d{6}(?:-\d+)?")


def without_times(text: str, sessions: Sequence[str] = ()) -> str:
    """The text with T for each time, and S0, S1, ... for the sessions."""
    for number, session in sorted(enumerate(sessions), key=lambda item: -len(item[1])):
        text = text.replace(session, f"S{number}")
    return _SESSION.sub("S?", _TIME.sub("T", text))


def lines_of(path: Path, sessions: Sequence[str] = ()) -> list[str]:
    """The lines of a file; none if it does not exist."""
    if not path.exists():
        return []
    return [without_times(line, sessions) for line in path.read_text("utf-8", errors="replace").splitlines()]


def rows_of(path: Path, sessions: Sequence[str] = (), without: Sequence[str] = ("time",)) -> list[str]:
    """The objects of a JSONL file, without some of their fields."""
    rows = []
    for line in lines_of(path, sessions):
        try:
            data = json.loads(line)
        except ValueError:
            rows.append(f"no JSON: {line[:80]}")
            continue
        rows.append(json.dumps({name: value for name, value in data.items() if name not in without}, sort_keys=True))
    return rows


def read_tables(path: Path, names: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    """The rows of some tables of a closed database, read from a copy so that its write-ahead log stays as it is."""
    if not path.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), folder)
        database = sqlite3.connect(os.path.join(folder, path.name))
        database.row_factory = sqlite3.Row
        try:
            existing = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return {
                name: [dict(row) for row in database.execute(f"SELECT * FROM {name} ORDER BY rowid")]
                for name in names
                if name in existing
            }
        except sqlite3.DatabaseError as error:
            return {"unreadable": [{"why": str(error)}]}
        finally:
            database.close()


@dataclass(frozen=True)
class Differences:
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    different: tuple[str, ...] = ()


def differences(expected: Observed, actual: Observed) -> Differences:
    """Compare two results line by line.

    An expected line that occurs more often than expected is doubled. An unexpected line is different. A missing line is
    lost, unless an unexpected line of the same file replaces it.
    """
    lost: list[str] = []
    doubled: list[str] = []
    different: list[str] = []
    for name in sorted(expected.keys() | actual.keys()):
        wanted, present = Counter(expected.get(name, ())), Counter(actual.get(name, ()))
        missing, surplus = list((wanted - present).elements()), present - wanted
        unexpected = [line for line in surplus if not wanted[line]]
        doubled += [f"{name}: {line}" for line in surplus if wanted[line]]
        different += [f"{name}: {line}" for line in unexpected]
        lost += [f"{name}: {line}" for line in missing[len(unexpected) :]]
    return Differences(tuple(lost), tuple(doubled), tuple(different))
