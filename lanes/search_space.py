"""The search space of a study: its lanes with their shares, and every legal move from a recipe."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lanes import curriculum, hyperparameters, mixture
from lanes.errors import BadInput, IllegalRecipe
from lanes.knobs import Knob, KnobDefault, KnobSettings, Mutation, Value, show
from lanes.recipe import Recipe
from lanes.rules import check_recipe, inert

LANE_NAMES = (hyperparameters.LANE, mixture.LANE, curriculum.LANE)
KNOB_NAMES = {
    hyperparameters.LANE: tuple(default.name for default in hyperparameters.KNOBS),
    mixture.LANE: ("manifest", "weights"),
    curriculum.LANE: tuple(default.name for default in curriculum.KNOBS),
}


class LaneSettings(BaseModel):
    """``[lanes.NAME]``: its share of the proposals and the knobs it searches (none named: the lane's own list)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(1.0, ge=0, allow_inf_nan=False)
    knobs: dict[str, KnobSettings] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _knobs_are_the_other_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {
            "share": data.get("share", 1.0),
            "knobs": {name: {} if v is True else v for name, v in data.items() if name != "share"},
        }


@dataclass(frozen=True)
class SearchSpace:
    """Every knob a study searches, by lane."""

    knobs: tuple[Knob, ...]
    shares: Mapping[str, float]

    def knob(self, name: str) -> Knob:
        for knob in self.knobs:
            if knob.name == name:
                return knob
        raise IllegalRecipe(f"{name!r} is not a knob of this study{nearest(name, (k.name for k in self.knobs))}")

    def moves(self, recipe: Recipe, lane: str | None = None) -> dict[str, tuple[Value, ...]]:
        """Knob -> the values that one mutation of ``recipe`` may set: within reach, legal, and not without effect."""
        found: dict[str, tuple[Value, ...]] = {}
        for knob in self.knobs:
            if lane in (None, knob.lane):
                legal = tuple(value for value in knob.moves(recipe) if self._refusal(recipe, knob, value) is None)
                if legal:
                    found[knob.name] = legal
        return found

    def mutate(self, recipe: Recipe, knob_name: str, value: Value) -> tuple[Mutation, Recipe]:
        """The mutation and the recipe it makes; IllegalRecipe says which law it breaks."""
        knob = self.knob(knob_name)
        mutation = knob.mutate(recipe, value)
        refusal = self._refusal(recipe, knob, value)
        if refusal:
            raise IllegalRecipe(refusal)
        return mutation, knob.write(recipe, value)

    def _refusal(self, recipe: Recipe, knob: Knob, value: Value) -> str | None:
        without_effect = inert(recipe, knob.name)
        if without_effect:
            return f"{knob.name}={show(value)} is refused: {without_effect}; move another knob"
        try:
            child = knob.write(recipe, value)
            check_recipe(child)
        except IllegalRecipe as error:
            return str(error)
        if _effect(child) == _effect(recipe):
            return f"{knob.name}={show(value)} leaves every source's share as it is; move another knob"
        return None


def _effect(recipe: Recipe) -> str:
    """What training sees: only the shares of a mixture matter, not the scale of its weights."""
    return recipe.model_copy(update={"mixture": recipe.shares}).digest


def build_lanes(
    settings: Mapping[str, LaneSettings],
    start: Recipe,
    manifests: mixture.Manifests,
    sources: tuple[str, ...],
) -> SearchSpace:
    """The search space of a study; BadInput names an unknown knob's nearest known one."""
    knobs: list[Knob] = []
    for lane, lane_settings in settings.items():
        for name in lane_settings.knobs:
            if name not in KNOB_NAMES[lane]:
                raise BadInput(f"[lanes.{lane}] has no knob {name!r}{nearest(name, KNOB_NAMES[lane])}")
        if lane == mixture.LANE:
            knobs += mixture.build(lane_settings.knobs, manifests, sources)
        elif lane == curriculum.LANE:
            knobs += _from_defaults(curriculum.KNOBS, lane, lane_settings, start)
        else:
            knobs += _from_defaults(hyperparameters.KNOBS, lane, lane_settings, start)
    return SearchSpace(tuple(knobs), {lane: s.share for lane, s in settings.items() if s.share > 0})


def _from_defaults(defaults: tuple[KnobDefault, ...], lane: str, settings: LaneSettings, start: Recipe) -> list[Knob]:
    """In the order the study lists them, or the lane's own where it lists none."""
    by_name = {default.name: default for default in defaults}
    chosen = [by_name[name] for name in settings.knobs] or [default for default in defaults if default.searched]
    try:
        return [d.build(lane, settings.knobs.get(d.name, KnobSettings()), start) for d in chosen]
    except ValidationError as error:
        raise BadInput(f"[lanes.{lane}]: {error.errors()[0]['msg']}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' for the closest known name, or the list of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
