"""Blocks of plain text for a terminal: columns that line up, and lines that wrap."""

import textwrap
from collections.abc import Sequence

from view.data.changes import Change
from view.markdown import percent

WIDTH = 112
TextPart = tuple[str, list[str]]


def joined(parts: Sequence[TextPart]) -> str:
    """Parts with their titles, those without lines left out."""
    return "\n\n".join("\n".join(([title] if title else []) + lines) for title, lines in parts if lines)


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table: the first ``left`` columns aligned left, the others right. No lines without rows."""
    if not rows:
        return []
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        cells = enumerate(zip(row, widths, strict=True))
        padded = [cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in cells]
        return "  ".join(padded).rstrip()

    return [line(row) for row in (headings, *rows)]


def columns(rows: Sequence[tuple[str, str]], width: int = 10) -> list[str]:
    """A name before each text, which wraps in its own column."""
    found = []
    for name, value in rows:
        lines = wrapped(value, WIDTH - width)
        found += [f"{name if not place else '':<{width}}{line}" for place, line in enumerate(lines)]
    return found


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def interval(change: Change) -> str:
    return f"{change.delta:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"


def chance(value: float) -> str:
    """A chance in percent; only a bound if it is nearly 0 or nearly 1."""
    if value < 0.001:
        return "under 0.1 %"
    if value > 0.999:
        return "over 99.9 %"
    return f"{value * 100:.1f} %" if value > 0.99 else percent(value)


def number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
