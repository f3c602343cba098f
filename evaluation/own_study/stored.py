"""Scored answers on disk: answers-ID.jsonl in the folder of an evaluation, one file for each side and sampling seed.

ID is a digest of all that decides what is in the file, so an evaluation takes over the files of earlier ones, also of
one that was interrupted, and asks only what is new.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files import copy_durably, sync
from evaluation.results import altered_files


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One answer, with its score or the reason why it has none."""

    prompt: str
    sample: int
    category: str
    text: str
    score: float | None
    critical: tuple[str, ...]
    outcome: str
    note: str
    format_only: bool = False


def file_name(identity: str) -> str:
    return f"answers-{identity}.jsonl"


def take_over(identity: str, folder: Path) -> bool:
    """Copy the file of an earlier evaluation of this workspace; False if none has it undamaged."""
    name = file_name(identity)
    for path in sorted(folder.parent.glob(f"evaluation-*/{name}")):
        if path.parent != folder and name not in altered_files(path.parent) and is_sound(identity, path.parent):
            copy_durably(path, folder / name)
            return True
    return False


def write_whole(identity: str, folder: Path, write: Callable[[Path], None]) -> None:
    """Have a file written under another name first, so that one with its own name is complete."""
    partial = folder / f".{file_name(identity)}.tmp"
    write(partial)
    sync(partial)
    partial.replace(folder / file_name(identity))


def read_answers(identity: str, folder: Path) -> list[StoredAnswer]:
    lines = (folder / file_name(identity)).read_text(encoding="utf-8").splitlines()
    return [_answer(json.loads(line)) for line in lines]


def is_sound(identity: str, folder: Path) -> bool:
    """Whether a folder has this file of answers, and it can be read."""
    try:
        return bool(read_answers(identity, folder))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _answer(row: Mapping[str, Any]) -> StoredAnswer:
    return StoredAnswer(
        prompt=row["prompt"],
        sample=row["sample"],
        category=row["category"],
        text=row["text"],
        score=row.get("score"),
        critical=tuple(row.get("critical", ())),
        outcome=row.get("outcome", ""),
        note=row["missing"] if "missing" in row else row["note"],
        format_only=bool(row.get("format_only", False)),
    )
