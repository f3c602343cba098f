"""Helpers for messages: plurals, 'did you mean', one-line excerpts."""

import difflib
from collections.abc import Iterable


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lower_first(message: str) -> str:
    """The message with its first letter in lower case, to continue a sentence of ours."""
    return message[:1].lower() + message[1:]


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' for the closest known name, or the list of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


def one_line(text: str, limit: int) -> str:
    """Printable text without line breaks, control characters or lone surrogates, at most ``limit`` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
