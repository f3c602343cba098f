"""An append-only JSONL file. When ``append`` returns, its lines are on the disk.

A kill may leave a truncated last line. It was never acknowledged: readers skip it, and the next append removes it. A
last line that lacks only its line end is complete.
"""

import fcntl
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import BadInput
from common.files import copy_aside, names_aside, set_aside, sync, write_durably
from probes.inputs.files.text import parse_object

SUMS = "sums.json"
"""Name of each file of the folder -> its length after the last append, and the checksum of that many bytes."""

BLOCK = 1 << 16
Accept = Callable[[dict[str, Any]], object]
"""Parses a line of a file, or raises BadInput."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time for all files of the folder; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of each complete line; empty for a missing file. BadInput names a line without one."""
    whole, tail = _split(path)
    lines = whole.split(b"\n")[:-1] + ([tail] if is_object(tail) else [])
    return [(number, _parsed(path, number, line)) for number, line in enumerate(lines, start=1)]


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows and wait until they are on the disk. The caller holds the folder's lock."""
    if not rows:
        return
    new = not path.exists()
    end, tail = _ending(path)
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    content = "".join(f"{line}\n" for line in lines).encode()
    with path.open("ab") as stream:
        if is_object(tail):
            content = b"\n" + content
        elif tail:
            stream.truncate(end)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if new:
        sync(path.parent)
    _update_checksum(path)


def describe_alteration(path: Path) -> str:
    """How a file differs from what was appended to it, in words; "" if it does not, or has no checksum. A truncated
    last line does not count as a difference."""
    length, checksum = (_sums(path.parent) or {}).get(path.name, (0, 0))
    content = path.read_bytes() if path.exists() else b""
    if len(content) < length:
        return f"has {len(content)} of {length} bytes that were written"
    return "" if zlib.crc32(content[:length]) == checksum else "is not what was written"


def _update_checksum(path: Path) -> None:
    """Extend the checksum in ``sums.json`` to the present end of the file. It may lag behind after a kill. It is not
    changed when the file has become shorter, nor when ``sums.json`` is damaged, which would hide the damage."""
    sums = _sums(path.parent)
    if sums is None:
        return
    length, checksum = sums.get(path.name, (0, 0))
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) < length:
            return
        stream.seek(length)
        more = stream.read()
    sums[path.name] = length + len(more), zlib.crc32(more, checksum)
    _write_sums(path.parent, sums)


def _reset_checksum(path: Path) -> None:
    """Replace a file's checksum by that of its present content."""
    sums = _sums(path.parent)
    if sums is not None:
        content = path.read_bytes()
        _write_sums(path.parent, {**sums, path.name: (len(content), zlib.crc32(content))})


def set_sums_aside(folder: Path, names: Sequence[str]) -> str:
    """Replace a damaged ``sums.json`` by one of the files as they are now; returns what was done, in words."""
    with locked(folder):
        aside = set_aside(folder / SUMS) if (folder / SUMS).is_dir() else copy_aside(folder / SUMS)
        contents = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
        _write_sums(folder, {name: (len(content), zlib.crc32(content)) for name, content in contents.items()})
    return f"it is written anew from the stores as they are, and the file as it was is {aside.name}"


def sums_are_readable(folder: Path) -> bool:
    """Whether ``sums.json`` is as it was written, or missing, as beside stores of older versions."""
    return _sums(folder) is not None


def _write_sums(folder: Path, sums: Mapping[str, tuple[int, int]]) -> None:
    write_durably(folder / SUMS, json.dumps({**sums, SUMS: (len(sums), _checksum_of(sums))}) + "\n")


def _sums(folder: Path) -> dict[str, tuple[int, int]] | None:
    """File name -> length and checksum; None when ``sums.json`` cannot be read or is not as it was written. Its entry
    of its own name is the checksum of the others; it had none in older versions."""
    try:
        content = json.loads((folder / SUMS).read_text(encoding="utf-8"))
        sums = {name: (int(length), int(checksum)) for name, (length, checksum) in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    own = sums.pop(SUMS, None)
    intact = own in (None, (len(sums), _checksum_of(sums))) and all(name.endswith(".jsonl") for name in sums)
    return sums if intact else None


def _checksum_of(sums: Mapping[str, tuple[int, int]]) -> int:
    return zlib.crc32(json.dumps(sums, sort_keys=True).encode())


def set_bad_lines_aside(path: Path, accept: Accept) -> str:
    """Keep the lines that are objects and for which ``accept`` raises no BadInput, and a copy of the file as it was.
    Takes over the lines of an earlier copy that has more of them. Returns what was done, in words."""
    with locked(path.parent):
        aside = set_aside(path) if path.is_dir() else copy_aside(path) if path.exists() else None
        lines = _lines(path)
        kept = good = [line for line in lines if _is_accepted(line, accept)]
        if fuller := fuller_copy(path, accept):
            earlier = dict.fromkeys(_readable(fuller, accept))
            kept = [*earlier, *(line for line in good if line not in earlier)]
        write_durably(path, "".join(f"{line.decode()}\n" for line in kept))
        _reset_checksum(path)
    done = f"{len(good)} of {len(lines)} lines are kept"
    if fuller:
        done += f", and {len(kept) - len(good)} more are taken over from {fuller.name}"
    return f"{done}; the file as it was is {aside.name}" if aside else done


def fuller_copy(path: Path, accept: Accept) -> Path | None:
    """The copy beside a file, set aside by an earlier repair, that has more readable lines than the file; or None."""
    copies = [copy for copy in itertools.takewhile(Path.exists, names_aside(path)) if copy.is_file()]
    numbers = {copy: len(_readable(copy, accept)) for copy in copies}
    most = max(copies, key=numbers.__getitem__, default=None)
    return most if most and numbers[most] > len(_readable(path, accept)) else None


def _readable(path: Path, accept: Accept) -> list[bytes]:
    return [line for line in _lines(path) if _is_accepted(line, accept)]


def _lines(path: Path) -> list[bytes]:
    whole, tail = _split(path)
    return [*whole.split(b"\n")[:-1], *([tail] if tail else [])]


def _is_accepted(line: bytes, accept: Accept) -> bool:
    try:
        accept(parse_object(line.decode()))
    except (ValueError, BadInput):
        return False
    return True


def _ending(path: Path) -> tuple[int, bytes]:
    """The offset where complete lines end, and the bytes after it. Reads a long file from its end only."""
    try:
        with path.open("rb") as stream:
            start, last = stream.seek(0, os.SEEK_END), b""
            while start and b"\n" not in last:
                block = min(start, BLOCK)
                start = stream.seek(start - block)
                last = stream.read(block) + last
    except FileNotFoundError:
        return 0, b""
    end = last.rfind(b"\n") + 1
    return start + end, last[end:]


def _split(path: Path) -> tuple[bytes, bytes]:
    """The complete lines, and the bytes after the last line end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", b""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def is_object(line: bytes) -> bool:
    """Whether a line is a JSON object. A truncated one does not parse, since it lacks its last brace."""
    try:
        parse_object(line.decode())
    except ValueError:
        return False
    return True


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return parse_object(line.decode())
    except ValueError as error:
        fault = "is not UTF-8 text; restore it" if isinstance(error, UnicodeDecodeError) else error
        raise BadInput(f"{path}, line {number} {fault}") from None
