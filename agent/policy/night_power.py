"""The power of a night: the chance that a stack of a given effect is kept, the minimum detectable effect, and what
would double the chance. Pure functions."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from agent.policy.night import ALL_ERROR, DUE, ENOUGH, FEWEST_PAIRS, FEWEST_PROBES, LONG, kept_pairs
from agent.policy.night_plan import ReadingNoise, first_look, power
from agent.policy.settings import PolicySettings

WORTH = (0.2, 0.4, 0.8)
"""Effects of a stack for which the chance is reported, in points on the scale from 0 to 10."""
MOST_PROBES = 240
"""A session without a limit is planned as if it had so many probes."""
FINEST = 0.01
ENOUGH_CHANCE = 0.9
"""For a chance of at least this, nothing is suggested."""
EVEN = 0.5
TIMES = 10
"""Budgets and numbers of answers are raised at most to this multiple to double a chance."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers per prompt, and the share of a reading's variance that comes from them."""

    samples: int
    share: float

    def raised(self, samples: int, noise: ReadingNoise) -> tuple["Answers", ReadingNoise]:
        """The same with another number of answers per prompt, and the noise of a reading then."""
        left = 1 - self.share * (1 - self.samples / samples)
        root = math.sqrt(left)
        fewer = replace(noise, target=noise.target * root, guard=noise.guard * root)
        return Answers(samples, self.share * self.samples / samples / left if left else 0.0), fewer


@dataclass(frozen=True, slots=True)
class Raise:
    """One way to a larger chance: raise ``what`` from ``now`` to ``needed``, the smallest number that is enough; None
    if even ``most`` is too little. ``pairs``: of the confirmation then."""

    what: str
    now: int
    needed: int | None
    most: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Doubling:
    """What raises the ``chance`` of a KEEP for a stack of this ``worth`` to ``wanted``."""

    worth: float
    chance: float
    wanted: float
    raises: tuple[Raise, ...]


@dataclass(frozen=True, slots=True)
class NightPower:
    """``pairs``: of a confirmation; ``most_pairs``: that the policy allows; ``chances``: effect of a stack in points ->
    chance of a KEEP; ``visible``: the minimum detectable effect in points, kept with a chance of 0.5; ``doubling``:
    what would double the chance nearest to 0.5, None if every chance is large."""

    probes: int
    pairs: int
    most_pairs: int
    chances: Mapping[float, float]
    visible: float
    doubling: Doubling | None = None


def night_power(
    noise: ReadingNoise, probes: float, policy: PolicySettings, answers: Answers | None = None
) -> NightPower:
    """The power of the first confirmation of a night with so many probes, if the search has found every improvement;
    guards are not counted. ``noise``: of a reading; ``answers``: None if their part of the noise is not known."""
    total = int(min(probes, MOST_PROBES))
    most = policy.confirming_seeds
    pairs = _pairs(total, most)
    chances = {worth: _chance(worth, total, pairs, noise, policy) for worth in WORTH}
    if total < FEWEST_PROBES:
        chances = dict.fromkeys(WORTH, 0.0)
    low, high = 0.0, 10.0
    while high - low > FINEST:
        middle = (low + high) / 2
        low, high = (low, middle) if _chance(middle, total, pairs, noise, policy) >= EVEN else (middle, high)
    doubling = _doubling(chances, noise, total, policy, answers)
    return NightPower(total, pairs, most, chances, round(high, 2), doubling)


