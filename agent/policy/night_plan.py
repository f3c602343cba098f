"""How the probes that are left are best spent: how many on searching (waves), how many pairs on confirming a stack.
Pure functions.

The expected gain of a plan is the expected effect of the best stack after its waves, times the chance that the stack's
confirmation passes (the power of its last look). More waves make a better stack and leave fewer pairs. How much better
is estimated from draws of the effects: if a move with an effect of variance v is in about half of the recipes, then w
more readings with noise s resolve the share v / (v + 4 s^2 / w) of v, so the mean of the effect moves by a draw with
that share as its variance (the two-level factorial of Box, Hunter & Hunter 2005, ch. 5).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy
from scipy.special import chdtr, chdtrc, ndtr, stdtrit

from agent.policy.alpha_spending import levels
from agent.policy.confirmation import FIRST_LOOK, combined_error
from agent.policy.knob_effects import Effects
from agent.policy.stack import Stack
from probes.result.variance_pooling import ALIKE

DRAWS = 200
GROWTH = 0.5
"""Share of the estimated gain of more waves that is counted, since draws for knobs without an effect add to it."""
ENOUGH_FOR_MORE = 14
"""A confirmation has several looks only if its early end would leave so many probes."""
PROBE_COST = 0.001
"""Share of the gain that each probe of a plan costs: probes that are left over are worth something."""


@dataclass(frozen=True)
class ReadingNoise:
    """Standard deviations of a reading: of the target, and of a guard's deviation from the target. ``target_freedom``,
    ``guard_freedom``: the degrees of freedom with which a confirmation pools them."""

    target: float
    guard: float
    target_freedom: float
    guard_freedom: float


@dataclass(frozen=True)
class NightPlan:
    """``look``: probes to spend on waves first; ``pairs``: of the confirmation after them; ``expected``: the effect of
    the stack that is confirmed, in points; ``power``: the chance that it passes."""

    look: int
    pairs: int
    expected: float
    power: float

    @property
    def worth(self) -> float:
        """The gain to expect, less what its probes cost."""
        return self.expected * self.power * (1 - PROBE_COST * (self.look + 2 * self.pairs))


def power(
    *,
    expected: float,
    variance: float,
    pairs: int,
    errors: tuple[float, float],
    noise: ReadingNoise,
    noisier: float = 1.0,
    guards: Mapping[str, tuple[float, float]] | None = None,
    margins: Mapping[str, float] | None = None,
    first: int = FIRST_LOOK,
) -> float:
    """The chance that the last look after so many pairs passes: the smaller of that of the target and that of the guard
    which is least likely to hold. ``errors``: of the target and of a guard; ``guards``: mean and variance of their
    expected changes; ``first``: pairs before the first look."""
    if pairs < 2 or expected <= 0:
        return 0.0
    target_level, guard_level = (levels(round(error, 12), pairs, min(first, pairs))[-1] for error in errors)
    noise_of_mean = (1 + noisier) * noise.target**2 / pairs
    deviation = math.sqrt(variance + noise_of_mean)
    passes = sum(
        case.chance * ndtr((expected - case.quantile * math.sqrt(case.share * noise_of_mean)) / deviation)
        for case in _cases(pairs, noise.target_freedom, target_level)
    )
    noise_of_mean += (1 + noisier) * noise.guard**2 / pairs
    cases = _cases(pairs, noise.guard_freedom, guard_level)
    for name, (mean, spread) in (guards or {}).items():
        room, deviation = mean + (margins or {})[name], math.sqrt(spread + noise_of_mean)
        holds = sum(
            case.chance * ndtr((room - case.quantile * combined_error(case.share * noise_of_mean, spread)) / deviation)
            for case in cases
        )
        passes = min(passes, holds)
    return float(passes)


@dataclass(frozen=True, slots=True)
class _VarianceCase:
    """One case of the variance that an interval uses. ``chance``: of this case; ``share``: the mean of the estimated
    variance in it, divided by the true one; ``quantile``: of Student's t at the level."""

    chance: float
    share: float
    quantile: float


