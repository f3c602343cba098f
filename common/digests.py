"""Digests that identify values and the contents of files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

MEBIBYTE = 1 << 20
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
OWN_DIGEST = ', "sha256": "'
_cache: dict[tuple[str, int, int], str] = {}


def digest_of(value: object) -> str:
    """Sixteen hex digits that identify a JSON value, independent of the order of its keys."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; for files over 256 MiB, such as weights, of the size and 64 evenly spaced MiB.

    Cached by path, size and time of change, so that a check per round is cheap.
    """
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _cache:
        with path.open("rb") as stream:
            if stat.st_size <= 256 * MEBIBYTE:
                _cache[key] = hashlib.file_digest(stream, "sha256").hexdigest()
            else:
                digest = hashlib.sha256(str(stat.st_size).encode())
                for place in range(64):
                    stream.seek((stat.st_size - MEBIBYTE) * place // 63)
                    digest.update(stream.read(MEBIBYTE))
                _cache[key] = digest.hexdigest()
    return _cache[key]


def folder_digest(paths: Sequence[Path]) -> str:
    """One digest over the names and contents of some files."""
    parts = [f"{path.name}:{file_digest(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def with_own_digest(text: str) -> str:
    """A JSON object's text, with the digest of that text as its last key."""
    text = text.rstrip()
    return f'{text[:-1]}{OWN_DIGEST}{hashlib.sha256(text.encode()).hexdigest()}"}}\n'


def require_own_digest(text: str) -> None:
    """ValueError if a text that ends with its own digest was changed. A text without a digest, written by an older
    version, is accepted."""
    head, mark, tail = text.rpartition(OWN_DIGEST)
    if mark and tail.rstrip() != f'{hashlib.sha256((head + "}").encode()).hexdigest()}"}}':
        raise ValueError("it is not as it was written")
