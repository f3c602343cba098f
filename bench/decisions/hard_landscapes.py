"""Seven families of planted nights that are harder than those of landscapes.py: unequal noise, pass or fail, a ridge
between two knobs, one useful value among harmful ones, small gains, and gains that all lower the same guard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy

from bench.decisions.landscapes import (
    Bowl,
    bowls_of,
    centred_effects,
    named_table,
    null_tables,
    pair_of,
    random_of,
    tables_of,
)
from bench.decisions.night import CATEGORIES, PROMPTS, Family
from bench.decisions.planted import NAMED, ORDERED, START, Array, Planted, Table, lanes_of, space_of
from bench.decisions.truth import MARGIN
from lanes import Recipe, Value

NOISIER = (2.0, 5.0, 10.0)
"""Noise factors of some moves of three knobs."""
PASS = 5.0
"""An answer at or above this latent score passes: 10 points, otherwise 0."""
RIDGE = 0.85
"""The coupling of the two knobs of a ridge; at 1 the ridge would be flat."""
Random = numpy.random.Generator


@dataclass(frozen=True)
class NoisyMoves:
    """The noise factor of a recipe, relative to the start: the largest factor of its values. ``factors``: knob -> value
    -> factor."""

    factors: Mapping[str, Mapping[Value, float]]

    def __call__(self, recipe: Recipe) -> float:
        return max(own.get(getattr(recipe, knob), 1.0) for knob, own in self.factors.items())


def unequal_noise(night: int) -> Planted:
    """Smooth, but half of the values of three knobs have 2, 5 and 10 times the noise of the start."""
    random = random_of("unequal_noise", night)
    tables = tables_of(bowls_of(random))
    return Planted(family="unequal_noise", lanes=lanes_of(*ORDERED), tables=tables, noisier=_noisier(random))


def unequal_null(night: int) -> Planted:
    """No knob affects the score, but half of the values of three knobs have 2, 5 and 10 times the noise of the
    start."""
    random = random_of("unequal_null", night)
    return Planted(
        family="unequal_null", lanes=lanes_of(*ORDERED), tables=null_tables(ORDERED), noisier=_noisier(random)
    )


def pass_fail(night: int) -> Planted:
    """Smooth, on prompts of unequal difficulty, but each answer scores either 0 or 10."""
    random = random_of("pass_fail", night)
    ease = random.normal(0, 3, len(PROMPTS))
    return Planted(
        family="pass_fail",
        lanes=lanes_of(*ORDERED),
        tables=tables_of(bowls_of(random)),
        passes_at=PASS,
        ease=ease - ease.mean(),
    )


def ridge(night: int) -> Planted:
    """Smooth, but the two strongest knobs form a narrow ridge: moving only one of them gains little or loses."""
    random = random_of("ridge", night)
    plain = bowls_of(random)
    first, second, coupling = plain[0], plain[1], float(random.choice([-RIDGE, RIDGE]))
    level = (first.gain + second.gain) / 2  # equal gains, so that neither knob alone explains the ridge
    equal = [Bowl(bowl.knob, level, bowl.distance, bowl.by_category) for bowl in (first, second)]
    scale = sum(bowl.gain for bowl in plain[:2]) / (2 * level * (1 + coupling))
    high = [Bowl(bowl.knob, bowl.gain * scale, bowl.distance, bowl.by_category) for bowl in equal]
    bowls = [*high, *plain[2:]]
    summit = START.model_copy(update={bowl.knob: bowl.best for bowl in bowls})
    pairs = (pair_of(high[0], high[1], coupling),)
    return Planted(family="ridge", lanes=lanes_of(*ORDERED), tables=tables_of(bowls), pairs=pairs, summit=summit)


def needle(night: int) -> Planted:
    """Named knobs: one value of one of them gains 0.6 to 1.0, and every other value loses 0.1 to 0.6."""
    random = random_of("needle", night)
    chosen = list(NAMED)[random.integers(len(NAMED))]
    tables: dict[str, Table] = {}
    for name in NAMED:
        gain = random.uniform(0.6, 1.0) * centred_effects(random) if name == chosen else None
        tables[name] = named_table(random, name, lambda: -random.uniform(0.1, 0.6) * centred_effects(random), gain)
    return Planted(family="needle", lanes=lanes_of(*NAMED), tables=tables)


def small_gains(night: int) -> Planted:
    """Eight ordered knobs with best gains of only 0.05 to 0.15 each: too small to be shown one at a time."""
    random = random_of("small_gains", night)
    bowls = [
        Bowl(name, random.uniform(0.05, 0.15), int(random.choice(_near_distances(name))), centred_effects(random))
        for name in ORDERED
    ]
    return Planted(family="small_gains", lanes=lanes_of(*ORDERED), tables=tables_of(bowls))


def erosion(night: int) -> Planted:
    """Named knobs: each gain also lowers one and the same guard by 0.1 to 0.2, so a few together exceed its margin."""
    random = random_of("erosion", night)
    eroded = int(random.integers(len(CATEGORIES)))
    tables = {name: named_table(random, name, lambda: _eroding(random, eroded)) for name in NAMED}
    return Planted(family="erosion", lanes=lanes_of(*NAMED), tables=tables, summit=_summit(tables))


HARD_FAMILIES: tuple[Family, ...] = (
    unequal_noise,
    unequal_null,
    pass_fail,
    ridge,
    needle,
    small_gains,
    erosion,
)


def _noisier(random: Random) -> NoisyMoves:
    """Noise factors for the values on one side of the start, for three knobs."""
    factors = {}
    for place, factor in zip(random.permutation(len(ORDERED))[: len(NOISIER)], NOISIER, strict=True):
        name = list(ORDERED)[place]
        knob = space_of(name).knob(name)
        start, up = knob.values.index(knob.read(START)), random.random() < 0.5
        factors[name] = {value: factor for at, value in enumerate(knob.values) if (at > start if up else at < start)}
    return NoisyMoves(factors)


def _near_distances(name: str) -> Sequence[int]:
    knob = space_of(name).knob(name)
    start = knob.values.index(knob.read(START))
    return [distance for distance in (-3, -2, -1, 1, 2, 3) if 0 <= start + distance < len(knob.values)]


def _eroding(random: Random, eroded: int) -> Array:
    """The effect of a value: with probability 0.5 a loss, otherwise a gain that lowers category ``eroded`` by 0.1 to
    0.2."""
    if random.random() < 0.5:
        return -random.uniform(0.05, 0.5) * centred_effects(random)
    effects = random.uniform(0.25, 0.6) * centred_effects(random)
    effects[eroded] = -random.uniform(0.1, 0.2)
    return effects


def _summit(tables: Mapping[str, Table]) -> Recipe:
    """The best recipe whose guards hold, among all combinations of each knob's gains."""
    options = [[(value, worth) for value, worth in own.items() if worth.mean() >= 0] for own in tables.values()]
    best, summit = -1.0, START
    for chosen in product(*options):
        total = numpy.sum([worth for _, worth in chosen], axis=0)
        if total.min() >= -MARGIN and total.mean() > best:
            best, recipe = float(total.mean()), START
            for name, (value, _) in zip(tables, chosen, strict=True):
                recipe = space_of(name).knob(name).write(recipe, value)
            summit = recipe
    return summit
