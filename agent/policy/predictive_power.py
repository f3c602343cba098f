"""The chance that a candidate is kept in the end, if it is confirmed with as many pairs as it may have.

Predictive power (Spiegelhalter, Freedman & Blackburn 1986): the chance, over what the true effect may be given what was
seen, that the confirmation's last look passes. The true effect is normal around the shrunk estimate.
"""

import math
from collections.abc import Callable, Mapping

from agent.policy.session_statistics import Knowledge
from probes.result.comparison import Comparison, Difference, quantile
from probes.result.variance_pooling import MOST_FREEDOM

APART = 0.3
"""Standard deviation of a guard's true change around the target's, before anything is seen of it."""


def chance(
    seen: Comparison,
    pairs: int,
    target: str,
    guards: Mapping[str, float],
    least: float,
    levels: tuple[float, float],
    known: Knowledge,
) -> float:
    """That ``pairs`` fresh pairs will show a target above ``least`` and every guard above minus its margin, at the
    one-sided ``levels`` of target and guards. ``seen``: what screening has shown."""
    effect, passes = passing(seen.differences[target], len(seen.seeds), pairs, least, levels[0], known, None)
    for name, margin in guards.items():
        found = passing(seen.differences[name], len(seen.seeds), pairs, -margin, levels[1], known, effect)
        passes = min(passes, found[1])
    return passes


def foreseen(
    pairs: int, target: str, guards: Mapping[str, float], least: float, levels: tuple[float, float], known: Knowledge
) -> float:
    """The same before anything is seen of the candidate itself, by what other comparisons let expect of its move."""
    mean, variance = known.expected
    passes = 1.0
    for name, bar, level in [
        (target, least, levels[0]),
        *((name, -margin, levels[1]) for name, margin in guards.items()),
    ]:
        spread = known.spreads[name]
        if not spread.freedom:
            return 0.0
        each = spread.variance / pairs
        needed = quantile(level, min(spread.freedom, MOST_FREEDOM) + pairs) * math.sqrt(each)
        deviation = math.sqrt(variance + each + (0.0 if name == target else APART**2))
        passes = min(passes, normal((mean - bar - needed) / deviation) if deviation else float(mean > bar))
    return passes


def passing(
    seen: Difference, seeds: int, pairs: int, least: float, level: float, known: Knowledge, target: float | None
) -> tuple[float, float]:
    """The effect to expect, and the chance that its lower bound passes ``least``. ``target``: the effect to expect of
    the target, when this is a guard."""
    variance = seen.standard_error**2
    mean, spread = (known.updated if target is None else known.shrunk)(seen.delta, variance)
    if target is not None:
        mean = target + (seen.delta - target) * APART**2 / (APART**2 + variance)
    each = variance * seeds / pairs
    needed = quantile(level, seen.freedom + pairs) * math.sqrt(each)
    deviation = math.sqrt(spread + each)
    return mean, normal((mean - least - needed) / deviation) if deviation else float(mean > least)


def finishing(
    seen: Difference,
    looked: int,
    pairs: int,
    least: float,
    level: float,
    shrink: Callable[[float, float], tuple[float, float]],
    screened: Difference | None,
    seeds: int,
) -> float:
    """That a confirmation which has ``looked`` at so many of its ``pairs`` will pass at its last look (conditional
    power at what screening and confirmation together say; Lan & Wittes 1988). ``shrink``: an estimate and its variance
    to mean and variance of the true effect."""
    each = seen.standard_error**2 * looked
    together = (seen.delta * looked + (screened.delta * seeds if screened else 0.0)) / (looked + seeds)
    mean, spread = shrink(together, each / (looked + seeds))
    left = pairs - looked
    expected = (seen.delta * looked + mean * left) / pairs
    deviation = math.sqrt(left * each + left**2 * spread) / pairs
    needed = least + quantile(level, seen.freedom + left) * math.sqrt(each / pairs)
    return normal((expected - needed) / deviation) if deviation else float(expected > needed)


def normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-value / math.sqrt(2))