@cache
def _cases(pairs: int, known: float, level: float) -> tuple[_VarianceCase, ...]:
    """Two cases: the pairs vary like the earlier probes, whose variance has ``known`` degrees of freedom, so the two
    are pooled; or they vary more, and count alone (probes/result/variance_pooling.py)."""
    freedom = pairs - 1
    quiet, mean_quiet = (float(chdtr(own, ALIKE * freedom)) for own in (freedom, freedom + 2))
    loud, mean_loud = (float(chdtrc(own, ALIKE * freedom)) for own in (freedom, freedom + 2))
    pooled = (known + freedom * mean_quiet / quiet) / (known + freedom)
    together = _VarianceCase(quiet, pooled, float(stdtrit(known + freedom, 1 - level)))
    alone = _VarianceCase(loud, mean_loud / loud, float(stdtrit(freedom, 1 - level))) if loud else None
    return (together,) if alone is None else (together, alone)


def first_look(pairs: int, left: int) -> int:
    """Pairs before the first look at a confirmation. Looks cost power, and an early end pays only if it leaves enough
    of the ``left`` probes for another wave and another confirmation."""
    return min(FIRST_LOOK, pairs) if left - 2 * FIRST_LOOK >= ENOUGH_FOR_MORE else pairs


class _SearchForecast:
    """What the best stack will be worth after more readings, estimated from draws of the effects."""

    def __init__(self, effects: Effects, chance: float, noise: ReadingNoise, random: numpy.random.Generator) -> None:
        self.effects, self.chance, self.noise = effects, chance, noise
        self.draws = random.standard_normal((DRAWS, len(effects.moves))) @ effects.root.T
        self.own = numpy.maximum(numpy.diag(effects.covariance), 1e-9)
        knobs = [knob for knob, _ in effects.moves]
        self.parts = [[at for at, knob in enumerate(knobs) if knob == one] for one in dict.fromkeys(knobs)]

    def worth(self, readings: int) -> float:
        """The expected effect of the best stack after so many more readings, in points."""
        share = self.own / (self.own + 4 * self.noise.target**2 / readings)
        means = self.effects.mean[0] + numpy.sqrt(share) * self.draws
        rest = numpy.sqrt(numpy.maximum(self.own * (1 - share), 1e-9))
        means = numpy.where(ndtr(means / rest) >= self.chance, means, 0.0)
        return float(sum(numpy.maximum(means[:, part].max(axis=1), 0.0).mean() for part in self.parts))


def plan(
    *,
    effects: Effects,
    stack: Stack | None,
    left: int,
    wave: int,
    fewest_pairs: int,
    most_pairs: int,
    chance: float,
    errors: tuple[float, float],
    noise: ReadingNoise,
    margins: Mapping[str, float],
    random: numpy.random.Generator,
    least: float = 0.0,
) -> NightPlan:
    """The best plan for the ``left`` probes, with waves of ``wave`` recipes. ``chance``: of an effect above zero that a
    member of a stack must have; ``least``: points that a confirmation must show."""
    forecast = _SearchForecast(effects, chance, noise, random)
    best = NightPlan(0, 0, 0.0, 0.0)
    present, variance = (stack.expected, stack.variance) if stack else (0.0, 0.0)
    for look in range(0, max(1, left - 2 * fewest_pairs + 1), wave):
        expected, spread = present, variance
        if look:
            expected = present + GROWTH * (forecast.worth(look) - present)
            spread = variance / 2
        shift = expected - present
        guards = {name: (mean + shift, own) for name, (mean, own) in (stack.guards if stack else {}).items()}
        noisier = stack.noisier if stack else 1.0
        for pairs in range(fewest_pairs, min(most_pairs, (left - look) // 2) + 1):
            first = first_look(pairs, left - look)
            passes = power(
                expected=expected - least,
                variance=spread,
                pairs=pairs,
                errors=errors,
                noise=noise,
                noisier=noisier,
                guards=guards,
                margins=margins,
                first=first,
            )
            found = NightPlan(look, pairs, expected, passes)
            if found.worth > best.worth:
                best = found
    return best