def _pairs(probes: int, most: int) -> int:
    """The pairs that a night's search leaves for its confirmation, at most ``most``."""
    return min(most, int(DUE * probes) // 2 if probes > LONG else kept_pairs(probes))


def _chance(worth: float, probes: int, pairs: int, noise: ReadingNoise, policy: PolicySettings) -> float:
    left = int(DUE * probes) if probes > LONG else 2 * pairs
    error, first = policy.night_error * (policy.spend if left >= ENOUGH else ALL_ERROR), first_look(pairs, left)
    return power(
        expected=worth - policy.smallest_effect,
        variance=0.0,
        pairs=pairs,
        errors=(error, policy.guard_error),
        noise=noise,
        first=first,
    )


def _doubling(
    chances: Mapping[float, float], noise: ReadingNoise, probes: int, policy: PolicySettings, answers: Answers | None
) -> Doubling | None:
    small = {worth: chance for worth, chance in chances.items() if chance < ENOUGH_CHANCE}
    if not small:
        return None
    worth = min(small, key=lambda one: abs(small[one] - EVEN))
    chance, most = small[worth], policy.confirming_seeds
    wanted = min(ENOUGH_CHANCE, max(2 * chance, EVEN))

    def enough(total: int, pairs: int, shrunk: ReadingNoise = noise) -> bool:
        return _chance(worth, total, pairs, shrunk, policy) >= wanted

    def of_probes(total: int) -> bool:
        return enough(total, _pairs(total, total))

    found, possible, last = list[Raise](), _pairs(probes, probes), min(TIMES * probes, MOST_PROBES)
    if possible > most:
        found.append(_raised("confirming_seeds", most, possible, lambda pairs: enough(probes, pairs), lambda own: own))
    if probes < last and not any(one.needed for one in found):
        found = [_raised("probes", probes, last, of_probes, lambda total: _pairs(total, total))]
    if answers is not None and 0 < answers.share <= 1:
        pairs = _pairs(probes, most)

        def of_answers(samples: int) -> bool:
            return enough(probes, pairs, answers.raised(samples, noise)[1])

        most_answers = TIMES * answers.samples
        found.append(_raised("answers per prompt", answers.samples, most_answers, of_answers, lambda _: pairs))
    return Doubling(worth, chance, wanted, tuple(found))


def _raised(what: str, now: int, most: int, enough: Callable[[int], bool], pairs: Callable[[int], int]) -> Raise:
    tried: Iterable[int] = range(now + 1, most + 1)
    needed = next((number for number in tried if enough(number)), None)
    return Raise(what, now, needed, most, pairs(most if needed is None else needed))


# in words


def in_words(found: NightPower) -> list[str]:
    """Lines for people: the chances, and what would double the one nearest to 0.5."""
    if found.probes < FEWEST_PROBES:
        return [
            f"{found.probes} probes can keep nothing: repeats of the starting recipe, a wave and a confirmation of "
            f"{FEWEST_PAIRS} pairs need at least {FEWEST_PROBES}; raise probes under [budget] or --probes"
        ]
    chances = ", ".join(f"{worth:g} points {_percent(chance)}" for worth, chance in found.chances.items())
    lines = [
        f"the chance of a KEEP with {found.probes} probes, of which {2 * found.pairs} confirm, for changes that "
        f"together are worth: {chances} (once a stack has them; guards not counted)"
    ]
    if found.doubling is None:
        return lines
    own = found.doubling
    ways = [_way(one, found.most_pairs) for one in own.raises if one.needed is not None]
    vain = [f"{one.most} {one.what}" for one in own.raises if one.needed is None]
    wanted = f"a chance of {_percent(own.wanted)} for {own.worth:g} points (now {_percent(own.chance)})"
    lines.append(f"{wanted} takes {', or '.join(ways)}" if ways else f"{wanted} takes more than one of these can give")
    if vain:
        lines[-1] += f"; not enough would be {' or '.join(vain)}"
    return lines


def _percent(chance: float) -> str:
    """Never 0 % or 100 %: no night is certain."""
    return "under 1%" if chance < 0.01 else "over 99%" if chance > 0.99 else f"{chance:.0%}"


def _way(one: Raise, most_pairs: int) -> str:
    with_pairs = f" with confirming_seeds={one.pairs}" if one.what == "probes" and one.pairs > most_pairs else ""
    if one.what == "confirming_seeds":
        return f"confirming_seeds={one.needed} instead of {one.now}"
    return f"{one.needed} {one.what} instead of {one.now}{with_pairs}"


# in the ledger


def power_data(found: NightPower) -> dict[str, Any]:
    """The power of a night as the ledger stores it."""
    chances = [[worth, chance] for worth, chance in found.chances.items()]
    return {**asdict(found), "chances": chances}


def power_from(data: Mapping[str, Any]) -> NightPower:
    """The power of a night from the ledger's JSON."""
    own = data["doubling"]
    doubling = Doubling(**{**own, "raises": tuple(Raise(**one) for one in own["raises"])}) if own else None
    chances = {worth: chance for worth, chance in data["chances"]}
    return NightPower(data["probes"], data["pairs"], data["most_pairs"], chances, data["visible"], doubling)
