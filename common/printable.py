"""Output to people: all messages and data of nightlane go to stderr and stdout through this module.

The text may contain untrusted parts, so control characters are written out. A closed terminal, or a pipe without a
reader, ends the output and not the program.
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

_SHOWN = frozenset("\n\t\u200c\u200d")  # line ends, tabs, and what joins letters in Persian or parts of an emoji
_CONTROL = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_DOUBTFUL = re.compile(r"[^\x20-\x7e\n\t]")
_LOST_READER = (errno.EIO, errno.EPIPE)


def printable(text: object) -> str:
    r"""The text with control and format characters, bidirectional overrides among them, and lone surrogates written out
    as escapes such as \x1b or \u202e."""
    return _DOUBTFUL.sub(_written_out, str(text))


def _written_out(found: re.Match[str]) -> str:
    char = found[0]
    control = char not in _SHOWN and unicodedata.category(char) in _CONTROL
    return char.encode("unicode_escape").decode() if control else char


def print_message(text: object, end: str = "\n") -> None:
    """Print a message to stderr, without secrets."""
    _write(sys.stderr, redacted(printable(text)) + end)


def print_data(text: object) -> None:
    """Print data to stdout, without secrets."""
    _write(sys.stdout, redacted(printable(text)) + "\n")


def print_json(data: object) -> None:
    """Print data as JSON to stdout; secrets are removed from each text separately, so that it stays valid JSON."""
    _write(sys.stdout, printable(json.dumps(without_secrets(json.loads(json.dumps(data))), indent=2)) + "\n")


def print_json_line(data: object) -> None:
    """Print data as JSON on one line to stdout, without secrets."""
    _write(sys.stdout, printable(json.dumps(without_secrets(json.loads(json.dumps(data))))) + "\n")


def without_secrets(data: Any) -> Any:
    """JSON values without the secrets in their texts."""
    if isinstance(data, dict):
        return {redacted(name): without_secrets(value) for name, value in data.items()}
    if isinstance(data, list):
        return [without_secrets(value) for value in data]
    return redacted(data) if isinstance(data, str) else data


def _write(stream: TextIO | None, text: str) -> None:
    outlet = Outlet(stream)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    outlet.write(text.encode(encoding, "backslashreplace").decode(encoding))
    outlet.flush()


class Outlet:
    """A stream that may be missing or lose its reader: further output is then discarded. A full disk stays an error."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._tolerating_lost_reader():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with self._tolerating_lost_reader():
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _tolerating_lost_reader(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _LOST_READER:
                raise
            discard_output(self._stream)


def discard_output(stream: TextIO | None = None) -> None:
    """Redirect a stream, standard output by default, to the null device: else what is buffered fails again when Python
    ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (stream or sys.stdout).fileno())
    os.close(nowhere)
