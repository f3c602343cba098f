"""A JSONL file that is only ever appended to: whole lines, on the disk when ``append`` returns.

What a kill leaves is a last line that is cut off. It was never acknowledged: readers pass over it, and the next append
takes it away. A last line that lacks only its line end is whole.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanes.errors import BadInput
from probes.prompts import parse_object
from probes.store import sync


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time for all files of the folder; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of each whole line; nothing where there is no file. BadInput names a line that is none."""
    whole, tail = _split(path)
    lines = whole.split(b"\n")[:-1] + ([tail] if _is_object(tail) else [])
    return [(number, _parsed(path, number, line)) for number, line in enumerate(lines, start=1)]


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows and wait for the disk. The caller holds the folder's lock."""
    if not rows:
        return
    new = not path.exists()
    whole, tail = _split(path)
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    content = "".join(f"{line}\n" for line in lines).encode()
    with path.open("ab") as stream:
        if _is_object(tail):
            content = b"\n" + content
        elif tail:
            stream.truncate(len(whole))
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if new:
        sync(path.parent)


def _split(path: Path) -> tuple[bytes, bytes]:
    """The whole lines, and what follows the last line end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", b""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _is_object(line: bytes) -> bool:
    """No cut-off object is an object: it lacks its last brace."""
    try:
        parse_object(line.decode())
    except ValueError:
        return False
    return True


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return parse_object(line.decode())
    except ValueError as error:
        told = "is no UTF-8 text; restore it" if isinstance(error, UnicodeDecodeError) else error
        raise BadInput(f"{path}, line {number} {told}") from None

