"""Reads a language model's reply, which is untrusted: a closed schema, a knob and a value from the lists it was shown.

A reply that is not JSON is repaired once (json-repair). A reply that could be read in two ways is refused: a key given
twice, two objects. So is a reply that is longer than any answer needs.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.wording import lower_first, one_line
from lanes import Value, show
from probes.endpoint.json_replies import Ambiguous, repaired_json, strict_json

MAX_REPLY = 20_000
MOST_PREDICTED = 10.0


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Move(_Closed):
    """The knob to change and its new value."""

    knob: str = Field(max_length=200)
    value: str | int | float | list[str]


class Reply(_Closed):
    """The closed schema of a reply."""

    move: Move
    hypothesis: str = Field(max_length=2000)
    predicted_delta: float = Field(ge=-MOST_PREDICTED, le=MOST_PREDICTED)

    @field_validator("hypothesis")
    @classmethod
    def _says_something_in_one_line(cls, text: str) -> str:
        line = one_line(text, 2000)
        if not line:
            raise ValueError("it is empty; say why the change should help")
        return line


class RefusedReply(Exception):
    """A reply that breaks the schema or names no legal move; the text tells the model what is wrong."""


def read_reply(text: str) -> Reply:
    """The reply in a model's text, repaired once if it is malformed; RefusedReply says what is wrong with it."""
    answer = text.rpartition("</think>")[2].strip()
    if not answer:
        raise RefusedReply("it is empty")
    if len(answer) > MAX_REPLY:
        raise RefusedReply(f"it is {len(answer)} characters long and at most {MAX_REPLY} are read")
    data = _parsed(answer)
    if not isinstance(data, dict):
        raise RefusedReply("it is not one JSON object")
    try:
        return Reply.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = one_line(".".join(map(str, first["loc"])), 80) or "the object"
        raise RefusedReply(
            f"{where}: {one_line(lower_first(first['msg'].removeprefix('Value error, ')), 200)}"
        ) from None


def reply_text(knob: str, value: Value, hypothesis: str, predicted: float) -> str:
    """A reply as text that ``read_reply`` reads; the prediction is clipped to the bounds of the schema."""
    bounded = min(max(predicted, -MOST_PREDICTED), MOST_PREDICTED) + 0.0  # + 0.0 turns -0.0 into 0.0
    move = Move(knob=knob, value=as_json(value))
    return Reply(move=move, hypothesis=hypothesis, predicted_delta=bounded).model_dump_json()


def as_json(value: Value) -> str | int | float:
    """A legal value as a reply gives it: a number, or the text that the briefing lists."""
    return show(value) if isinstance(value, tuple) else value


def chosen_move(reply: Reply, moves: Mapping[str, Sequence[Value]]) -> Value:
    """The legal value that the reply names, as the ladder has it; RefusedReply lists the legal ones."""
    named = reply.move
    if named.knob not in moves:
        known = ", ".join(moves)
        raise RefusedReply(
            f"knob {one_line(named.knob, 80)!r} has no legal move in this turn's lane; choose one of {known}"
        )
    value = tuple(named.value) if isinstance(named.value, list) else named.value
    for move in moves[named.knob]:
        if move == value or show(move) == str(value) or _same_number(move, value):
            return move
    listed = ", ".join(map(show, moves[named.knob]))
    raise RefusedReply(f"{named.knob}={one_line(str(named.value), 80)} is not among the legal values {{{listed}}}")


def _parsed(text: str) -> Any:
    """The text, parsed as strict JSON or else repaired. RefusedReply if a field is given twice."""
    try:
        strict = strict_json(text)
    except Ambiguous as error:
        raise RefusedReply(f"{error}; propose one knob in one JSON object") from None
    if strict is not None:
        return strict
    for name in (*Reply.model_fields, *Move.model_fields):
        if len(re.findall(rf"""["']{name}["']\s*:""", text)) > 1:
            raise RefusedReply(f"it gives {name!r} more than once; propose one knob in one JSON object")
    return repaired_json(text)


def _same_number(move: Value, value: Value) -> bool:
    """Whether both are the same number, written in another way: 2e-05, 0.00002 or "2e-5"."""
    if isinstance(move, str | tuple) or isinstance(value, tuple):
        return False
    try:
        return math.isclose(float(move), float(value), rel_tol=1e-6)
    except (ValueError, OverflowError):
        return False
