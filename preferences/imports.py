"""A file of pairs, rewards or votes that somebody else wrote -> rows, with every bad one named by its line.

JSONL or CSV (by the name's ending). pairs: prompt, chosen, rejected   reward: prompt, completion, score
optional: chosen_score, rejected_score, category, source, chosen_origin, rejected_origin (reward: origin), receipt
votes: id, vote, and by where several people voted. A row of a store file, with its provenance, is taken as it is.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lanes.errors import BadInput
from preferences.overlay import CHOICES, Standing, Vote, choice_of
from preferences.provenance import Origin, Provenance, Side
from preferences.rows import SIDES, Kind, Row, receipt_of, row_from_json
from preferences.stores import mechanical, require_vote
from probes.data import Reserved, turns_of
from probes.prompts import parse_object, read_text

Item = TypeVar("Item")
Record = Mapping[str, Any]
Line = tuple[int, Record | BadInput]
VOTE_COLUMNS = ("id", "vote", "by")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was not taken, and why in one sentence."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row has that does not say otherwise; ``rejected``: the origin of a rejected side."""

    category: str
    source: str
    origin: Origin
    rejected: Origin


@dataclass(frozen=True, slots=True)
class Found:
    """The good rows or votes of a file in its order, the bad ones, and the columns that mean nothing here."""

    rows: tuple[Row, ...]
    votes: tuple[Vote, ...]
    bad: tuple[BadRow, ...]
    ignored: tuple[str, ...]


def read_rows(path: Path, kind: Kind, defaults: Defaults, time: str, reserved: Reserved, plain: bool | None) -> Found:
    """The rows of a file for one store. ``plain``: the form that the store has, None where it is empty."""
    form = [plain]

    def row_of(record: Record) -> Row:
        row = _row(kind, record, defaults, time)
        overlap = reserved.overlap(row.prompt, *row.texts)
        if overlap is not None:
            raise BadInput(f"{overlap.told}; leave the row out")
        if form[0] not in (None, row.plain):
            has = "plain texts" if form[0] else "conversations"
            raise BadInput(f"TRL trains on one form at a time and the rows before hold {has}; write this one so, too")
        form[0] = row.plain
        return row

    known = {"id", "time", "prompt", "category", "source", "provenance", "receipt", *_columns(kind)}
    rows, bad, ignored = _taken(path, row_of, known)
    return Found(rows, (), bad, ignored)


def read_votes(path: Path, rows: Mapping[str, Standing], by: str, time: str) -> Found:
    """The votes of a file on rows that are there; ``by``: who voted where the row does not say.

    One voter cannot say two things of a row that exclude each other.
    """
    said: dict[tuple[str, str], str] = {}
    made = mechanical(one.row for one in rows.values())

    def vote_of(record: Record) -> Vote:
        for column in VOTE_COLUMNS[:2]:
            if not isinstance(record.get(column), str) or not record[column].strip():
                raise BadInput(f"it has no text in {column!r}; a vote needs id and vote ({', '.join(CHOICES)})")
        voter = record.get("by") or by
        if not isinstance(voter, str):
            raise BadInput(f"by={voter!r} is no name; give one")
        vote = Vote(record["id"].strip(), choice_of(record["vote"].strip()), voter.strip(), time)
        require_vote(vote, rows.get(vote.row), made)
        if vote.vote in ("up", "down"):
            before = said.setdefault((vote.row, vote.by), vote.vote)
            if before != vote.vote:
                raise BadInput(
                    f"{vote.by} votes {vote.vote} on row {vote.row} and {before} further up; keep one, or name the "
                    "voters in a column by"
                )
        return vote

    votes, bad, ignored = _taken(path, vote_of, set(VOTE_COLUMNS))
    return Found((), votes, bad, ignored)


def _taken(
    path: Path, make: Callable[[Record], Item], known: set[str]
) -> tuple[tuple[Item, ...], tuple[BadRow, ...], tuple[str, ...]]:
    good: list[Item] = []
    bad: list[BadRow] = []
    ignored: dict[str, None] = {}
    for number, record in _records(path):
        try:
            if isinstance(record, BadInput):
                raise record
            ignored |= dict.fromkeys(name for name in record if name not in known)
            good.append(make(record))
        except BadInput as error:
            bad.append(BadRow(number, str(error)))
    if not good and not bad:
        raise BadInput(f"{path} holds no rows; give a file with some")
    return tuple(good), tuple(bad), tuple(ignored)


def _records(path: Path) -> Iterator[Line]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".csv"):
        return _csv_records(path)
    if name.endswith((".jsonl", ".json")):
        return _jsonl_records(path)
    raise BadInput(f"{path} must be a .jsonl or a .csv file; convert or rename it")


def _jsonl_records(path: Path) -> Iterator[Line]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_object(line)
            except ValueError as error:
                yield number, BadInput(f"it {error}")


def _csv_records(path: Path) -> Iterator[Line]:
    """Of a table with a header line; empty cells are missing values, and every cell is a text."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise BadInput(f"{path} names a column twice in its first line; rename one")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                yield line, {name: cell for name, cell in zip(header, cells, strict=True) if cell}
            elif cells:
                told = f"it has {len(cells)} cells and the header {len(header)}"
                yield line, BadInput(f"{told}; put texts with commas or line ends in quotes")
            line = reader.line_num + 1
    except csv.Error as error:
        yield reader.line_num, BadInput(f"it and what follows cannot be read as CSV ({error}); mend the quotes")


def _columns(kind: Kind) -> tuple[str, ...]:
    if kind == "reward":
        return ("completion", "score", "origin")
    return tuple(f"{side}{what}" for side in SIDES[kind] for what in ("", "_score", "_origin"))


def _row(kind: Kind, record: Record, defaults: Defaults, time: str) -> Row:
    if isinstance(record.get("provenance"), dict):
        return row_from_json(kind, record)
    sides = SIDES[kind]
    texts = []
    for column in ("prompt", *sides):
        turns = turns_of(record.get(column))
        if turns is None:
            what = "no column" if column not in record else "no text (or list of turns with role and content) in"
            raise BadInput(f"it has {what} {column!r}; a {kind} row needs prompt, {' and '.join(sides)}")
        texts.append(turns)
    names = [("score", "origin")] if kind == "reward" else [(f"{side}_score", f"{side}_origin") for side in sides]
    usual = (defaults.origin, defaults.rejected)
    origins = [record.get(origin) or own for (_, origin), own in zip(names, usual, strict=False)]
    try:
        receipt = receipt_of(record.get("receipt"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"its receipt is no JSON object ({error}); mend it or leave it out") from None
    return Row(
        kind, time, texts[0], tuple(texts[1:]), tuple(_score(record, score) for score, _ in names),
        _name(record, "category", defaults.category), _name(record, "source", defaults.source),
        Provenance(tuple(Side(origin) for origin in origins)), receipt,
    )  # fmt: skip


def _score(record: Record, column: str) -> float | None:
    """A number, or in CSV the text of one; None where there is none."""
    value = record.get(column)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (ValueError, TypeError, OverflowError):
        raise BadInput(f"{column}={value!r} is no number; mend it or leave it out") from None


def _name(record: Record, column: str, default: str) -> str:
    value = record.get(column)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise BadInput(f"{column}={value!r} is no text; write it in quotes")
    return value
