"""Markdown helpers. Text of unknown origin, such as a hypothesis, is escaped, so that it cannot act as Markdown."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from common.printable import printable
from common.redaction import redacted
from common.wording import count as count

MOST_LINES, MOST_CHARACTERS = 30, 1200
"""Limits of an answer that is shown."""
_SPECIAL = re.compile(r"([\\`*\[\]~$!#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def plain(text: object, longest: int = 1200) -> str:
    """One line without secrets and without control or format characters, shortened with an ellipsis."""
    kept = str(text)
    if not kept.isprintable():
        kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in kept)
    line = redacted(" ".join(kept.split()))
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def text(value: object, longest: int = 1200) -> str:
    """Text of unknown origin, escaped: it shows as written, without emphasis, links, images, HTML, code or formulas."""
    line = plain(value, longest).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", line).replace("://", ":\\//").replace("www.", "www\\.")


def code(value: object) -> str:
    """A name or value as a code span, or as escaped text where a code span or a table cannot hold it."""
    line = plain(value)
    return text(line) if not line or set(line) & set("`|\\<>") else f"`{line}`"


def fenced(lines: Sequence[str]) -> list[str]:
    """A code block of lines, without secrets; the content cannot close the block."""
    return ["```text", *(redacted(line).replace("`", "'").rstrip() for line in lines), "```"]


def command_block(commands: Sequence[tuple[str, str]]) -> list[str]:
    """Commands to type, each with a comment that says what it does."""
    width = max(len(command) for command, _ in commands)
    return fenced([f"{command:<{width}}  # {comment}" for command, comment in commands])


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of an answer as a code block. ``whole``: nothing was left out."""

    block: Markup
    whole: bool


def excerpt(answer: str, lines: int = MOST_LINES, characters: int = MOST_CHARACTERS) -> Excerpt:
    """The beginning of an answer. Its backticks are shown unchanged, since they are often its mistake; they cannot end
    the block."""
    kept = [printable(line.expandtabs(4)).rstrip() for line in answer[:characters].splitlines()[:lines]]
    longest = max((len(run) for line in kept for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    whole = len(answer) <= characters and len(answer.splitlines()) <= lines
    return Excerpt(Markup("\n".join([f"{fence}text", *kept, fence])), whole)


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), escaped: bool = False
) -> list[str]:
    """A pipe table whose source is aligned, too; ``right``: the indexes of the right-aligned columns.

    Cells are Markdown already; pipes in them are escaped here unless they are ``escaped``.
    """
    cells = [[cell if escaped else cell.replace("|", "\\|") for cell in row] for row in (headings, *rows)]
    widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(headings))]
    widths = [min(width, 60) for width in widths]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if place in right else "-" * width for place, width in enumerate(widths)]
    return [line(cells[0]), line(rule), *map(line, cells[1:])]


def signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign; by default on the 0 to 10 scale."""
    return "" if value is None else f"{value:+.{digits}f}"


def percent(value: float) -> str:
    """A chance or an error level in percent, with decimals only below 10 %."""
    return f"{value * 100:.3g} %" if 0 < value < 0.1 else f"{value:.0%}".replace("%", " %")


def chance(value: float) -> str:
    """An estimated chance in percent, never as 0 or 100."""
    return "under 1 %" if value < 0.01 else "over 99 %" if value > 0.99 else f"{value * 100:.0f} %"


def duration(seconds: float) -> str:
    """Seconds in the units that a person would use."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(stamp: str) -> str:
    """The ledger's ISO-8601 time for reading."""
    return f"{stamp[:10]} {stamp[11:16]} UTC"


def dollars(amount: float) -> str:
    """An amount in dollars, with two decimals from one dollar on and four below."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def bar(delta: float, low: float, high: float, scale: float, width: int = 33, mark: str = "●") -> str:
    """An interval around 0 as one line of text, ``mark`` at its middle; < and > mark an end beyond the scale."""
    middle = width // 2

    def place(value: float) -> int:
        return min(max(round((value / scale + 1) / 2 * (width - 1)), 0), width - 1)

    cells = [" "] * width
    cells[middle] = "│"
    for at in range(place(low), place(high) + 1):
        cells[at] = "┼" if at == middle else "─"
    if -scale <= delta <= scale:
        cells[place(delta)] = mark
    if low < -scale:
        cells[0] = "<"
    if high > scale:
        cells[-1] = ">"
    return "".join(cells)
