"""Writes and reads results.tsv, also after a person or a spreadsheet changed it.

Spreadsheets quote cells, sort rows, reorder columns, write ``;`` or UTF-16, and turn 0.5 into 0,5.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.ledger.results.columns import COLUMNS, HEADER, NUMBERS
from common.printable import printable
from common.redaction import redacted

HEADER_NAMES = {"time", "session", "id", "status"}
"""A line with these cells is a header, whatever else was changed in it."""
SEPARATORS = "\t;,"
FORMULA = tuple('=+-@"＝＋－＠')
"""Characters that no text cell may begin with: they start a formula, or a quoted cell that may span lines."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters in a column name show that the name is damaged; nobody types them."""
DECIMAL_COMMA = re.compile(r"-?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|", re.IGNORECASE)


def row_text(row: Mapping[str, Any]) -> str:
    return "\t".join(cell(row.get(column)) for column in COLUMNS)


def cell(value: Any) -> str:
    """The text of a cell: dot decimals, blank for missing, text that no spreadsheet takes for a formula or a quote."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    text = one_line(str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def one_line(text: str) -> str:
    """The text in one line: without secrets, line ends and tabs, and with terminal control characters escaped.

    It does not depend on the environment, so the same text always gives the same line.
    """
    text = "".join(" " if ord(char) < 32 or char in "\x7f\x85\u2028\u2029" else char for char in text)
    return printable(redacted(text.encode("utf-8", "replace").decode("utf-8"), {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """A row of the file. ``cells``: our columns as we write them; ``extra``: the cells of a person's own columns, each
    after a tab; ``line``: how the row is written when nothing else changes."""

    session: str
    id: str
    cells: str
    extra: str
    line: str


@dataclass(frozen=True)
class Sheet:
    """The content of the file.

    ``extra``: the headers of a person's own columns. ``other_lines``: lines that are not rows. ``unchanged``: whether
    it is exactly as we write it, except for ``unfinished``, a last line without a line end.
    """

    extra: str
    rows: Sequence[SheetRow]
    other_lines: Sequence[str]
    unchanged: bool
    unfinished: str = ""


def read_sheet(content: bytes) -> Sheet:
    text, is_utf8 = decoded(content)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    unfinished = lines.pop()
    unchanged = is_utf8 and bool(lines) and all(lines) and "\r" not in text
    if not unchanged:
        lines, unfinished = [line for line in (*lines, unfinished) if line.strip()], ""
    layout, header = _layout(lines)
    parsed = [_row(line, layout) for line in lines if line != header]
    rows = [row for row in parsed if isinstance(row, SheetRow)]
    other_lines = [line for line in parsed if isinstance(line, str)]
    other_lines += [header] if header is not None and layout.has_damaged_columns else []
    widest = max((row.extra.count("\t") for row in rows), default=0)
    extra = layout.extra + "\t" * (widest - layout.extra.count("\t"))
    as_written = [HEADER + extra, *(row.line for row in rows)]
    return Sheet(extra, rows, other_lines, unchanged and not other_lines and lines == as_written, unfinished)


def decoded(content: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it is UTF-8 without a byte order mark."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace"), False
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace"), False
    try:
        return content.decode("utf-8").removeprefix("\ufeff"), not content.startswith(b"\xef\xbb\xbf")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), False


@dataclass(frozen=True, kw_only=True)
class _SheetLayout:
    """How rows are written. ``ours``: the place of each of our columns, None if it is missing; ``others``: the places
    of a person's own columns; ``width``: the number of columns; ``extra``: the headers of a person's own columns."""

    separator: str
    ours: Sequence[int | None]
    others: Sequence[int]
    width: int
    extra: str

    @property
    def has_damaged_columns(self) -> bool:
        """Whether a column is neither one of ours nor one that a person named."""
        return self.width > len(self.others) + sum(place is not None for place in self.ours)

    @property
    def is_usual(self) -> bool:
        """Whether our columns come first, in their order; an older file has fewer of them."""
        found = [place for place in self.ours if place is not None]
        return self.separator == "\t" and found == list(range(len(found)))


def _layout(lines: Sequence[str]) -> tuple[_SheetLayout, str | None]:
    """The layout according to the header, in whichever line it is, and that line; without a header, our own layout."""
    for line in lines:
        for separator in SEPARATORS if all(name in line for name in HEADER_NAMES) else "":
            names = [name.strip() for name in _cells(line, separator)]
            if set(names) >= HEADER_NAMES:
                ours = [names.index(column) if column in names else None for column in COLUMNS]
                others = [place for place, name in enumerate(names) if place not in ours and not CONTROL.search(name)]
                extra = "".join(f"\t{cell(names[place])}" for place in others)
                return _SheetLayout(separator=separator, ours=ours, others=others, width=len(names), extra=extra), line
    return _SheetLayout(separator="\t", ours=range(len(COLUMNS)), others=(), width=len(COLUMNS), extra=""), None


def _row(line: str, layout: _SheetLayout) -> SheetRow | str:
    """The row of a line, or the line itself if it is not a row."""
    found = _cells(line, layout.separator)
    ours = ["" if place is None or place >= len(found) else found[place] for place in layout.ours]
    if not _is_time(ours[0]) or not ours[1].strip():
        return line
    others = [*(found[place] if place < len(found) else "" for place in layout.others), *found[layout.width :]]
    written = [_as_written(name, own) for name, own in zip(COLUMNS, ours, strict=True)]
    cells, extra = "\t".join(written), "".join(f"\t{cell(other)}" for other in others).rstrip("\t")
    usual = layout.is_usual and line.split("\t") == found and not any(one.startswith('"') for one in found)
    keeps_line = usual and redacted(line, {}) == line
    return SheetRow(session=ours[1], id=ours[2], cells=cells, extra=extra, line=line if keeps_line else cells + extra)


def _as_written(column: str, text: str) -> str:
    if column in NUMBERS and DECIMAL_COMMA.fullmatch(text):
        return text.replace(",", ".")
    return text if column in NUMBERS and NUMBER.fullmatch(text) else cell(text)


def _cells(line: str, separator: str) -> list[str]:
    """The cells of a line, without their quotes if all quotes of the line match."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [""])
    except csv.Error:
        return line.split(separator)


def _is_time(text: str) -> bool:
    if not TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
