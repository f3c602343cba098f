"""A row of a preference store: texts, scores and provenance. Immutable; the constructor refuses what breaks a law.

preference, dpo, orpo   prompt, chosen, rejected        reward   prompt, completion
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, get_args

from common.digests import digest_of
from common.errors import BadInput
from preferences.store.provenance import NEVER_CHOSEN, Provenance, TextOrigin, is_number, require_types, require_utf8
from probes.inputs.rows.messages import turns_of
from probes.inputs.rows.turns import Turns

StoreKind = Literal["preference", "reward", "dpo", "orpo"]
KINDS: tuple[StoreKind, ...] = get_args(StoreKind)

PAIR = ("chosen", "rejected")
SIDES: Mapping[StoreKind, tuple[str, ...]] = {"preference": PAIR, "reward": ("completion",), "dpo": PAIR, "orpo": PAIR}


def kind_of(text: str) -> StoreKind:
    if text not in KINDS:
        close = difflib.get_close_matches(text, KINDS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise BadInput(f"there is no store {text!r}; use one of {', '.join(KINDS)}{hint}")
    return text


@dataclass(frozen=True, kw_only=True)
class Row:
    """One pair, or for rewards one answer: ``texts``, ``scores`` and ``provenance.sides`` in the order of ``SIDES``.

    ``receipt``: a gate's certificate for the chosen side, as given. BadInput names the law that the row breaks.
    """

    kind: StoreKind
    time: str
    prompt: Turns
    texts: tuple[Turns, ...]
    scores: tuple[float | None, ...]
    category: str
    source: str
    provenance: Provenance
    receipt: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        names = SIDES[kind_of(self.kind)]
        if not len(names) == len(self.texts) == len(self.scores) == len(self.provenance.sides):
            raise BadInput(
                f"a {self.kind} row has {' and '.join(names)}, each with a score and an origin; give both for each"
            )
        require_types(self, {"time": str, "category": str, "source": str})
        for name, text in zip(("prompt", *names), (self.prompt, *self.texts), strict=True):
            _require_text(name, text)
        if len({isinstance(text, str) for text in (self.prompt, *self.texts)}) > 1:
            raise BadInput("a row mixes plain texts with lists of turns; write prompt and answers in one of the forms")
        for name in ("category", "source"):
            if not getattr(self, name).strip() or len(getattr(self, name)) > LONGEST_NAME:
                raise BadInput(
                    f"{name} must not be blank or longer than {LONGEST_NAME} characters, and is "
                    f"{getattr(self, name)[:40]!r}; give the row one"
                )
        for name, score in zip(names, self.scores, strict=True):
            if score is not None and not is_number(score):
                raise BadInput(f"the score of {name} must be a finite number and is {score!r}; mend it or leave it out")
        _require_moment(self.time)
        self._require_laws()

    def _require_laws(self) -> None:
        """The laws of each store."""
        if self.kind == "reward":
            if self.scores[0] is None:
                raise BadInput("a reward row is an answer with a score, and this one has no score; give it one")
            return
        if self.texts[0] == self.texts[1]:
            raise BadInput("chosen and rejected are the same text; a pair needs a difference")
        if law := NEVER_CHOSEN.get(self.provenance.sides[0].origin):
            raise BadInput(f"{law}; swap the sides or leave the row out")
        chosen, rejected = self.scores
        if self.kind == "dpo" and chosen is not None and rejected is not None and chosen <= rejected:
            raise BadInput(
                f"a DPO row's chosen side must score higher, and here it is {chosen:g} against {rejected:g}; swap the "
                "sides or leave the row out"
            )
        if self.kind == "orpo" and (self.receipt or {}).get("certified") is not True:
            raise BadInput(
                'an ORPO row needs a gate receipt with "certified": true for its chosen side; certify it, or add it as '
                "a preference row"
            )

    @cached_property
    def id(self) -> str:
        """Digest of content and provenance, so that a row that is added twice is stored once."""
        return digest_of([self.kind, _content(self)])

    @cached_property
    def content_digest(self) -> str:
        """Digest of the normalized prompt and texts; equal for copies in any store."""
        return digest_of([normalized(text) for text in (self.prompt, *self.texts)])

    @cached_property
    def pair_digest(self) -> str:
        """Like ``content_digest``, whichever side is the chosen one."""
        return digest_of([normalized(self.prompt), sorted(map(normalized, self.texts))])

    @property
    def decision(self) -> str:
        """The id of the decision that it rests on; "" for none."""
        return self.provenance.decision

    @property
    def plain(self) -> bool:
        """Whether its texts are plain strings rather than conversations."""
        return isinstance(self.prompt, str)


def exact_digest(row: Row) -> str:
    """Digest of the unchanged texts and the scores; rows of one store that share it are repetitions."""
    return digest_of([row.kind, text_to_json(row.prompt), [text_to_json(text) for text in row.texts], row.scores])


LONGEST_NAME = 200


def row_to_json(row: Row) -> dict[str, Any]:
    """The columns of a store file: the same keys, of the same types, in every row of a store."""
    return {
        "id": row.id,
        "time": row.time,
        **_content(row),
        "category": row.category,
        "source": row.source,
        "receipt": "" if row.receipt is None else json.dumps(dict(row.receipt), allow_nan=False),
    }


def _content(row: Row) -> dict[str, Any]:
    names, how = SIDES[row.kind], row.provenance
    return {
        "prompt": text_to_json(row.prompt),
        **{name: text_to_json(text) for name, text in zip(names, row.texts, strict=True)},
        **{_score(name): None if s is None else float(s) for name, s in zip(names, row.scores, strict=True)},
        "provenance": {
            **{name: getattr(how, name) for name in ("session", "decision", "prompt", "scorer")},
            **{name: side_to_json(side) for name, side in zip(names, how.sides, strict=True)},
        },
    }


def row_from_json(kind: StoreKind, data: Mapping[str, Any]) -> Row:
    """The inverse of ``row_to_json``; BadInput for other columns, and for content that differs from its id."""
    names = SIDES[kind]
    try:
        how = dict(data["provenance"])
        sides = tuple(_side_from_json(how.pop(name)) for name in names)
        row = Row(
            kind=kind,
            time=data["time"],
            prompt=_text(data, "prompt"),
            texts=tuple(_text(data, name) for name in names),
            scores=tuple(data[_score(name)] for name in names),
            category=data["category"],
            source=data["source"],
            provenance=Provenance(sides, **how),
            receipt=receipt_of(data["receipt"]),
        )
        known = {"id", "time", "prompt", *names, *map(_score, names), "category", "source", "provenance", "receipt"}
        if set(data) != known:
            raise KeyError(*sorted(set(data) ^ known)[:1])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(f"it does not have the columns of a {kind} row ({error!r}); restore it") from None
    if row.id != data["id"]:
        raise BadInput(f"rows never change, and its content differs from its id {data['id']!r}; restore it")
    return row


def text_to_json(text: Turns) -> str | list[dict[str, Any]]:
    """In TRL's plain or conversational form."""
    return text if isinstance(text, str) else [turn.message for turn in text]


