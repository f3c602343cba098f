"""The eight families of planted nights. Each is a function from the number of a night to its landscape.

The headroom and the distances of the best values were chosen once, before any policy of ours was played, so that two
rivals reproduce known results. On the smooth family, a race wins 0.68 of the headroom, and 26 % of its KEEPs have no
true gain (150 nights, correlation 0.8, 8 answers; known: 0.67 and 21 %). Optuna's TPE wins 0.61 (40 nights, correlation
0, 4 answers; known: 0.63).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy

from bench.decisions.night import CATEGORIES, PROMPTS, Family
from bench.decisions.planted import NAMED, ORDERED, START, Array, Interaction, Planted, Table, lanes_of, space_of
from lanes import Recipe, Value

HEADROOM = (1.0, 1.4)
"""The smallest and the largest headroom of a night of the smooth families."""
ACTIVE = 5
DISTANCES = (1, 2, 3, 4)
"""The possible distances of a knob's best value from the start, in steps of its ladder."""
Random = numpy.random.Generator


@dataclass(frozen=True)
class Bowl:
    """A knob whose effect is a parabola with ``gain`` at its best value, ``distance`` places from the start."""

    knob: str
    gain: float
    distance: int
    by_category: Array

    def away(self) -> dict[Value, float]:
        """The distance of each value from the best value; the start has distance 1."""
        knob = space_of(self.knob).knob(self.knob)
        start = knob.values.index(knob.read(START))
        return {value: 1 - (place - start) / self.distance for place, value in enumerate(knob.values)}

    def table(self) -> dict[Value, Array]:
        return {value: self.gain * (1 - away**2) * self.by_category for value, away in self.away().items()}

    @property
    def best(self) -> Value:
        return min(self.away().items(), key=lambda item: abs(item[1]))[0]


def smooth(night: int) -> Planted:
    """Eight ordered knobs: three do nothing, and the effects of the others are parabolas that add up."""
    random = random_of("smooth", night)
    return Planted(family="smooth", lanes=lanes_of(*ORDERED), tables=tables_of(bowls_of(random)))


def additive(night: int) -> Planted:
    """Data, curriculum and other named choices, which have no order; their effects add up, and few of them are good."""
    random = random_of("additive", night)
    tables = {name: named_table(random, name, lambda: _choice(random)) for name in NAMED}
    return Planted(family="additive", lanes=lanes_of(*NAMED), tables=tables)


def cliffs(night: int) -> Planted:
    """Smooth, but past the best value of one knob the score falls by 2, and past that of another, runs crash."""
    random = random_of("cliffs", night)
    bowls = bowls_of(random)
    falls, diverges = bowls[random.permutation(ACTIVE)[0]], bowls[-1]
    tables = tables_of(bowls)
    tables[falls.knob] = {
        value: effects - (2.0 if away < -0.01 else 0.0)
        for (value, effects), away in zip(tables[falls.knob].items(), falls.away().values(), strict=True)
    }
    crash = _DivergingValues(diverges.knob, frozenset(value for value, away in diverges.away().items() if away < -0.4))
    return Planted(family="cliffs", lanes=lanes_of(*ORDERED), tables=tables, crash=crash)


def traps(night: int) -> Planted:
    """Four ordered knobs and four named ones; four named values raise five categories and lower one by 0.8."""
    random = random_of("traps", night)
    ordered, named = list(ORDERED)[:4], ["manifest", "curriculum", "scheduler", "lora_targets"]
    tables: dict[str, Table] = tables_of(bowls_of(random, ordered, 3, 0.6), ordered)
    for name in named:
        tables[name] = named_table(random, name, lambda: _choice(random), special=_trap(random))
    return Planted(family="traps", lanes=lanes_of(*ordered, *named), tables=tables)


def null(night: int) -> Planted:
    """Four ordered knobs and four named ones, none of which does anything."""
    names = [*list(ORDERED)[:4], "manifest", "curriculum", "scheduler", "lora_targets"]
    return Planted(family="null", lanes=lanes_of(*names), tables=null_tables(names))


def drift(night: int) -> Planted:
    """Smooth; somewhere in the middle third of the night every score rises (or, every second night, falls) by 0.7."""
    random = random_of("drift", night)
    moment = (random.uniform(1 / 3, 2 / 3), 0.7 if night % 2 else -0.7)
    return Planted(family="drift", lanes=lanes_of(*ORDERED), tables=tables_of(bowls_of(random)), drift=moment)


def clipped(night: int) -> Planted:
    """Smooth, but scores are whole numbers from 0 to 10, on prompts of unequal difficulty; half of an effect shows
    after a quarter of a probe's steps."""
    random = random_of("clipped", night)
    ease = random.normal(0, 2, len(PROMPTS))
    return Planted(
        family="clipped",
        lanes=lanes_of(*ORDERED),
        tables=tables_of(bowls_of(random)),
        whole_numbers=True,
        ease=ease - ease.mean(),
        early=2.0,
    )


