"""Provenance: where the texts of a row come from. Immutable; the constructors refuse what breaks a law."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard, get_args

from common.errors import BadInput

Origin = Literal["sampled", "human", "reference", "mechanical", "cut"]
"""mechanical: a transformation of a failing text. cut: a sampled text that was cut at its limit of tokens."""
NEVER_CHOSEN: Mapping[Origin, str] = {
    "mechanical": "a mechanically made text is never the chosen side",
    "cut": "a text that was cut at its limit of tokens is never the chosen side, or a model learns to stop there",
}
"""Origins that a chosen side must not have, and the law in words."""
ORIGINS: tuple[Origin, ...] = get_args(Origin)
_WHOLE = (int, type(None))


def origin_of(text: str) -> Origin:
    if text not in ORIGINS:
        raise BadInput(f"origin={text!r} is not known; use one of {', '.join(ORIGINS)}")
    return text


@dataclass(frozen=True, slots=True)
class TextOrigin:
    """Where one text comes from.

    ``bar``: the name of the quality bar that it passed (a gate, a scorer); "" for none. ``probe`` and ``recipe``: what
    sampled it, as answer number ``sample`` with ``sampler_seed``. ``figures``: scores of a judge or checker by
    component. ``critical``: names of its critical failures.
    """

    origin: Origin
    bar: str = ""
    probe: str = ""
    recipe: str = ""
    sampler_seed: int | None = None
    sample: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    critical: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        origin_of(self.origin)
        require_types(self, {"bar": str, "probe": str, "recipe": str, "sampler_seed": _WHOLE, "sample": _WHOLE})
        if not all(isinstance(name, str) and name and "\n" not in name for name in self.critical):
            raise BadInput(f"critical holds names without line ends, and is {self.critical!r}; mend it")
        for name, value in self.figures.items():
            if not (isinstance(name, str) and is_number(value)):
                raise BadInput(f"the figure {name!r}={value!r} is not a finite number; leave it out or mend it")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row comes from.

    ``decision``: the one that the row depends on ("" for none); when that is retracted, the row is withdrawn.
    ``prompt``: the id of the harvest prompt. ``scorer``: its digest. ``sides``: in the order of the texts.
    """

    sides: tuple[TextOrigin, ...]
    session: str = ""
    decision: str = ""
    prompt: str = ""
    scorer: str = ""

    def __post_init__(self) -> None:
        require_types(self, dict.fromkeys(("session", "decision", "prompt", "scorer"), str))


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_types(row: object, types: Mapping[str, Any]) -> None:
    for name, kind in types.items():
        value = getattr(row, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadInput(f"{name}={value!r} has the wrong type for a row; mend it")
        if isinstance(value, str):
            require_utf8(name, value)


def require_utf8(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{name} holds half a character that cannot be written as UTF-8; mend it") from None
