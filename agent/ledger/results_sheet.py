"""results.tsv as a program or a person left it: its rows by our columns, and what in it is no row.

Spreadsheets quote cells, sort and reorder, write ``;`` or UTF-16, and turn 0.5 into 0,5.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.ledger.columns import COLUMNS, NUMBERS
from common.printable import printable
from common.redaction import redacted

HEADER = "\t".join(COLUMNS)
NAMING = {"time", "session", "id", "status"}
"""A line that has these is a header, whatever else a person made of it."""
SEPARATORS = "\t;,"
FORMULA = tuple('=+-@"＝＋－＠')
"""What a cell of text may not begin with: a formula, or a quote, from which on an import takes line ends for text."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What no person types at the head of a column: the name of one of ours there was damaged."""
DECIMAL_COMMA = re.compile(r"-?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)


def row_text(row: Mapping[str, Any]) -> str:
    return "\t".join(cell(row.get(column)) for column in COLUMNS)


def cell(value: Any) -> str:
    """One cell: dot decimals, blank for missing, and text that no spreadsheet takes for a formula or a quoted cell."""
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
    """Without secrets and what ends a line or a cell, and with what a terminal would obey written out. The environment
    has no part in it: a line that is made twice is the same."""
    text = "".join(" " if ord(char) < 32 or char in "\x7f\x85\u2028\u2029" else char for char in text)
    return printable(redacted(text.encode("utf-8", "replace").decode("utf-8"), {}))


@dataclass(frozen=True, slots=True)
class Row:
    """``own``: the cells of our columns, as one text; ``added``: those of a person's; ``line``: as it is written."""

    session: str
    id: str
    own: str
    added: str
    line: str


@dataclass(frozen=True)
class Sheet:
    """``added``: the heads of a person's columns. ``odd``: lines that are no rows. ``plain``: whether it is exactly as
    we write it, but for ``torn``, a last line without its end."""

    added: str
    rows: Sequence[Row]
    odd: Sequence[str]
    plain: bool
    torn: str = ""


def read_sheet(content: bytes) -> Sheet:
    """What a file of these bytes holds."""
    text, plain = decoded(content)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    torn = lines.pop()
    plain = plain and bool(lines) and all(lines) and "\r" not in text
    if not plain:
        lines, torn = [line for line in (*lines, torn) if line.strip()], ""
    form, head = _form(lines)
    made = [_row(line, form) for line in lines if line != head]
    rows = [row for row in made if isinstance(row, Row)]
    odd = [line for line in made if isinstance(line, str)]
    odd += [head] if head is not None and form.drops else []
    wide = max((row.added.count("\t") for row in rows), default=0)
    added = form.added + "\t" * (wide - form.added.count("\t"))
    plain = plain and not odd and lines[:1] == [HEADER + added] and all(row.line == raw for row, raw in zip(
        rows, lines[1:], strict=False
    ))  # fmt: skip
    return Sheet(added, rows, odd, plain and len(rows) == len(lines) - 1, torn)


def decoded(content: bytes) -> tuple[str, bool]:
    """The text, and whether it is UTF-8 without a byte order mark."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace"), False
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace"), False
    try:
        return content.decode("utf-8").removeprefix("\ufeff"), not content.startswith(b"\xef\xbb\xbf")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), False


@dataclass(frozen=True)
class _Form:
    """How rows are written: the separator, the place of each of our columns, those of the others, and how many there
    are in all."""

    separator: str
    ours: Sequence[int | None]
    others: Sequence[int]
    width: int
    added: str

    @property
    def drops(self) -> bool:
        """Whether a column is neither ours nor a person's."""
        return self.width > len(self.others) + sum(place is not None for place in self.ours)

    @property
    def usual(self) -> bool:
        """Ours first, in their order; an older file has fewer."""
        there = [place for place in self.ours if place is not None]
        return self.separator == "\t" and there == list(range(len(there)))


def _form(lines: Sequence[str]) -> tuple[_Form, str | None]:
    """By the header, wherever it stands; as we write it where there is none."""
    for line in lines:
        for separator in SEPARATORS if all(name in line for name in NAMING) else "":
            names = [name.strip() for name in _cells(line, separator)]
            if set(names) >= NAMING:
                ours = [names.index(column) if column in names else None for column in COLUMNS]
                others = [place for place, name in enumerate(names) if place not in ours and not CONTROL.search(name)]
                return _Form(separator, ours, others, len(names), "".join(f"\t{cell(names[p])}" for p in others)), line
    return _Form("\t", range(len(COLUMNS)), (), len(COLUMNS), ""), None


def _row(line: str, form: _Form) -> Row | str:
    """The row; the line itself where it is none."""
    cells = _cells(line, form.separator)
    ours = ["" if place is None or place >= len(cells) else cells[place] for place in form.ours]
    if not _is_time(ours[0]) or not ours[1].strip():
        return line
    others = [*(cells[place] if place < len(cells) else "" for place in form.others), *cells[form.width :]]
    written = [_as_written(name, own) for name, own in zip(COLUMNS, ours, strict=True)]
    own, added = "\t".join(written), "".join(f"\t{cell(other)}" for other in others).rstrip("\t")
    usual = form.usual and line.split("\t") == cells and not any(one.startswith('"') for one in cells)
    return Row(ours[1], ours[2], own, added, line if usual and redacted(line, {}) == line else own + added)


def _as_written(column: str, text: str) -> str:
    if column in NUMBERS:
        return text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else one_line(text)
    return cell(text)


def _cells(line: str, separator: str) -> list[str]:
    """Quoted cells as what they quote, where the whole line is well quoted."""
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
