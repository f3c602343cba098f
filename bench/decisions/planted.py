"""A landscape of tables: the effects of the values of each knob, of pairs of knobs, and traps.

The effects have realistic sizes for scores of 0 to 10 with 6 at the start: a night can win 1 to 2 points, most of them
with two or three knobs, and one good move from the start wins 0.1 to 0.5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy
from numpy.typing import NDArray

from bench.decisions.night import CATEGORIES, CRASHED, PROMPTS, Landscape, Lanes
from bench.decisions.truth import MARGIN
from lanes import KnobSettings, LaneSettings, Recipe, SearchSpace, Value, build_lanes
from lanes.recipe import Order

Array = NDArray[numpy.float64]
Table = Mapping[Value, Array]

START = Recipe(
    objective="dpo",
    learning_rate=2e-5,
    beta=0.1,
    warmup=0.2,
    lora_rank=16,
    lora_alpha=32,
    lora_dropout=0.2,
    weight_decay=0.08,
    effective_batch=8,
    mixture={"human": 1.0, "mined": 1.0},
)
SOURCES = {
    "even": {"human": 1.0, "mined": 1.0},
    "human_first": {"human": 3.0, "mined": 1.0},
    "mined_first": {"human": 1.0, "mined": 3.0},
    "with_synthetic": {"human": 1.0, "mined": 1.0, "synthetic": 1.0},
    "mostly_synthetic": {"human": 1.0, "mined": 1.0, "synthetic": 4.0},
}
ORDERED = {
    "learning_rate": KnobSettings(low=1e-7, high=4e-3, factor=1.25, reach=4),
    "beta": KnobSettings(low=0.01, high=0.5, step=0.01, reach=4),
    "warmup": KnobSettings(low=0.0, high=0.5, step=0.01, reach=4),
    "lora_rank": KnobSettings(choices=tuple(2**power for power in range(11)), reach=4),
    "lora_alpha": KnobSettings(choices=tuple(2**power for power in range(13)), reach=4),
    "lora_dropout": KnobSettings(low=0.0, high=0.5, step=0.01, reach=4),
    "weight_decay": KnobSettings(low=0.0, high=0.3, step=0.01, reach=4),
    "effective_batch": KnobSettings(choices=tuple(2**power for power in range(11)), reach=4),
}
NAMED = {
    "scheduler": KnobSettings(choices=("cosine", "linear", "constant_with_warmup")),
    "dpo_loss": KnobSettings(
        choices=("sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "discopop")
    ),
    "lora_targets": KnobSettings(
        choices=(("all-linear",), ("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"))
    ),
    "manifest": KnobSettings(choices=tuple(SOURCES)),
    "curriculum": KnobSettings(choices=Order.__args__),  # type: ignore[attr-defined]
}
LANE_OF = {"manifest": "mixture", "curriculum": "curriculum"}


def lanes_of(*names: str) -> Lanes:
    """The lanes of a study that searches these knobs."""
    chosen: dict[str, dict[str, KnobSettings]] = {}
    for name in names:
        chosen.setdefault(LANE_OF.get(name, "hyperparameters"), {})[name] = {**ORDERED, **NAMED}[name]
    return {lane: LaneSettings.model_validate(settings) for lane, settings in chosen.items()}


def space_of(*names: str) -> SearchSpace:
    return build_lanes(lanes_of(*names), START, SOURCES, ("human", "mined", "synthetic"))


@dataclass(frozen=True)
class Interaction:
    """An interaction of two ordered knobs. ``away``: the distance of each value from the best value; the start has 1.

    It adds -2 x weight x (product of both distances - 1), the cross term of a quadratic form.
    """

    weight: Array
    away: tuple[tuple[str, Mapping[Value, float]], tuple[str, Mapping[Value, float]]]

    def effects(self, recipe: Recipe) -> Array:
        (one, first), (other, second) = self.away
        return -2 * self.weight * (first[getattr(recipe, one)] * second[getattr(recipe, other)] - 1)


def _whole(scores: Array) -> Array:
    return numpy.clip(numpy.rint(scores), 0.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Planted(Landscape):
    """``tables``: knob -> value -> effect in each category. ``summit``: the best recipe, if effects do not add up.

    ``crash``: a recipe crashes if its places on all of these ladders are at or beyond the bounds.
    ``drift``: (moment, points). ``whole_numbers``: scores are 0, 1 .. 10. ``passes_at``: scores are 0 below, else 10.
    ``noisier``: how many times noisier than the start a recipe is. ``ease``: the offset of each prompt.
    ``early``: how early an effect is visible within a probe; larger is earlier.
    """

    start: Recipe = START
    manifests: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: SOURCES)
    tables: Mapping[str, Table]
    pairs: tuple[Interaction, ...] = ()
    summit: Recipe | None = None
    crash: Callable[[Recipe], bool] | None = None
    drift: tuple[float, float] = (2.0, 0.0)
    whole_numbers: bool = False
    passes_at: float | None = None
    noisier: Callable[[Recipe], float] | None = None
    ease: Array = field(default_factory=lambda: numpy.zeros(len(PROMPTS)))
    early: float | None = None

    def effect(self, recipe: Recipe, category: str) -> float:
        return float(self.effects(recipe)[CATEGORIES.index(category)])

    def effects(self, recipe: Recipe) -> Array:
        total = numpy.zeros(len(CATEGORIES))
        for name, table in self.tables.items():
            total = total + table[self._value(recipe, name)]
        for pair in self.pairs:
            total = total + pair.effects(recipe)
        floored: Array = numpy.maximum(total, CRASHED)  # a score of 0
        return floored

    def crashes(self, recipe: Recipe) -> bool:
        return self.crash is not None and self.crash(recipe)

    def shift(self, spent: float) -> float:
        moment, points = self.drift
        return points if spent >= moment else 0.0

    def fidelity(self, share: float) -> float:
        if self.early is None:
            return super().fidelity(share)
        return float(numpy.expm1(-self.early * share) / numpy.expm1(-self.early))

    def noise_factor(self, recipe: Recipe) -> float:
        return 1.0 if self.noisier is None else self.noisier(recipe)

    def shape(self, scores: Array) -> Array:
        if self.passes_at is not None:
            return numpy.where(scores >= self.passes_at, 10.0, 0.0)
        return _whole(scores) if self.whole_numbers else scores

    def offsets(self) -> Array:
        return self.ease

    @cached_property
    def best(self) -> Recipe:
        """The best value of each knob, if effects add up. One value may lower a category if others make up for it."""
        if self.summit is not None:
            return self.summit
        options = [self._options(name) for name in self.tables]
        total = numpy.array([numpy.sum([worth for _, worth in chosen], axis=0) for chosen in product(*options)])
        fine = numpy.where(total.min(axis=1) >= -MARGIN, total.mean(axis=1), -numpy.inf)
        recipe = self.start
        for name, (value, worth) in zip(self.tables, list(product(*options))[int(fine.argmax())], strict=True):
            recipe = self.space.knob(name).write(recipe, value) if abs(worth).max() > 1e-9 else recipe
        return recipe

    def _options(self, name: str) -> list[tuple[Value, Array]]:
        """The knob's best value that keeps all guards, and better values that do not."""
        ranked = sorted(self.tables[name].items(), key=lambda item: -float(item[1].mean()))
        first = next(place for place, (_, worth) in enumerate(ranked) if worth.min() >= -MARGIN)
        nothing = [(value, worth) for value, worth in ranked if not worth.any()]
        return [*(ranked[first : first + 1] if ranked[first][1].mean() > 1e-9 else nothing[:1]), *ranked[:first]]

    @cached_property
    def _manifest_by_shares(self) -> Mapping[tuple[tuple[str, float], ...], str]:
        shares = {name: self.start.model_copy(update={"mixture": w}).shares for name, w in self.manifests.items()}
        return {tuple(sorted(share.items())): name for name, share in shares.items()}

    def _value(self, recipe: Recipe, name: str) -> Value:
        if name == "manifest":
            return self._manifest_by_shares[tuple(sorted(recipe.shares.items()))]
        value: Value = getattr(recipe, name)
        return value
