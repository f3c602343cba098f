"""What the decisions of a session so far teach the next one. A pure function of them, so it survives a kill.

Noise: the variance of paired differences between seeds, pooled per category. Size of effects: the variance of true
effects among candidates, so that an estimate can be shrunk. The error of the night that is left. What KEEPs have done
to each guard since the session's first baseline.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from agent.policy.effect_model import Move, Response, Seen, ordinary, safe
from agent.policy.settings import Policy
from probes.result.comparison import Difference
from probes.result.reading import Reading
from probes.result.variance_pooling import UNKNOWN, Spread

EFFECT = 0.5
"""Standard deviation of true effects that is assumed at first, as if learnt from PRIOR candidates."""
PRIOR = 4
SMALLEST_DEVIATION = 0.2
CORRELATION = 0.5
"""Of the two sides of a pair, until pairs have shown it."""
RECENT = 128
"""Candidates by whose comparisons responses are told, the last ones. A night decides on fewer; the work of a response
grows with their third power."""
ENOUGH = 3.0
"""Degrees of freedom of paired differences, from which on the baseline's own repeats are no longer needed."""


@dataclass(frozen=True)
class Account:
    """What a decision leaves for later ones. ``incumbent``: the digest of the recipe that was moved. ``screening`` and
    ``confirmation``: the last comparison of each by category, and its seeds; ``error``: what the confirmation spent of
    the night's; ``kept``: whether it was a KEEP that stands."""

    move: Move | None
    incumbent: str
    screening: Mapping[str, Difference]
    seeds: int
    confirmation: Mapping[str, Difference]
    confirming_seeds: int
    error: float
    kept: bool
    disguised: bool


@dataclass(frozen=True)
class Knowledge:
    """Read by the rule. ``cumulative``: per guard, (change, variance) of all KEEPs since the session's first baseline;
    ``response``, ``guard_responses``: what moves do to the target and to guards, by all comparisons together; ``move``:
    the one that is decided on."""

    spreads: Mapping[str, Spread]
    effect_variance: float
    error_left: float
    cumulative: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    response: Response = field(default_factory=Response)
    guard_responses: Mapping[str, Response] = field(default_factory=dict)
    move: Move | None = None

    def about(self, move: Move | None) -> "Knowledge":
        """The same, for decisions on this move."""
        return replace(self, move=move)

    @property
    def expected(self) -> tuple[float, float]:
        """Mean and variance of the move's effect on the target, by other comparisons."""
        return self.response.of(self.move) if self.move else (0.0, self.effect_variance)

    def safe(self, margins: Mapping[str, float]) -> float:
        """The chance that the move breaks no guard, by other comparisons."""
        return float(safe([self.move], self.guard_responses, margins)[0]) if self.move else 1.0

    def shrunk(self, delta: float, variance: float) -> tuple[float, float]:
        """Mean and variance of a true effect, given an estimate and its variance: normal with normal prior."""
        weight = self.effect_variance / (self.effect_variance + variance)
        return delta * weight, self.effect_variance * (1 - weight)

    def updated(self, delta: float, variance: float) -> tuple[float, float]:
        """The same of the move's effect on the target, given what other comparisons say of it, too."""
        if self.move is None:
            return self.shrunk(delta, variance)
        return self.response.given(Seen((self.move,), delta, variance, None)).of(self.move)


def known(
    accounts: Iterable[Account],
    baseline: Mapping[str, Spread],
    target: str,
    policy: Policy,
    guards: Collection[str] = (),
    surveyed: Callable[[str], Sequence[Seen]] = lambda category: (),
) -> Knowledge:
    """From the accounts of the session's decisions, oldest first, the noise of its first baseline's repeats, and what a
    survey has shown of each category."""
    return Lessons(baseline, target, policy, guards, surveyed).with_more(accounts).knowledge()


@dataclass(frozen=True, slots=True)
class Pool:
    """Spreads taken together, as probes/result/variance_pooling.py pools them, one after another."""

    weighted: float = 0.0
    freedom: float = 0

    def with_one(self, one: Spread) -> "Pool":
        if one.freedom <= 0:
            return self
        return Pool(self.weighted + one.variance * one.freedom, self.freedom + one.freedom)

    @property
    def spread(self) -> Spread:
        return Spread(self.weighted / self.freedom, self.freedom) if self.freedom else UNKNOWN


