"""Checkpoints of a full-length run: the trainer's own folders, with adapter, optimizer, scheduler and random state.

DIR/checkpoints/checkpoint-STEP/   ...   complete.json, written last

A checkpoint is used only if it has complete.json, which is written last and has the digest of each of its files. It is
good if its spot check was not worse than the base's.
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
KEPT = 3
"""Checkpoints that the trainer keeps: the new one, which may still be incomplete, the one before it, and the last good
one."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    folder: Path
    step: int


def seal(folder: Path, good: bool) -> None:
    """Sync the files of a checkpoint to disk, and write its complete.json."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MARK)
    for path in (*files, folder, folder.parent):
        sync(path)
    digests = {path.name: file_digest(path) for path in files}
    write_durably(folder / MARK, with_own_digest(json.dumps({"good": good, "files": digests})))


def last_complete(run: Path, good: bool = False) -> Checkpoint | None:
    """The latest checkpoint of a run whose files match its complete.json; with ``good``, the latest good one."""
    found = sorted(_checkpoints(run), key=lambda one: one.step, reverse=True)
    return next((one for one in found if _is_complete(one.folder, good)), None)


def remove_later(run: Path, step: int) -> None:
    """Remove the checkpoints after a step: a run that goes on from that step writes them again."""
    for one in _checkpoints(run):
        if one.step > step:
            shutil.rmtree(one.folder)


def remove_all(run: Path) -> None:
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _checkpoints(run: Path) -> Iterator[Checkpoint]:
    for folder in sorted((run / FOLDER).glob("checkpoint-*")):
        if folder.is_dir() and (match := _NAME.fullmatch(folder.name)):
            yield Checkpoint(folder, int(match[1]))


def _is_complete(folder: Path, good: bool) -> bool:
    try:
        text = (folder / MARK).read_text(encoding="utf-8")
        require_own_digest(text)
        mark = json.loads(text)
        digests = dict(mark["files"])
        return (bool(mark["good"]) or not good) and all(
            file_digest(folder / name) == digest for name, digest in digests.items()
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
