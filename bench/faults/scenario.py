"""What is run under faults: a folder, a command in it, how a person goes on afterwards, and what must be there then."""

import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults.compare import Result
from bench.faults.supervisor import Ended

Act = Callable[[], int]
Run = Callable[..., Ended]
"""Runs an act in a forked process: (act, fault=None, record=False, answers="")."""
SENTENCE = re.compile(r"nightlane: .{10,}")


class Wrong(Exception):
    """What a command did that it must not do, in words; raised by ``goes_on``."""


@dataclass(frozen=True)
class Scenario:
    """``prepare`` writes what the command finds. ``goes_on``: what a person does after it was cut short, until it is
    done or refused; its commands' ends. ``acknowledged``: what the command has told as done, by its stderr; ``held``:
    which of that the files have. ``weight``: its share of the cases. ``cuts``: whether power cuts are played: what it
    writes is recorded then. ``seconds``: it hangs after so many."""

    name: str
    prepare: Callable[[Path, Run], None]
    act: Callable[[Path], Act]
    goes_on: Callable[[Path, Run], Sequence[Ended]]
    observe: Callable[[Path], Result]
    acknowledged: Callable[[str], set[str]] = lambda errors: set()
    held: Callable[[Path], set[str]] = lambda root: set()
    answers: str = ""
    weight: int = 1
    cuts: bool = True
    seconds: float = 60.0


def nightlane(*arguments: object, before: Callable[[], None] | None = None) -> Act:
    """The command as a person types it. ``before``: what is put in place of a part of the product first."""

    def act() -> int:
        from cli.main import main

        if before is not None:
            before()
        sys.argv = ["nightlane", *map(str, arguments)]
        main()
        return 0

    return act


def again(act: Callable[[Path], Act], answers: str = "") -> Callable[[Path, Run], Sequence[Ended]]:
    """A person who gives the same command again."""
    return lambda root, run: [run(act(root), answers=answers)]


def told(ended: Ended) -> str:
    """What is wrong with how a command ended; "" where it is done or refused in one sentence."""
    if ended.hung:
        return "it hung"
    if "Traceback (most recent call last)" in ended.errors:
        lines = [line for line in ended.errors.splitlines() if line.strip()]
        return f"traceback: {lines[-1][:200]}"
    if ended.code < 0:
        return f"it died by signal {-ended.code}"
    if ended.code == 1:
        return f"exit 1: {ended.errors[-200:]}"
    if ended.code and not SENTENCE.search(ended.errors):
        return f"exit {ended.code} without a sentence"
    return ""


# what files hold, as lines that do not depend on when and where

_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?"
)
_SESSION = re.compile(r"\d{8}-\d{6}(?:-\d+)?")


def plain(text: str, sessions: Sequence[str] = ()) -> str:
    """Without times, and with sessions by their number."""
    for place, name in sorted(enumerate(sessions), key=lambda item: -len(item[1])):
        text = text.replace(name, f"S{place}")
    return _SESSION.sub("S?", _VOLATILE.sub("T", text))


def lines_of(path: Path, sessions: Sequence[str] = ()) -> list[str]:
    """Nothing where there is no file."""
    if not path.exists():
        return []
    return [plain(line, sessions) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]


def rows_of(path: Path, sessions: Sequence[str] = (), without: Sequence[str] = ("time",)) -> list[str]:
    """The objects of a JSONL file."""
    found = []
    for line in lines_of(path, sessions):
        try:
            data = json.loads(line)
        except ValueError:
            found.append(f"no JSON: {line[:80]}")
            continue
        found.append(json.dumps({name: value for name, value in data.items() if name not in without}, sort_keys=True))
    return found


def tables(path: Path, wanted: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    """The rows of some tables of a database that nobody has open, without changing it or what stands beside it."""
    if not path.exists():
        return {}
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), folder)
        db = sqlite3.connect(os.path.join(folder, path.name))
        db.row_factory = sqlite3.Row
        try:
            there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return {
                name: [dict(row) for row in db.execute(f"SELECT * FROM {name} ORDER BY rowid")]
                for name in wanted
                if name in there
            }
        except sqlite3.DatabaseError as error:
            return {"unreadable": [{"why": str(error)}]}
        finally:
            db.close()
