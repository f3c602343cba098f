"""Checkpoints of a full-length run: the trainer's own folders, with adapter, optimizer, scheduler and random state.

DIR/checkpoints/checkpoint-STEP/   ...   complete.json, written last

A checkpoint counts once it has complete.json, which has the digest of each of its files. What a kill cut off has none.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.digests import file_digest, require_own_digest, with_own_digest
from common.files import sync, write_durably

FOLDER, MARK = "checkpoints", "complete.json"
KEPT = 2
"""Checkpoints that the trainer keeps: the new one, which counts only when it is complete, and the one before it."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    folder: Path
    step: int


def seal(folder: Path) -> None:
    """Make the files of a checkpoint durable, and let it count."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MARK)
    for path in (*files, folder, folder.parent):
        sync(path)
    digests = {path.name: file_digest(path) for path in files}
    write_durably(folder / MARK, with_own_digest(json.dumps({"files": digests})))


def last_complete(run: Path) -> Checkpoint | None:
    """The latest checkpoint of a run whose files are as they were written."""
    found = sorted(_checkpoints(run), key=lambda one: one.step, reverse=True)
    return next((one for one in found if _is_complete(one.folder)), None)


def remove_others(run: Path, kept: Checkpoint | None) -> None:
    """Remove all checkpoints of a run but one: those that are incomplete, and those before it."""
    for one in _checkpoints(run):
        if kept is None or one.folder != kept.folder:
            shutil.rmtree(one.folder)


def remove_all(run: Path) -> None:
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _checkpoints(run: Path) -> Iterator[Checkpoint]:
    for folder in sorted((run / FOLDER).glob("checkpoint-*")):
        if folder.is_dir() and (match := _NAME.fullmatch(folder.name)):
            yield Checkpoint(folder, int(match[1]))


def _is_complete(folder: Path) -> bool:
    try:
        text = (folder / MARK).read_text(encoding="utf-8")
        require_own_digest(text)
        digests = dict(json.loads(text)["files"])
        return bool(digests) and all(file_digest(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
