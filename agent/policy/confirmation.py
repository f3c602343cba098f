"""The rule: whether a stack of changes is kept, look by look. Pure functions.

A stack is confirmed on seeds that chose nothing, its recipe and the incumbent side by side, and looked at after every
pair. Until the first KEEP, what the confirmations of a night spend of its error adds up to less than ``night_error``,
and by Bonferroni's inequality that bounds the chance of a false KEEP, whatever the number of stacks and however they
depend on each other. From then on the night does hold an improvement, or has already erred, and each KEEP earns what
may be spent until the next, ``later_error``: alpha-investing (Foster & Stine 2008).

The target rests on these pairs alone. A guard's bounds also use what the waves before let expect of it, at a larger
error than they state, unless the two disagree.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.policy.alpha_spending import levels
from agent.policy.settings import PolicySettings
from probes.result.comparison import Comparison, Difference, quantile
from probes.result.reading import Failure
from probes.result.variance_pooling import Spread
from probes.run.failures import CRASH

Status = Literal["BASELINE", "KEEP", "DISCARD", "CRASH", "RETRACT"]
FIRST_LOOK = 3
"""Pairs of a confirmation before it is looked at."""
EXPECTATION_DOUBT = 1.5
"""How many times larger than stated the standard error of what waves let expect of a guard is taken to be."""
GIVE_UP = 0.1
"""A confirmation with a smaller chance to pass is ended."""
EXPECTED_SHARE = 0.5
"""Of what was expected of a stack, in the chance that its confirmation still passes."""
DISAGREE = 2.0
"""Standard deviations between a guard's pairs and what was expected of it, from which on the pairs alone count."""
Estimate = tuple[float, float]
"""A change and its standard error, in points."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, and the code of its reason; view/reasons.py has all of them in words."""

    status: Status
    reason: str


def tightest_guard(changes: Mapping[str, float], margins: Mapping[str, float]) -> str | None:
    """The guard whose change leaves least of its margin; None of no changes."""
    return min(changes, key=lambda name: changes[name] + margins[name], default=None)


@dataclass(frozen=True)
class RuleTerms:
    """What decides, the same for a whole session. ``guards``: category -> margin."""

    policy: PolicySettings
    target: str
    guards: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ConfirmationInputs:
    """What the rule is given of one confirmation, stored with its decisions.

    ``pairs``: that it may have; ``error``: what it spends of the night's error, and ``error_left`` before it;
    ``expected``: of the stack, by the waves, and ``guards`` the same of each guard; ``cumulative``: of each guard, by
    all KEEPs since the session's first baseline; ``spreads``: the noise of a pair by category, as known before;
    ``first``: pairs before the first look.
    """

    pairs: int
    error: float
    error_left: float
    expected: Estimate
    guards: Mapping[str, Estimate]
    cumulative: Mapping[str, Estimate]
    spreads: Mapping[str, Spread]
    first: int = FIRST_LOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen after so many pairs, and what it was held against. ``bound``: the target's lower bound at the
    look's one-sided ``level``; ``guards``, ``cumulative``: the guards' bounds, of this change and of all KEEPs and
    this; ``chance``: that the last look passes."""

    pairs: int
    delta: float
    standard_error: float
    level: float
    bound: float
    guards: Mapping[str, float]
    cumulative: Mapping[str, float]
    chance: float


def crash(failure: Failure) -> Verdict:
    """A candidate whose probe failed for good has no comparison."""
    return Verdict("CRASH", CRASH + failure.kind)


def pairs_needed(measured: int, given: ConfirmationInputs, ahead: int) -> int:
    """How many pairs are measured next, all together: ``ahead`` more. The first ones show whether the stack's recipe
    runs at all; then all come that the first look needs."""
    needed = measured + max(1, ahead)
    return min(given.pairs, max(given.first, needed) if measured else needed)


def look(seen: Comparison, given: ConfirmationInputs, terms: RuleTerms) -> tuple[Look, Verdict | None]:
    """After ``seen``, the comparison of the first pairs of a confirmation: the decision, or None to go on."""
    pairs, policy, effect = len(seen.seeds), terms.policy, seen.differences[terms.target]
    own, theirs = _levels(given.error, given), _levels(policy.guard_error, given)
    place = pairs - given.first
    bound = effect.bound(own[place])
    guards = {
        name: _guard_bound(seen.differences[name], given.guards.get(name), theirs[place]) for name in terms.guards
    }
    cumulative = {
        name: _bound_of_sum(
            seen.differences[name], given.guards.get(name), given.cumulative.get(name, (0.0, 0.0)), theirs[place]
        )
        for name in terms.guards
    }
    chance = _chance(effect, pairs, given, own[-1], policy.smallest_effect)
    found = Look(
        pairs=pairs,
        delta=effect.delta,
        standard_error=effect.standard_error,
        level=own[place],
        bound=bound,
        guards=guards,
        cumulative=cumulative,
        chance=chance,
    )
    improved, failing = bound > policy.smallest_effect, failing_guard(guards, cumulative, terms.guards)
    if improved and failing is None:
        return found, Verdict("KEEP", "improved")
    if pairs < given.pairs and chance >= GIVE_UP:
        return found, None
    if improved and failing is not None:
        return found, Verdict("DISCARD", failing)
    return found, Verdict("DISCARD", "worse" if effect.high < 0 else "unconfirmed")


def failing_guard(
    guards: Mapping[str, float], cumulative: Mapping[str, float], margins: Mapping[str, float]
) -> str | None:
    """The reason code of the guard furthest past its margin, by this change or by all so far; None when all hold."""
    slack = {f"guard:{name}": guards[name] + margin for name, margin in margins.items() if name in guards}
    slack |= {f"cumulative:{name}": cumulative[name] + margin for name, margin in margins.items() if name in cumulative}
    worst = min(slack, key=lambda code: slack[code], default=None)
    return worst if worst is not None and not slack[worst] > 0 else None


def _levels(error: float, given: ConfirmationInputs) -> tuple[float, ...]:
    return levels(round(error, 12), given.pairs, given.first)


def _guard_bound(own: Difference, expected: Estimate | None, level: float) -> float:
    """The lower bound of a guard's change, by its pairs and by what was expected of it."""
    change, error = _with_expected(own, expected)
    return change - quantile(level, own.freedom) * error


