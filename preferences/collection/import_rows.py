"""Reads pairs, rewards or votes from a file of rows (probes/inputs/files); reports every bad line with its reason.

Columns of pairs: prompt, chosen, rejected. Of rewards: prompt, completion, score. Of votes: id, vote, and `by` if
several people voted. Optional: chosen_score, rejected_score, category, source, chosen_origin, rejected_origin (rewards:
origin), receipt. A row of a store file, with its provenance, is added unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from common.errors import BadInput
from preferences.store.annotations import VOTE_CHOICES, AnnotatedRow, Vote, parse_vote_choice
from preferences.store.provenance import Origin, Provenance, TextOrigin
from preferences.store.rows import SIDES, Row, StoreKind, receipt_of, row_from_json
from preferences.store.stores import never_chosen, require_vote
from probes.inputs.files.location import Where
from probes.inputs.files.records import records, unit_of
from probes.inputs.rows.columns import USED
from probes.inputs.rows.repeated_prompts import OPTION, PromptInAnswers, removes_prompts, repeats_prompt
from probes.inputs.rows.texts import BadRow, texts_of
from probes.inputs.training_rows import ReservedPrompts

Item = TypeVar("Item")
Record = Mapping[str, Any]
VOTE_COLUMNS = ("id", "vote", "by")


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for columns that a row lacks; ``rejected``: the origin of rejected sides."""

    category: str
    source: str
    origin: Origin
    rejected: Origin


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The good rows or votes of a file in its order, the bad lines, the columns that were ignored, and the number of
    rows whose answers began with the prompt, which was removed."""

    rows: tuple[Row, ...]
    votes: tuple[Vote, ...]
    bad: tuple[BadRow, ...]
    ignored: tuple[str, ...]
    prompts_removed: int = 0


def read_rows(
    path: Where,
    kind: StoreKind,
    defaults: Defaults,
    time: str,
    *,
    reserved: ReservedPrompts,
    plain: bool | None,
    prompt_in_answers: PromptInAnswers | None = None,
) -> ParsedFile:
    """The rows of a file for one store. ``plain``: whether that store holds plain texts; None for an empty store."""
    form = [plain]
    sides, place_of, removed = SIDES[kind], f"{path}, {unit_of(path)}", [0]
    remove_prompt = removes_prompts(place_of, records(path), sides, prompt_in_answers, OPTION)

    def row_of(record: Record) -> Row:
        row = _row(kind, record, defaults, time, remove_prompt)
        overlap = reserved.overlap(row.prompt, *row.texts)
        if overlap is not None:
            raise BadInput(f"{overlap.sentence}; leave the row out")
        if form[0] not in (None, row.plain):
            earlier = "plain texts" if form[0] else "conversations"
            raise BadInput(f"TRL trains on one form at a time and earlier rows hold {earlier}; write this row so, too")
        form[0] = row.plain
        removed[0] += remove_prompt and repeats_prompt(record, sides)
        return row

    known = {"id", "time", "category", "source", "provenance", "receipt", *USED, *_columns(kind)}
    rows, bad, ignored = _parse_records(path, row_of, known)
    return ParsedFile(rows, (), bad, ignored, removed[0])


def read_votes(path: Where, rows: Mapping[str, AnnotatedRow], by: str, time: str) -> ParsedFile:
    """The votes of a file on stored rows; ``by``: the voter where a line names none.

    BadInput for contradicting votes of one voter on one row.
    """
    votes_of: dict[tuple[str, str], str] = {}
    unfit = never_chosen(one.row for one in rows.values())

    def vote_of(record: Record) -> Vote:
        for column in VOTE_COLUMNS[:2]:
            if not isinstance(record.get(column), str) or not record[column].strip():
                raise BadInput(f"it has no text in {column!r}; a vote needs id and vote ({', '.join(VOTE_CHOICES)})")
        voter = record.get("by") or by
        if not isinstance(voter, str):
            raise BadInput(f"by={voter!r} is not a name; give one")
        vote = Vote(record["id"].strip(), parse_vote_choice(record["vote"].strip()), voter.strip(), time)
        row = rows.get(vote.row)
        require_vote(vote, row, unfit.law_of(row))
        if vote.vote in ("up", "down"):
            before = votes_of.setdefault((vote.row, vote.by), vote.vote)
            if before != vote.vote:
                raise BadInput(
                    f"{vote.by} votes {vote.vote} on row {vote.row} here and {before} in an earlier line; keep one, or "
                    "name the voters in a column by"
                )
        return vote

    votes, bad, ignored = _parse_records(path, vote_of, set(VOTE_COLUMNS))
    return ParsedFile((), votes, bad, ignored)


def _parse_records(
    path: Where, make: Callable[[Record], Item], known: set[str]
) -> tuple[tuple[Item, ...], tuple[BadRow, ...], tuple[str, ...]]:
    good: list[Item] = []
    bad: list[BadRow] = []
    ignored: dict[str, None] = {}
    for number, record in records(path):
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


def _columns(kind: StoreKind) -> tuple[str, ...]:
    if kind == "reward":
        return ("completion", "score", "origin")
    return tuple(f"{side}{what}" for side in SIDES[kind] for what in ("", "_score", "_origin"))


def _row(kind: StoreKind, record: Record, defaults: Defaults, time: str, remove_prompt: bool) -> Row:
    sides = SIDES[kind]
    texts = texts_of(record, sides, remove_prompt)
    if isinstance(record.get("provenance"), dict):
        row = row_from_json(kind, record)
        if (row.prompt, row.texts) != (texts.prompt, texts.sides):
            raise BadInput(
                "it has the provenance of a stored row, which is added unchanged, and its answers hold the prompt; "
                "take the columns provenance and id out to import it as a row of your own"
            )
        return row
    if texts.tools:
        raise BadInput(
            "it has tools, which the stores do not keep; name the file under [data.sources] of a study to train on it, "
            "or take the column out"
        )
    names = [("score", "origin")] if kind == "reward" else [(f"{side}_score", f"{side}_origin") for side in sides]
    usual = (defaults.origin, defaults.rejected)
    origins = [record.get(origin) or own for (_, origin), own in zip(names, usual, strict=False)]
    try:
        receipt = receipt_of(record.get("receipt"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"its receipt is not a JSON object ({error}); mend it or leave it out") from None
    return Row(
        kind=kind,
        time=time,
        prompt=texts.prompt,
        texts=texts.sides,
        scores=tuple(_score(record, score) for score, _ in names),
        category=_name(record, "category", defaults.category),
        source=_name(record, "source", defaults.source),
        provenance=Provenance(tuple(TextOrigin(origin) for origin in origins)),
        receipt=receipt,
    )


def _score(record: Record, column: str) -> float | None:
    """A number, in CSV as text; None for an empty column."""
    value = record.get(column)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (ValueError, TypeError, OverflowError):
        raise BadInput(f"{column}={value!r} is not a number; mend it or leave it out") from None


def _name(record: Record, column: str, default: str) -> str:
    value = record.get(column)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise BadInput(f"{column}={value!r} is not a text; write it in quotes")
    return value
