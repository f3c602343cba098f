"""How the probes that are left are best spent: how many on looking for changes, how many pairs on confirming a stack.
Pure functions.

The gain that a night can expect is what the best stack is expected to be worth after so many more readings, times the
chance that its confirmation then passes (the power of its last look). More readings make a better stack and leave
fewer pairs. What they add to the best stack is told by draws of the effects: after w more readings of noise s, the
expectation of a move's effect, of variance v now, will have moved by a share v / (v + 4 s^2 / w) of that variance, if
the move is in about half of the recipes (the two-level factorial of Box, Hunter & Hunter 2005, ch. 5).
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
"""Share of what looking seems to add that is counted: draws of knobs that do nothing add to it, too."""
ENOUGH_FOR_MORE = 14
"""Probes that an early end of a confirmation must leave to be worth more looks."""
PROBE_COST = 0.001
"""Share of the gain that a probe must add: what is left after a confirmation is worth something."""


@dataclass(frozen=True)
class ReadingNoise:
    """Standard deviations of a reading: of the target, and of a guard's deviation from it. ``target_freedom``,
    ``guard_freedom``: degrees of freedom that a confirmation takes from them."""

    target: float
    guard: float
    target_freedom: float
    guard_freedom: float


@dataclass(frozen=True)
class NightPlan:
    """``look``: probes to spend on looking first; ``pairs``: those of the confirmation after it; ``expected``: what the
    stack is worth then; ``power``: the chance that it passes."""

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
    """The chance that the last look of so many pairs passes, of the target and of the guard that is least likely to.
    ``errors``: that of the target and that of a guard; ``guards``: mean and variance of their expected changes;
    ``first``: pairs before the first look."""
    if pairs < 2 or expected <= 0:
        return 0.0
    own, theirs = (levels(round(error, 12), pairs, min(first, pairs))[-1] for error in errors)
    each = (1 + noisier) * noise.target**2 / pairs
    passes = sum(
        case.chance * ndtr((expected - case.quantile * math.sqrt(case.share * each)) / math.sqrt(variance + each))
        for case in _cases(pairs, noise.target_freedom, own)
    )
    each += (1 + noisier) * noise.guard**2 / pairs
    cases = _cases(pairs, noise.guard_freedom, theirs)
    for name, (mean, spread) in (guards or {}).items():
        room, deviation = mean + (margins or {})[name], math.sqrt(spread + each)
        holds = sum(
            case.chance * ndtr((room - case.quantile * combined_error(case.share * each, spread)) / deviation)
            for case in cases
        )
        passes = min(passes, holds)
    return float(passes)


@dataclass(frozen=True, slots=True)
class _VarianceCase:
    """What an interval's width may rest on. ``chance``: of this case; ``share``: the mean variance then, of the true
    one; ``quantile``: of Student's t at the level."""

    chance: float
    share: float
    quantile: float


@cache
def _cases(pairs: int, known: float, level: float) -> tuple[_VarianceCase, ...]:
    """Two cases: so many pairs vary like what is known, with so many degrees of freedom, so that both count; or they
    vary more and count alone (probes/result/variance_pooling.py)."""
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


class _Looking:
    """What the best stack will be worth after so many more readings, as far as draws of the effects tell."""

    def __init__(self, effects: Effects, chance: float, noise: ReadingNoise, random: numpy.random.Generator) -> None:
        self.effects, self.chance, self.noise = effects, chance, noise
        self.draws = random.standard_normal((DRAWS, len(effects.moves))) @ effects.root.T
        self.own = numpy.maximum(numpy.diag(effects.covariance), 1e-9)
        knobs = [knob for knob, _ in effects.moves]
        self.parts = [[at for at, knob in enumerate(knobs) if knob == one] for one in dict.fromkeys(knobs)]

    def worth(self, readings: int) -> float:
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
    """The best plan for the ``left`` probes, looking in waves of so many. ``chance``: that a member of a stack must
    have to be worth more than nothing; ``least``: points that a confirmation must show."""
    looking = _Looking(effects, chance, noise, random)
    best = NightPlan(0, 0, 0.0, 0.0)
    present, variance = (stack.expected, stack.variance) if stack else (0.0, 0.0)
    for look in range(0, max(1, left - 2 * fewest_pairs + 1), wave):
        expected, spread = present, variance
        if look:
            expected = present + GROWTH * (looking.worth(look) - present)
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
