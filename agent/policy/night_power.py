"""What a night can show: the chance that a stack worth so many points is kept. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.policy.night import ALL_ERROR, ENOUGH, FEWEST_PAIRS
from agent.policy.night_plan import Noise, power
from agent.policy.settings import Policy

WORTH = (0.2, 0.4, 0.8)
"""Points on the scale from 0 to 10 for which the chance is told."""
MOST_PROBES = 240
"""Probes that a session without a limit is taken to have."""
FINEST = 0.01


@dataclass(frozen=True, slots=True)
class NightPower:
    """``pairs``: of a confirmation; ``chances``: of a KEEP, by what the stack is worth; ``visible``: what has an even
    chance, the minimum detectable effect, in points."""

    probes: int
    pairs: int
    chances: Mapping[float, float]
    visible: float


def night_power(noise: Noise, probes: float, policy: Policy) -> NightPower:
    """Of the first confirmation of a night with so many probes, of which half go to it. ``noise``: of a reading."""
    total = int(min(probes, MOST_PROBES))
    pairs = min(policy.confirming_seeds, max(FEWEST_PAIRS, total // 4))
    error = policy.night_error * (policy.spend if total - 2 * pairs >= ENOUGH else ALL_ERROR)

    def chance(worth: float) -> float:
        return power(worth - policy.smallest_effect, 0.0, pairs, (error, policy.guard_error), noise)

    low, high = 0.0, 10.0
    while high - low > FINEST:
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= 0.5 else (middle, high)
    return NightPower(total, pairs, {worth: chance(worth) for worth in WORTH}, round(high, 2))


def in_words(found: NightPower) -> str:
    """One line for people."""
    chances = ", ".join(f"{worth:g} points {chance:.0%}" for worth, chance in found.chances.items())
    return f"the chance of a KEEP with {found.probes} probes, for changes that together are worth: {chances}"
