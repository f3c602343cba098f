"""The rows of a source of training data: good ones as pairs, bad ones with their place and the reason."""

import math
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from common.digests import digest_of
from common.errors import BadInput
from probes.inputs.files.location import Where
from probes.inputs.files.records import at, records, rows_digest, unit_of
from probes.inputs.rows.columns import PAIR, USED
from probes.inputs.rows.repeated_prompts import PromptInAnswers, removes_prompts, repeats_prompt
from probes.inputs.rows.texts import BadRow, difficulty_of, texts_of
from probes.inputs.rows.turns import Turns, plain

BadRows = Literal["refuse", "leave_out"]
Gap = tuple[int, str]
"""A place where rows were left out: the number of training pairs before it, and the digest of the next, "" if none."""
SHOWN = 10
SCORES = (("chosen_score", "rejected_score"), ("score_chosen", "score_rejected"))
"""The columns of both answers' scores: ours, and those of UltraFeedback and its like."""
_KNOWN = {*USED, *PAIR, "difficulty", *(name for names in SCORES for name in names)}


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One training row. ``line``: the line or row in its file. ``tools``: a JSON list of the assistant's tools, "" for
    none. ``margin``: the chosen answer's score minus the rejected one's; None if the row does not have both."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    source: str
    difficulty: int
    line: int = field(default=0, compare=False)
    tools: str = ""
    margin: float | None = None

    @property
    def content(self) -> tuple[Any, ...]:
        """All that training may depend on, for a digest; an older version had no margin."""
        whole = astuple(replace(self, line=0))
        return whole if self.margin is not None else whole[:-1]

    @property
    def length(self) -> int:
        """Characters in prompt, chosen and rejected."""
        return sum(len(plain(text)) for text in (self.prompt, self.chosen, self.rejected))


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source in the order of its file. ``files``: the digest of its files. ``ignored_columns``: columns
    without a meaning here. ``prompts_removed``: the number of rows whose answers began with the prompt."""

    name: str
    where: Where
    pairs: tuple[TrainingRow, ...]
    bad: tuple[BadRow, ...]
    files: str = ""
    ignored_columns: tuple[str, ...] = ()
    prompts_removed: int = 0

    def without(self, refused: Sequence[BadRow]) -> "SourceRows":
        """The source without these rows; BadInput if none is left."""
        lines = {row.line: row for row in reversed((*self.bad, *refused))}  # the first reason counts
        bad = tuple(lines[line] for line in sorted(lines))
        if not (pairs := tuple(pair for pair in self.pairs if pair.line not in lines)):
            raise BadInput(f"{_first(self.where, bad)}; no row of {self.where} is good")
        return replace(self, pairs=pairs, bad=bad)

    @cached_property
    def digest(self) -> str:
        """The digest of the training pairs, which stays the same if a row that was left out is removed."""
        return digest_of([pair.content for pair in self.pairs])

    @property
    def gaps(self) -> list[Gap]:
        """The places where rows were left out, for ``within``."""
        places = sorted({bisect(self.pairs, row.line, key=lambda pair: pair.line) for row in self.bad})
        return [(place, _digest(self.pairs, place)) for place in places]

    def within(self, gaps: Iterable[Gap]) -> list[int]:
        """The lines of the rows that are now in the gaps of an earlier version of the source."""
        lines: list[int] = []
        for place, follower in gaps:
            here = place + len(lines)
            end = next((at for at in range(here, len(self.pairs) + 1) if _digest(self.pairs, at) == follower), None)
            if end is None:  # other rows have changed, too; the digest shows that
                break
            lines += [pair.line for pair in self.pairs[here:end]]
        return lines

    @property
    def left_out(self) -> str:
        """A sentence such as "source honest: 3 of 400 rows left out (lines 5, 9, 31: ...)"; "" if there are none."""
        if not self.bad:
            return ""
        places = ", ".join(str(row.line) for row in self.bad[:SHOWN]) + (", …" if len(self.bad) > SHOWN else "")
        unit, total = unit_of(self.where), len(self.pairs) + len(self.bad)
        return (
            f"source {self.name}: {len(self.bad)} of {total} rows left out "
            f"({unit}{'s' if len(self.bad) > 1 else ''} {places}: {at('the first', self.bad[0].why)})"
        )

    @property
    def passed_over(self) -> str:
        """The ignored columns in words; "" if there are none."""
        columns = ", ".join(map(_shown, self.ignored_columns))
        return f"source {self.name}: ignored columns: {columns}" if columns else ""

    @property
    def prompts_taken_off(self) -> str:
        """A sentence with the number of rows whose answers lost their prompt; "" if there are none."""
        rows = f"{self.prompts_removed} of {len(self.pairs)} rows"
        return f"source {self.name}: the prompt is taken off the answers of {rows}" if self.prompts_removed else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about how its rows differ from the file: columns that are ignored, and prompts taken off
        answers."""
        return tuple(note for note in (self.prompts_taken_off, self.passed_over) if note)


