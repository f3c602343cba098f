"""The build of a lab: the package `labs.NAME` writes its material into a folder, the manifest last.

A folder is built again when it has no manifest or when its files or makers have changed. One process builds at a time.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from common.files import write_durably
from labs._build.files import digest_of_file

MANIFEST = "manifest.json"

BuildProgress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done, 0 to 1."""
BuildFigures = dict[str, Any]


@dataclass(frozen=True)
class Lab:
    """``made``: files and folders of a build. ``makers``: the files that it is made from. ``size``: a frozen
    dataclass, the size of a build for use. `labs.NAME.stages.make(folder, size, progress)` writes everything but the
    manifest and returns its figures and the seconds of each stage."""

    name: str
    size: Any
    made: tuple[str, ...]
    makers: tuple[Path, ...]

    def build(self, directory: Path, progress: BuildProgress, size: Any = None) -> None:
        """Builds in `directory` unless that is complete."""
        size = size or self.size
        if self.is_complete(directory, size):
            return
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            if self.is_complete(directory, size):  # another process made it while this one waited
                return
            (directory / MANIFEST).unlink(missing_ok=True)
            makers = self.digest_of_makers(size)
            stages = import_module(f"labs.{self.name}.stages")  # imports torch
            figures, seconds = stages.make(directory, size, progress)
            manifest = {
                "makers": makers,
                "files": self._digests(directory),
                "figures": figures,
                "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
            }
            write_durably(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")

    def is_complete(self, directory: Path, size: Any = None) -> bool:
        """Whether there is a manifest and neither makers nor files have changed since."""
        try:
            manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if not isinstance(manifest, dict) or manifest.get("makers") != self.digest_of_makers(size or self.size):
            return False
        return bool(manifest.get("files") == self._digests(directory))

    def digest_of_makers(self, size: Any) -> str:
        """Identifies the makers and the size of a build."""
        digest = hashlib.sha256(json.dumps(asdict(size), sort_keys=True).encode())
        for path in self.makers:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _digests(self, directory: Path) -> dict[str, str]:
        paths = [path for name in self.made for path in (directory / name, *sorted((directory / name).glob("*")))]
        return {str(path.relative_to(directory)): digest_of_file(path) for path in paths if path.is_file()}


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
