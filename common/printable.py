"""The one way out: what nightlane tells a person goes to a terminal, a pipe or a file through here.

What is told may hold text that nobody vouches for, so nothing in it is obeyed by a terminal; and a terminal that was
closed, or a pipe whose reader has gone, ends what is told and not who tells it.
"""

import errno
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from common.redaction import redacted

_SEEN = frozenset("\n\t\u200c\u200d")  # line ends, tabs, and what joins letters in Persian or parts of an emoji
_OBEYED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_DOUBTFUL = re.compile(r"[^\x20-\x7e\n\t]")
_GONE = (errno.EIO, errno.EPIPE)


def printable(text: object) -> str:
    r"""The text, with every character that a terminal would obey and not show written out, such as \x1b or \u202e:
    control and format characters (those that turn the direction of writing among them) and lone surrogates."""
    return _DOUBTFUL.sub(_written_out, str(text))


def _written_out(found: re.Match[str]) -> str:
    char = found[0]
    obeyed = char not in _SEEN and unicodedata.category(char) in _OBEYED
    return char.encode("unicode_escape").decode() if obeyed else char


def tell(text: object, end: str = "\n") -> None:
    """A message, to stderr; without secrets."""
    _write(sys.stderr, redacted(printable(text)) + end)


def give(text: object) -> None:
    """Data, to stdout; without secrets."""
    _write(sys.stdout, redacted(printable(text)) + "\n")


def give_json(data: object) -> None:
    """Data as JSON, to stdout; its texts without secrets, each by itself, so that it stays JSON."""
    _write(sys.stdout, printable(json.dumps(_without_secrets(json.loads(json.dumps(data))), indent=2)) + "\n")


def _without_secrets(data: Any) -> Any:
    if isinstance(data, dict):
        return {redacted(name): _without_secrets(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_without_secrets(value) for value in data]
    return redacted(data) if isinstance(data, str) else data


def _write(stream: TextIO | None, text: str) -> None:
    outlet = Outlet(stream)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    outlet.write(text.encode(encoding, "backslashreplace").decode(encoding))
    outlet.flush()


class Outlet:
    """A stream that may be none, or lose its reader: then what is written to it is lost, and no more. A full disk is
    still an error."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._alone():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with self._alone():
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self._let_go()

    def _let_go(self) -> None:
        """Nobody will read any more: what is still in a buffer must not fail again, at the latest when Python ends."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno() if self._stream is not None else nowhere)
        os.close(nowhere)
