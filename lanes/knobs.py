"""Knobs: one parameter that may change, its legal values, and how far one mutation may move it.

The values of a knob form a finite ladder. So a proposer picks from a list, two values that differ in the ninth digit
are not tried separately, and no move is smaller than the smallest step.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadInput, IllegalRecipe
from common.wording import lower_first
from lanes.recipe import Recipe

MOST_RUNGS = 1000
Value = str | int | float | tuple[str, ...]


class KnobSettings(BaseModel):
    """How a study narrows or widens a knob: bounds, smallest step (absolute or as a factor), reach, or choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    low: float | None = None
    """Smallest value."""
    high: float | None = None
    """Largest value."""
    step: float | None = Field(None, gt=0)
    """Difference between neighbouring values."""
    factor: float | None = Field(None, gt=1)
    """Ratio of neighbouring values, instead of a step."""
    reach: int | None = Field(None, ge=1)
    """Largest number of steps that one mutation may move."""
    choices: tuple[str | int | float | tuple[str, ...], ...] | None = None
    """The values themselves, instead of bounds."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One knob, its value before and its value after. IllegalRecipe if the two are equal."""

    knob: str
    before: Value
    after: Value

    def __post_init__(self) -> None:
        if self.before == self.after:
            raise IllegalRecipe(
                f"a mutation changes its knob and {self.knob}={show(self.after)} is what the recipe has already; "
                "propose another value"
            )


@dataclass(frozen=True)
class Knob:
    """A recipe field with its ladder of legal values.

    ``ordered``: the values are numbers, and one mutation moves at most ``reach`` steps (None: any number); otherwise
    they are names. ``structural``: its value changes what other knobs do.
    """

    name: str
    lane: str
    values: tuple[Value, ...]
    ordered: bool
    reach: int | None = None
    structural: bool = False

    def read(self, recipe: Recipe) -> Value:
        value: Value = getattr(recipe, self.name)
        return value

    def write(self, recipe: Recipe, value: Value) -> Recipe:
        return changed(recipe, {self.name: value})

    def place(self, value: Value) -> float | str:
        """The position of a value on an ordered ladder: the index of its rung, a fraction between two rungs, or one
        step beyond the first or last. For a name, the name itself."""
        if not self.ordered:
            return show(value)
        rungs, wanted = [float(rung) for rung in self.values], float(value)  # type: ignore[arg-type]
        below = sum(rung <= wanted for rung in rungs) - 1
        if below < 0 or below == len(rungs) - 1:
            return float(below) if below >= 0 and rungs[below] == wanted else float(below + (below >= 0))
        return below + (wanted - rungs[below]) / (rungs[below + 1] - rungs[below])

    def moves(self, recipe: Recipe) -> tuple[Value, ...]:
        """The values one mutation may set, nearest first on an ordered ladder."""
        now = self.read(recipe)
        others = [value for value in self.values if value != now]
        if not self.ordered:
            return tuple(others)
        below = sorted((v for v in others if v < now), reverse=True)  # type: ignore[operator]
        above = sorted(v for v in others if v > now)  # type: ignore[operator]
        near = below[: self.reach] + above[: self.reach]
        return tuple(sorted(near, key=lambda v: abs(self._place(v) - self._place(now))))

    def _place(self, value: Value) -> float:
        return float(len([v for v in self.values if v < value]))  # type: ignore[operator]

    def mutate(self, recipe: Recipe, value: Value) -> Mutation:
        """The mutation that sets ``value``; IllegalRecipe when it is out of bounds, off the ladder or too far."""
        if value not in self.moves(recipe):
            raise IllegalRecipe(self._refusal(recipe, value))
        return Mutation(self.name, self.read(recipe), value)

    def _refusal(self, recipe: Recipe, value: Value) -> str:
        where = f"under [lanes.{self.lane}] in study.toml"
        now = self.read(recipe)
        if value == now:
            return f"{self.name}={show(value)} is what the recipe has already; propose another value"
        if not self.ordered:
            return f"{self.name}={show(value)} is not one of {_listed(self.values)}; add it {where}"
        low, high = self.values[0], self.values[-1]
        if isinstance(value, str | tuple) or not low <= value <= high:  # type: ignore[operator]
            return f"{self.name}={show(value)} is outside [{show(low)}, {show(high)}]; widen it {where}"
        if value not in self.values:
            return (
                f"{self.name}={show(value)} is between the steps {_listed(self.values)}; "
                f"take one of them or make the step smaller {where}"
            )
        return (
            f"{self.name}={show(value)} is more than {self.reach} step(s) from {show(now)}; "
            f"take one of {_listed(self.moves(recipe))} or raise reach {where}"
        )