class Lessons:
    """What the accounts of a session teach, taken up one after another: what one more costs does not grow."""

    def __init__(
        self,
        baseline: Mapping[str, Spread],
        target: str,
        policy: Policy,
        guards: Collection[str] = (),
        surveyed: Callable[[str], Sequence[Seen]] = lambda category: (),
    ) -> None:
        self.baseline, self.target, self.policy, self.guards, self.surveyed = baseline, target, policy, guards, surveyed
        self._pools = {name: Pool() for name in baseline}
        self._excess, self._candidates = 0.0, 0
        self.error_left, self._cumulative = policy.night_error, dict[str, tuple[float, float]]()
        self._recent = recent()

    def with_more(self, accounts: Iterable[Account]) -> "Lessons":
        """A copy that has taken these up, too."""
        more = copy(self)
        more._pools, more._cumulative, more._recent = dict(self._pools), dict(self._cumulative), self._recent.copy()
        for account in accounts:
            more.take(account)
        return more

    def take(self, account: Account) -> None:
        for found, seeds in ((account.screening, account.seeds), (account.confirmation, account.confirming_seeds)):
            for name, difference in found.items():
                self._pools[name] = self._pools.get(name, Pool()).with_one(Spread(difference.variance, seeds - 1))
        if account.disguised:
            return
        if account.screening:
            seen = account.screening[self.target]
            self._excess += seen.delta**2 - seen.standard_error**2
            self._candidates += 1
        if tells(account):
            self._recent.append(account)
        self.error_left -= account.error
        if account.kept:
            self.error_left = self.policy.later_error
            for name, difference in account.confirmation.items():
                change, variance = self._cumulative.get(name, (0.0, 0.0))
                self._cumulative[name] = (change + difference.delta, variance + difference.standard_error**2)

    def knowledge(self) -> Knowledge:
        effects = max(SMALLEST_DEVIATION**2, (PRIOR * EFFECT**2 + self._excess) / (PRIOR + self._candidates))
        spreads = {name: _spread(pool, self.baseline.get(name)) for name, pool in self._pools.items()}
        responses = responses_of(self._recent, self.target, self.guards, self.surveyed)
        return Knowledge(spreads, effects, self.error_left, dict(self._cumulative), *responses)


def recent() -> deque[Account]:
    """The accounts by which responses are told: the last RECENT that tell something."""
    return deque(maxlen=RECENT)


def tells(account: Account) -> bool:
    """Whether there is a comparison of a move in it."""
    return account.move is not None and not account.disguised and bool(account.screening or account.confirmation)


def responses_of(
    accounts: Collection[Account], target: str, guards: Collection[str], surveyed: Callable[[str], Sequence[Seen]]
) -> tuple[Response, dict[str, Response]]:
    """Of the target, and of each guard: on the target's scales, but for knobs that do less than the ordinary to it."""
    found = response_of(accounts, target, surveyed(target))
    scales = {knob: own if own[1] >= ordinary(knob)[1] else ordinary(knob) for knob, own in found.scales.items()}
    return found, {name: replace(response_of(accounts, name, surveyed(name)), settled=scales) for name in guards}


def response_of(accounts: Iterable[Account], category: str, surveyed: Sequence[Seen] = ()) -> Response:
    """Of a category, by every comparison in these accounts and by a survey."""
    seen = list(surveyed)
    for account in accounts:
        if account.move is None or account.disguised:
            continue
        sides = ((account.screening, account.incumbent), (account.confirmation, None))
        for found, incumbent in sides:
            if found:
                own = found[category]
                seen.append(Seen((account.move,), own.delta, own.standard_error**2, incumbent))
    return Response(tuple(seen))


def _spread(paired: Pool, baseline: Spread | None) -> Spread:
    own = paired.spread
    return paired.with_one(baseline).spread if baseline is not None and own.freedom < ENOUGH else own


def baseline_spreads(readings: Sequence[Reading], categories: Sequence[str]) -> dict[str, Spread]:
    """Of a difference between two runs, from repeats of one recipe: twice their variance, of which pairing is taken to
    cancel half. A guess, which comparisons soon replace."""
    found = {}
    for name in categories:
        means = [reading.mean(name) for reading in readings]
        grand = math.fsum(means) / len(means)
        variance = math.fsum((mean - grand) ** 2 for mean in means) / (len(means) - 1) if len(means) > 1 else 0.0
        found[name] = Spread(2 * variance * (1 - CORRELATION), len(means) - 1)
    return found


def account_from(data: Mapping[str, Any]) -> Account:
    """The inverse of ``dataclasses.asdict``. Older ledgers have no move."""
    data = {"move": None, "incumbent": "", **data}
    sides = {
        name: {category: Difference(**found) for category, found in data[name].items()}
        for name in ("screening", "confirmation")
    }
    return Account(**{**data, **sides, "move": data["move"] and Move(**data["move"])})
