"""Follows a file that other processes append to: each look reads only what is new."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

REMEMBERED = 64
"""Bytes of the last line that are kept: if the file has others in their place, it was overwritten."""


@dataclass
class FollowedFile:
    """The complete lines of a file, each with the offset of its first byte.

    The text after the last line end counts as a line if ``is_whole`` says so; otherwise it is not yet complete, and is
    read again later.
    """

    path: Path
    is_whole: Callable[[bytes], bool] = lambda _: False
    _inode: int | None = field(default=None, init=False)
    _end: int = field(default=0, init=False)
    _seen: bytes = field(default=b"", init=False)
    _ended_early: bool = field(default=False, init=False)
    _written_while_read: bool = field(default=False, init=False)

    def begins_anew(self) -> bool:
        """Whether the file was replaced, cut or changed since the last look, so that its lines are read from the first
        on. True at the first look, and after a look during which somebody wrote: an editor may have written over what
        was being read."""
        status = _status(self.path)
        inode, size = (status.st_ino, status.st_size) if status else (-1, 0)
        anew = inode != self._inode or size < self._end or (self._ended_early and size > self._end)
        if anew or self._written_while_read or self._written_over():
            self._inode, self._end, self._seen, self._ended_early = inode, 0, b"", False
            self._written_while_read = False
            return True
        return False

    def _written_over(self) -> bool:
        """Whether other bytes stand where the last line ended."""
        if not self._seen:
            return False
        with self.path.open("rb") as stream:
            stream.seek(self._end - len(self._seen))
            return stream.read(len(self._seen)) != self._seen

    def new_lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines since the last look, to be read to their end; none of a missing file."""
        try:
            stream = self.path.open("rb")
        except (FileNotFoundError, IsADirectoryError):
            return
        with stream:
            before = os.fstat(stream.fileno()).st_mtime_ns
            stream.seek(self._end)
            for line in stream:
                if not line.endswith(b"\n"):
                    if not self.is_whole(line):
                        break
                    self._ended_early = True
                start, self._end, self._seen = self._end, self._end + len(line), line[-REMEMBERED:]
                yield start, line.rstrip(b"\r\n")
            self._written_while_read = os.fstat(stream.fileno()).st_mtime_ns != before


def line_at(path: Path, start: int) -> bytes:
    """The line of a file that begins at a byte."""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.readline().rstrip(b"\r\n")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