@dataclass(frozen=True)
class KnobDefault:
    """A knob of a lane, with the settings that it has where a study does not set them.

    ``searched``: whether it is searched if the study lists no knobs. ``whole``: its values are whole numbers.
    ``structural``: its value changes what other knobs do, so a first wave moves it in few recipes only.
    """

    name: str
    settings: KnobSettings
    searched: bool = True
    whole: bool = False
    structural: bool = False

    def build(self, lane: str, of_study: KnobSettings, start: Recipe) -> Knob:
        """The knob with the study's settings over the defaults, its ladder anchored at the starting recipe."""
        merged = merge_settings(self.settings, of_study)
        if merged.choices is not None:
            ordered = all(isinstance(choice, int | float) for choice in merged.choices)
            values = tuple(sorted(merged.choices)) if ordered else merged.choices
            self._require_legal(lane, values, start)
            return Knob(self.name, lane, values, ordered, merged.reach, self.structural)
        anchor: Any = getattr(start, self.name)
        values = ladder(f"[lanes.{lane}] {self.name}", anchor, merged, self.whole)
        bounds = (int(b) if self.whole else b for b in (merged.low, merged.high) if b is not None)
        self._require_legal(lane, tuple(bounds), start)
        return Knob(self.name, lane, values, True, merged.reach, self.structural)

    def _require_legal(self, lane: str, values: Sequence[Value], start: Recipe) -> None:
        """BadInput if the recipe does not accept one of the values."""
        for value in values:
            try:
                changed(start, {self.name: value})
            except IllegalRecipe as error:
                raise BadInput(f"[lanes.{lane}] {error}; take it out or narrow the bounds") from None


@dataclass(frozen=True)
class LaneContext:
    """What a lane builds its knobs from, besides their settings: the starting recipe and the study's data."""

    start: Recipe
    manifests: Mapping[str, Mapping[str, float]]
    sources: tuple[str, ...]


def build_from_defaults(
    lane: str, defaults: Sequence[KnobDefault], settings: Mapping[str, KnobSettings], start: Recipe
) -> list[Knob]:
    """The lane's knobs in the study's order; if the study lists none, those that are searched by default."""
    by_name = {default.name: default for default in defaults}
    chosen = [by_name[name] for name in settings] or [default for default in defaults if default.searched]
    return [default.build(lane, settings.get(default.name, KnobSettings()), start) for default in chosen]


def merge_settings(default: KnobSettings, of_study: KnobSettings) -> KnobSettings:
    """The study's settings over the default. A step or factor of the study replaces both; bounds replace choices."""
    merged = default.model_dump(exclude_none=True)
    own = of_study.model_dump(exclude_none=True)
    if "step" in own or "factor" in own:
        merged.pop("step", None)
        merged.pop("factor", None)
    if {"low", "high", "step", "factor"} & set(own):
        merged.pop("choices", None)
    return KnobSettings(**{**merged, **own})


def ladder(where: str, anchor: float, settings: KnobSettings, whole: bool = False) -> tuple[Value, ...]:
    """Every value from low to high that lies a whole number of steps (or factors) from ``anchor``."""
    low, high = settings.low, settings.high
    if low is None or high is None or (settings.step is None) == (settings.factor is None):
        raise BadInput(f"{where} needs low, high and either step or factor; add what is missing")
    if low > high:
        raise BadInput(f"{where} has low={low:g} above high={high:g}; swap them")
    if not low <= anchor <= high:
        raise BadInput(f"{where}: the start {anchor:g} is outside [{low:g}, {high:g}]; widen the bounds")
    if settings.factor is not None and low <= 0:
        raise BadInput(f"{where} has factor={settings.factor:g} and low={low:g}; a factor needs a low above 0")
    rungs = (high - low) / settings.step if settings.step else math.log(high / low) / math.log(settings.factor or 2)
    if rungs > MOST_RUNGS:
        raise BadInput(
            f"{where} has {rungs:.0f} steps between low and high; {MOST_RUNGS} are enough, so take larger ones"
        )
    values = {_tidy(anchor, whole)}
    for direction in (1, -1):
        for count in range(1, MOST_RUNGS + 2):
            if settings.step is not None:
                value = anchor + direction * count * settings.step
            else:
                value = anchor * float(settings.factor or 1) ** (direction * count)
            tidy = _tidy(value, whole)
            if not low * (1 - 1e-9) - 1e-12 <= tidy <= high * (1 + 1e-9) + 1e-12:
                break
            values.add(tidy)
    return tuple(sorted(values))


def _tidy(value: float, whole: bool) -> int | float:
    """Six significant digits, so that 0.1 + 0.01 + 0.01 and 0.12 are one value with one digest."""
    return round(value) if whole else float(f"{value:.6g}")


def changed(recipe: Recipe, update: Mapping[str, Any]) -> Recipe:
    """A validated copy; IllegalRecipe in one sentence where the field's own limits are broken."""
    try:
        return Recipe.model_validate({**recipe.model_dump(), **update})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise IllegalRecipe(f"{name}={first['input']!r} cannot be: {lower_first(first['msg'])}") from None


def show(value: Value) -> str:
    """A value as tables and messages print it."""
    if isinstance(value, tuple):
        return "+".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(values: Sequence[Value]) -> str:
    shown = [show(value) for value in values]
    if len(shown) > 12:
        shown = [*shown[:5], "...", *shown[-5:]]
    return "{" + ", ".join(shown) + "}"
