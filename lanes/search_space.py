"""The search space of a study: its lanes with their shares, and every legal move from a recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import BadInput, IllegalRecipe
from common.wording import nearest
from lanes import curriculum, hyperparameters, mixture
from lanes.knobs import Knob, KnobSettings, LaneContext, Mutation, Value, show
from lanes.recipe import Recipe
from lanes.rules import check_recipe, inert

LANES = (hyperparameters, mixture, curriculum)
LANE_NAMES = tuple(lane.LANE for lane in LANES)
KNOB_NAMES = {lane.LANE: lane.KNOB_NAMES for lane in LANES}


class LaneSettings(BaseModel):
    """``[lanes.NAME]``: the lane's share, and the knobs that are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    share: float = Field(1.0, ge=0, allow_inf_nan=False)
    """The lane's share of a language model's turns, relative to the other lanes; 0 leaves the lane out."""
    knobs: dict[str, KnobSettings] = Field(default_factory=dict)
    """The knobs that are searched, each true or a table of bounds; if none is named, the lane's default ones."""

    @model_validator(mode="before")
    @classmethod
    def _knobs_are_the_other_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {
            "share": data.get("share", 1.0),
            "knobs": {name: {} if v is True else v for name, v in data.items() if name != "share"},
        }


WhyRefused = Callable[[Recipe, Recipe | None], str | None]
"""(recipe, the one it is a move from) -> why the study's data do not allow a probe of it; None if they do."""


def _nothing_refused(recipe: Recipe, before: Recipe | None) -> str | None:
    return None


@dataclass(frozen=True)
class SearchSpace:
    """Every knob that a study searches. ``shares``: of the lanes; ``refused``: what the study's data do not allow."""

    knobs: tuple[Knob, ...]
    shares: Mapping[str, float]
    refused: WhyRefused = _nothing_refused

    def check(self, recipe: Recipe, before: Recipe | None = None) -> None:
        """IllegalRecipe if the rules or the study's data do not allow a probe of the recipe, or if it would train on
        the same rows as the recipe ``before``."""
        check_recipe(recipe)
        if broken := self.refused(recipe, before):
            raise IllegalRecipe(broken)

    def knob(self, name: str) -> Knob:
        for knob in self.knobs:
            if knob.name == name:
                return knob
        raise IllegalRecipe(f"{name!r} is not a knob of this study{nearest(name, (k.name for k in self.knobs))}")

    def moves(self, recipe: Recipe, lane: str | None = None) -> dict[str, tuple[Value, ...]]:
        """Knob -> the values that one mutation of ``recipe`` may set: within reach, legal, and not without effect."""
        moves: dict[str, tuple[Value, ...]] = {}
        for knob in self.knobs:
            if lane in (None, knob.lane):
                legal = tuple(value for value in knob.moves(recipe) if self._refusal(recipe, knob, value) is None)
                if legal:
                    moves[knob.name] = legal
        return moves

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
            self.check(child, recipe)
        except IllegalRecipe as error:
            return str(error)
        if child.effect == recipe.effect:
            return f"{knob.name}={show(value)} leaves every source's share as it is; move another knob"
        return None


def build_lanes(
    settings: Mapping[str, LaneSettings],
    start: Recipe,
    manifests: mixture.Manifests,
    sources: tuple[str, ...],
    refused: WhyRefused = _nothing_refused,
) -> SearchSpace:
    """The search space of a study; BadInput names an unknown knob's nearest known one."""
    knobs: list[Knob] = []
    for lane in LANES:
        chosen = settings.get(lane.LANE)
        if chosen is None:
            continue
        for name in chosen.knobs:
            if name not in lane.KNOB_NAMES:
                raise BadInput(f"[lanes.{lane.LANE}] has no knob {name!r}{nearest(name, lane.KNOB_NAMES)}")
        knobs += lane.build(chosen.knobs, LaneContext(start, manifests, sources))
    shares = {lane: settings[lane].share for lane in settings if settings[lane].share > 0}
    return SearchSpace(tuple(knobs), shares, refused)