def read_source(name: str, where: Where, prompt_in_answers: PromptInAnswers | None = None) -> SourceRows:
    """Read all rows of a source. BadInput if no row is good, if the file cannot be read to its end, or if answers begin
    with their prompt and what that means is not known."""
    pairs: list[TrainingRow] = []
    bad: list[BadRow] = []
    ignored_columns: dict[str, None] = {}
    entries = list(records(where))
    remove_prompt, prompts_removed = removes_prompts(f"{where}, {unit_of(where)}", entries, PAIR, prompt_in_answers), 0
    for place, record in entries:
        try:
            if isinstance(record, BadInput):
                raise record
            ignored_columns |= dict.fromkeys(column for column in record if column not in _KNOWN)
            pairs.append(_pair(name, place, record, remove_prompt))
            prompts_removed += remove_prompt and repeats_prompt(record, PAIR)
        except BadInput as error:
            bad.append(BadRow(place, str(error)))
    if not pairs and not bad:
        raise BadInput(f"{where} holds no pairs; add rows or take the source {name!r} out")
    if not pairs:
        raise BadInput(f"{_first(where, bad)}; no row of {where} is good")
    return SourceRows(
        name, where, tuple(pairs), tuple(bad), rows_digest(where), tuple(ignored_columns), prompts_removed
    )


def good_source(
    name: str, where: Where, bad_rows: BadRows = "refuse", prompt_in_answers: PromptInAnswers | None = None
) -> SourceRows:
    """Read a source for training. BadInput for a bad row, unless bad rows are left out."""
    source = read_source(name, where, prompt_in_answers)
    if source.bad and bad_rows == "refuse":
        raise refusal(where, source.bad)
    return source


def refusal(where: Where, bad: Sequence[BadRow]) -> BadInput:
    """The error for a source with bad rows that are refused."""
    return BadInput(
        f'{_first(where, bad)}; mend the file, or set bad_rows = "leave_out" under [data] to go on without bad rows'
    )


def load_source(name: str, where: Where, bad_rows: BadRows = "refuse") -> tuple[TrainingRow, ...]:
    """The training pairs of a source."""
    return good_source(name, where, bad_rows).pairs


def _pair(name: str, place: int, record: Mapping[str, Any], remove_prompt: bool) -> TrainingRow:
    texts = texts_of(record, PAIR, remove_prompt)
    chosen, rejected = texts.sides
    return TrainingRow(
        texts.prompt, chosen, rejected, name, difficulty_of(record), place, texts.tools, margin_of(record)
    )


def margin_of(record: Mapping[str, Any]) -> float | None:
    """The chosen answer's score minus the rejected one's; None if the row does not have both as numbers."""
    for names in SCORES:
        scores = [_number(record.get(name)) for name in names]
        if scores[0] is not None and scores[1] is not None:
            return scores[0] - scores[1]
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shown(column: str) -> str:
    return column[:40] if column.isprintable() else repr(column[:40])


def _digest(pairs: Sequence[TrainingRow], place: int) -> str:
    return digest_of(pairs[place].content) if place < len(pairs) else ""


def _first(where: Where, bad: Sequence[BadRow]) -> str:
    """A sentence about the first bad row, and how many more there are."""
    sentence = at(f"{where}, {unit_of(where)} {bad[0].line}", bad[0].why)
    more = len(bad) - 1
    return f"{sentence}; {more} more {'rows are' if more > 1 else 'row is'} bad" if more else sentence