def _with_expected(own: Difference, expected: Estimate | None) -> Estimate:
    if expected is None:
        return own.delta, own.standard_error
    mean, spread = expected
    joint = combined_error(own.standard_error**2, spread**2)
    apart = abs(own.delta - mean)
    if not joint < own.standard_error or apart >= DISAGREE * math.hypot(own.standard_error, EXPECTATION_DOUBT * spread):
        return own.delta, own.standard_error
    share = (joint / own.standard_error) ** 2
    return share * own.delta + (1 - share) * mean, joint


def _bound_of_sum(own: Difference, expected: Estimate | None, before: Estimate, level: float) -> float:
    """The lower bound of a guard's change since the session's first baseline, were this stack kept, too."""
    change, error = _with_expected(own, expected)
    return before[0] + change - quantile(level, own.freedom) * math.hypot(error, before[1])


def _chance(effect: Difference, pairs: int, given: ConfirmationInputs, level: float, least: float) -> float:
    """The chance that the last look passes, at the mean of what is seen and of what was expected (conditional power;
    Lan & Wittes 1988)."""
    left = given.pairs - pairs
    if left == 0:
        return float(effect.bound(level) > least)
    deviation = max(math.sqrt(effect.variance), 1e-9)
    needed = least + quantile(level, given.pairs - 1) * deviation / math.sqrt(given.pairs)
    coming = EXPECTED_SHARE * (effect.delta + given.expected[0])
    spread = 1.2 * deviation * math.sqrt(left) / given.pairs
    return normal(((effect.delta * pairs + coming * left) / given.pairs - needed) / spread)


def combined_error(variance: float, expected: float) -> float:
    """The standard error of a guard's change by its confirmation and by what waves let expect, together; both given as
    variances."""
    prior = EXPECTATION_DOUBT**2 * expected
    return math.sqrt(variance * prior / (variance + prior)) if prior > 0 else math.sqrt(variance)


def normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-value / math.sqrt(2))


# what confirmations leave for later ones


@dataclass(frozen=True, slots=True)
class ErrorSpending:
    """What a confirmation leaves: ``error`` that it spent, whether it was ``kept``, and by how much it changed each
    guard, which counts if it was kept."""

    error: float
    kept: bool
    guards: Mapping[str, Estimate]


@dataclass(frozen=True)
class ErrorBudget:
    """``error_left``: of the night; ``cumulative``: per guard, the change by all KEEPs since the session's first
    baseline."""

    error_left: float
    cumulative: Mapping[str, Estimate]
    kept: int = 0


def account_of(seen: Comparison | None, given: ConfirmationInputs, verdict: Verdict, terms: RuleTerms) -> ErrorSpending:
    """The account of a confirmation that ended with ``seen``."""
    guards = {}
    if seen is not None and verdict.status == "KEEP":
        guards = {name: _with_expected(seen.differences[name], given.guards.get(name)) for name in terms.guards}
    return ErrorSpending(given.error, verdict.status == "KEEP", guards)


def standing(accounts: Iterable[ErrorSpending], policy: PolicySettings) -> ErrorBudget:
    """After these confirmations, oldest first; A/A tests spend nothing and are not among them."""
    left, cumulative, kept = policy.night_error, dict[str, Estimate](), 0
    for account in accounts:
        left -= account.error
        if account.kept:
            left, kept = policy.later_error, kept + 1
            for name, (change, error) in account.guards.items():
                before, spread = cumulative.get(name, (0.0, 0.0))
                cumulative[name] = (before + change, math.hypot(spread, error))
    return ErrorBudget(max(left, 0.0), cumulative, kept)