def receipt_of(value: object) -> Mapping[str, Any] | None:
    """A receipt from a column, an object or its JSON text; None where empty, ValueError for anything else."""
    if isinstance(value, str) and value.strip():
        value = json.loads(value)
    if value in (None, ""):
        return None
    if not isinstance(value, dict):
        raise ValueError("a receipt is a JSON object")
    json.dumps(value, allow_nan=False)
    return value


def coverage_of(receipt: Mapping[str, Any]) -> float | None:
    """A receipt's own "coverage", or the lowest percentage of its coverage layer; None without either."""
    layers = receipt.get("receipts")
    objects = [one for one in (layers if isinstance(layers, list) else ()) if isinstance(one, dict)]
    figures = next((one.get("figures") for one in objects if one.get("layer") == "coverage"), None)
    found = figures if isinstance(figures, dict) else {}
    percents = [value for name, value in found.items() if name.endswith("_percent")]
    numbers = [value for value in (receipt.get("coverage"), *percents) if is_number(value)]
    return min(map(float, numbers), default=None)


def _score(side: str) -> str:
    return "score" if side == "completion" else f"{side}_score"


def side_to_json(side: TextOrigin) -> dict[str, Any]:
    plain = {one.name: getattr(side, one.name) for one in fields(side)}
    figures = [{"name": name, "value": float(side.figures[name])} for name in sorted(side.figures)]
    return plain | {"figures": figures, "critical": "\n".join(side.critical)}


def _side_from_json(data: Mapping[str, Any]) -> TextOrigin:
    figures = {one["name"]: one["value"] for one in data["figures"]}
    critical = tuple(data["critical"].split("\n")) if data["critical"] else ()
    return TextOrigin(**{**data, "figures": figures, "critical": critical})


def _text(data: Mapping[str, Any], column: str) -> Turns:
    return turns_of(column, data[column])


def normalized(text: Turns) -> str:
    """The text without white space at the ends of lines and around it; indentation stays."""
    shown = text if isinstance(text, str) else "\n".join(f"{turn.role}: {turn.content}{turn.more}" for turn in text)
    return "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")


def _require_text(name: str, text: Turns) -> None:
    contents = (
        [text] if isinstance(text, str) else [turn.content + turn.more for turn in text]
    )  # a turn may be a tool call
    if not any(content.strip() for content in contents):
        raise BadInput(f"{name} is empty; give it a text or leave the row out")
    for content in contents if isinstance(text, str) else [part for turn in text for part in turn]:
        require_utf8(name, content)


def _require_moment(time: str) -> None:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise BadInput(f"time={time!r} is not an ISO-8601 time; write 2026-01-31T23:59:59Z") from None
