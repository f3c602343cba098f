"""Makes the material of the study, once: prompts, base model, preference sources. The manifest is written last.

    build/prompts.jsonl  problems.jsonl  base/  honest.jsonl  unchecked.jsonl  broken.jsonl  manifest.json

A folder without a manifest, or whose files or makers have changed since, is made anew. One process builds at a time.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from labs.microcoder.files import digest_of_file, write_atomically
from labs.microcoder.size import Size

MANIFEST = "manifest.json"
MADE = ("prompts.jsonl", "problems.jsonl", "base", "honest.jsonl", "unchecked.jsonl", "broken.jsonl")
HERE = Path(__file__).parent

Progress = Callable[[str, float], None]


def build(directory: Path, progress: Progress, size: Size | None = None) -> None:
    """Makes what is missing in `directory`. `progress` hears the name of the stage and its share done, 0 to 1."""
    size = size or Size()
    if is_complete(directory, size):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        if is_complete(directory, size):  # another process made it while this one waited
            return
        (directory / MANIFEST).unlink(missing_ok=True)
        makers = digest_of_makers(size)
        from labs.microcoder.stages import make  # imports torch

        figures, seconds = make(directory, size, progress)
        manifest = {
            "makers": makers,
            "files": _digests(directory),
            "figures": figures,
            "seconds": seconds,
        }
        write_atomically(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def is_complete(directory: Path, size: Size | None = None) -> bool:
    """Whether the manifest is there, its makers are today's, and every file is as it was written."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(manifest, dict) or manifest.get("makers") != digest_of_makers(size or Size()):
        return False
    return bool(manifest.get("files") == _digests(directory))


def digest_of_makers(size: Size) -> str:
    """Names the code and the size that a build came from; the measuring scripts are no part of it."""
    digest = hashlib.sha256(json.dumps(asdict(size), sort_keys=True).encode())
    makers = [HERE / f"{name}.py" for name in ("base", "corpus", "sources", "splits", "stages")]
    for path in sorted([*makers, *HERE.glob("tasks/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digests(directory: Path) -> dict[str, str]:
    paths = [path for name in MADE for path in (directory / name, *sorted((directory / name).glob("*")))]
    return {str(path.relative_to(directory)): digest_of_file(path) for path in paths if path.is_file()}


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