def interacting(night: int) -> Planted:
    """Smooth, but two pairs of the five active knobs interact, positively or negatively."""
    random = random_of("interacting", night)
    plain = bowls_of(random)
    couplings = [random.choice([-1, 1]) * random.uniform(0.3, 0.6) for _ in range(2)]
    coupled = [(plain[1], plain[3], couplings[0]), (plain[2], plain[4], couplings[1])]
    total = sum(bowl.gain for bowl in plain)
    scale = total / (total + sum(2 * r * (a.gain * b.gain) ** 0.5 for a, b, r in coupled))
    bowls = [Bowl(bowl.knob, bowl.gain * scale, bowl.distance, bowl.by_category) for bowl in plain]
    pairs = tuple(pair_of(bowls[plain.index(a)], bowls[plain.index(b)], r) for a, b, r in coupled)
    summit = START.model_copy(update={bowl.knob: bowl.best for bowl in bowls})
    return Planted(family="interacting", lanes=lanes_of(*ORDERED), tables=tables_of(bowls), pairs=pairs, summit=summit)


FAMILIES: tuple[Family, ...] = (smooth, additive, cliffs, traps, null, drift, clipped, interacting)


@dataclass(frozen=True)
class _DivergingValues:
    knob: str
    values: frozenset[Value]

    def __call__(self, recipe: Recipe) -> bool:
        return getattr(recipe, self.knob) in self.values


def bowls_of(
    random: Random, names: Sequence[str] = tuple(ORDERED), active: int = ACTIVE, share: float = 1.0
) -> list[Bowl]:
    """The active knobs with their unequal gains, the largest first."""
    headroom = share * random.uniform(*HEADROOM)
    weights = numpy.sort(random.dirichlet(numpy.full(active, 2.0)))[::-1]
    chosen = [names[place] for place in random.permutation(len(names))[:active]]
    return [
        Bowl(name, float(headroom * weight), _distance(random, name), centred_effects(random))
        for name, weight in zip(chosen, weights, strict=True)
    ]


def _distance(random: Random, name: str) -> int:
    """The distance from the start to the best value, up or down the ladder."""
    knob = space_of(name).knob(name)
    start = knob.values.index(knob.read(START))
    fits = [sign * d for d in DISTANCES for sign in (-1, 1) if 0 <= start + sign * d < len(knob.values)]
    return int(random.choice(fits))


def centred_effects(random: Random) -> Array:
    """Factors for the effect in each category, up to a fifth above or below the mean of 1."""
    factors = random.uniform(-0.2, 0.2, len(CATEGORIES))
    centred: Array = 1 + factors - factors.mean()
    return centred


def tables_of(bowls: Sequence[Bowl], names: Sequence[str] = tuple(ORDERED)) -> dict[str, Table]:
    return null_tables(names) | {bowl.knob: bowl.table() for bowl in bowls}


def null_tables(names: Iterable[str]) -> dict[str, Table]:
    """The tables of knobs that do nothing."""
    nothing = numpy.zeros(len(CATEGORIES))
    return {name: dict.fromkeys(space_of(name).knobs[0].values, nothing) for name in names}


def pair_of(one: Bowl, other: Bowl, coupling: float) -> Interaction:
    weight = coupling * (one.gain * other.gain) ** 0.5 * (one.by_category + other.by_category) / 2
    return Interaction(weight, ((one.knob, one.away()), (other.knob, other.away())))


def named_table(random: Random, name: str, draw: Callable[[], Array], special: Array | None = None) -> Table:
    """The effect of each value of a named knob: 0 for the start's value, and one of the others may be ``special``."""
    knob = space_of(name).knob(name)
    nothing = numpy.zeros(len(CATEGORIES))
    others = [value for value in knob.values if value != knob.read(START)]
    order = [others[place] for place in random.permutation(len(others))]
    worth = {value: draw() for value in order}
    return {knob.read(START): nothing} | worth | ({} if special is None else {order[0]: special})


def _choice(random: Random) -> Array:
    """A random effect: none with chance 0.3, a loss with chance 0.45, a gain of 0.2 to 0.6 with chance 0.25."""
    kind = random.random()
    size = 0.0 if kind < 0.3 else random.uniform(0.2, 0.6) if kind > 0.75 else -random.uniform(0.02, 0.6)
    return size * centred_effects(random)


def _trap(random: Random) -> Array:
    """A trap: five categories gain and one loses, so that the mean still gains."""
    effects = numpy.full(len(CATEGORIES), random.uniform(0.35, 0.65))
    effects[random.integers(len(CATEGORIES))] = -0.8
    return effects


def random_of(family: str, night: int) -> Random:
    digest = hashlib.blake2b(f"{family} {night}".encode(), digest_size=16).digest()
    return numpy.random.default_rng(int.from_bytes(digest, "little"))
