"""Digests that name values and the contents of files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

MEBIBYTE = 1 << 20
_seen: dict[tuple[str, int, int], str] = {}


def digest_of(value: object) -> str:
    """Sixteen hex digits that name a JSON-able value, whatever the order of its keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; of its size and 64 evenly spread MiB where it is over 256 MiB, as weights are.

    Remembered by path, size and time of change, so that a check per round is cheap.
    """
    stat = path.stat()
    mark = (str(path), stat.st_size, stat.st_mtime_ns)
    if mark not in _seen:
        with path.open("rb") as stream:
            if stat.st_size <= 256 * MEBIBYTE:
                _seen[mark] = hashlib.file_digest(stream, "sha256").hexdigest()
            else:
                digest = hashlib.sha256(str(stat.st_size).encode())
                for place in range(64):
                    stream.seek((stat.st_size - MEBIBYTE) * place // 63)
                    digest.update(stream.read(MEBIBYTE))
                _seen[mark] = digest.hexdigest()
    return _seen[mark]


def folder_digest(paths: Sequence[Path]) -> str:
    """One digest over the names and contents of some files."""
    parts = [f"{path.name}:{file_digest(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
