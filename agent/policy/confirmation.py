"""The rule: whether a stack of changes is kept, look by look. Pure functions.

A stack is confirmed on fresh seeds, which did not take part in its selection. Its recipe and the incumbent are trained
in pairs, and the comparison is looked at after every pair. Until the first KEEP, the errors (alpha) that the
confirmations of a night spend add up to less than ``night_error``. By Bonferroni's inequality this bounds the chance of
a false KEEP, for any number of stacks and any dependence between them. After a KEEP the night has found an improvement
or has already erred, so from then on ``later_error`` may be spent until the next KEEP: alpha-investing (Foster & Stine
2008).

The effect on the target is estimated from these pairs alone. Earlier probes count only in the noise of a pair
(``spreads``), and the effect predicted from the waves only in the chance of later looks. A guard's bounds also use its
predicted change, with an enlarged standard error, unless pairs and prediction disagree.
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
"""Pairs of a confirmation before its first look."""
EXPECTATION_DOUBT = 1.5
"""Factor by which the standard error of a guard's predicted change is enlarged."""
GIVE_UP = 0.1
"""A confirmation with a smaller chance to pass is ended."""
EXPECTED_SHARE = 0.5
"""Weight of the predicted effect, beside the one seen so far, in the chance that a confirmation still passes."""
DISAGREE = 2.0
"""Standard deviations between a guard's pairs and its prediction from which on the pairs alone count."""
Estimate = tuple[float, float]
"""A change and its standard error, in points."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, and the code of the reason; view/reasons.py explains every code."""

    status: Status
    reason: str


def tightest_guard(changes: Mapping[str, float], margins: Mapping[str, float]) -> str | None:
    """The guard whose change leaves least of its margin; None if there are no changes."""
    return min(changes, key=lambda name: changes[name] + margins[name], default=None)


@dataclass(frozen=True)
class RuleTerms:
    """The terms of every decision of a session. ``guards``: category -> margin, in points."""

    policy: PolicySettings
    target: str
    guards: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ConfirmationInputs:
    """What is known before a confirmation begins; stored with its decisions.

    ``pairs``: the most that it may have; ``error``: the part of the night's error that it spends; ``error_left``: what
    is left of that before it; ``expected``, ``guards``: the predicted change of the target and of each guard;
    ``cumulative``: the change of each guard by all KEEPs since the session's first baseline; ``spreads``: category ->
    the noise of a pair, from earlier probes; ``first``: pairs before the first look.
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
    """One look at a confirmation, after ``pairs`` pairs.

    ``delta``, ``standard_error``: of the target; ``bound``: the target's lower bound at the look's one-sided ``level``;
    ``guards``: the lower bounds of the guards' changes by this stack; ``cumulative``: the same by all KEEPs and this
    stack; ``chance``: that the last look passes."""

    pairs: int
    delta: float
    standard_error: float
    level: float
    bound: float
    guards: Mapping[str, float]
    cumulative: Mapping[str, float]
    chance: float


def crash(failure: Failure) -> Verdict:
    """The decision on a candidate whose probe failed for good, so that there is no comparison."""
    return Verdict("CRASH", CRASH + failure.kind)


def pairs_needed(measured: int, given: ConfirmationInputs, ahead: int) -> int:
    """How many pairs should be measured next, those ``measured`` included: first ``ahead`` pairs, which show whether
    the stack's recipe runs at all; then all that the first look needs; then ``ahead`` more each time."""
    needed = measured + max(1, ahead)
    return min(given.pairs, max(given.first, needed) if measured else needed)


def look(seen: Comparison, given: ConfirmationInputs, terms: RuleTerms) -> tuple[Look, Verdict | None]:
    """Look at ``seen``, the comparison of the first pairs; the decision is None if the confirmation should go on."""
    pairs, policy, effect = len(seen.seeds), terms.policy, seen.differences[terms.target]
    index, target_levels = pairs - given.first, _levels(given.error, given)
    guard_level = _levels(policy.guard_error, given)[index]
    bound = effect.bound(target_levels[index])
    guards = {name: _guard_bound(seen.differences[name], given.guards.get(name), guard_level) for name in terms.guards}
    cumulative = {
        name: _bound_of_sum(
            seen.differences[name], given.guards.get(name), given.cumulative.get(name, (0.0, 0.0)), guard_level
        )
        for name in terms.guards
    }
    chance = _chance(effect, pairs, given, target_levels[-1], policy.smallest_effect)
    found = Look(
        pairs=pairs,
        delta=effect.delta,
        standard_error=effect.standard_error,
        level=target_levels[index],
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
    """The reason code of the guard furthest past its margin, by this stack or by all KEEPs and it; None if all hold."""
    slack = {f"guard:{name}": guards[name] + margin for name, margin in margins.items() if name in guards}
    slack |= {f"cumulative:{name}": cumulative[name] + margin for name, margin in margins.items() if name in cumulative}
    worst = min(slack, key=lambda code: slack[code], default=None)
    return worst if worst is not None and not slack[worst] > 0 else None


def _levels(error: float, given: ConfirmationInputs) -> tuple[float, ...]:
    return levels(round(error, 12), given.pairs, given.first)


def _guard_bound(own: Difference, expected: Estimate | None, level: float) -> float:
    """The lower bound of a guard's change, from its pairs and its predicted change."""
    change, error = _with_expected(own, expected)
    return change - quantile(level, own.freedom) * error


def _with_expected(own: Difference, expected: Estimate | None) -> Estimate:
    """A guard's change by its pairs and its predicted change, weighted by their precision; by the pairs alone if the
    two disagree."""
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
    """The lower bound of a guard's change since the session's first baseline if this stack is kept, too."""
    change, error = _with_expected(own, expected)
    return before[0] + change - quantile(level, own.freedom) * math.hypot(error, before[1])


def _chance(effect: Difference, pairs: int, given: ConfirmationInputs, level: float, least: float) -> float:
    """The chance that the last look passes if the pairs to come have the mean of the effect seen and the one predicted
    (conditional power; Lan & Wittes 1988)."""
    left = given.pairs - pairs
    if left == 0:
        return float(effect.bound(level) > least)
    deviation = max(math.sqrt(effect.variance), 1e-9)
    needed = least + quantile(level, given.pairs - 1) * deviation / math.sqrt(given.pairs)
    coming = EXPECTED_SHARE * (effect.delta + given.expected[0])
    spread = 1.2 * deviation * math.sqrt(left) / given.pairs
    return normal(((effect.delta * pairs + coming * left) / given.pairs - needed) / spread)


def combined_error(variance: float, expected: float) -> float:
    """The standard error of a guard's change by its pairs and its prediction together. ``variance``: of the mean of the
    pairs; ``expected``: the variance of the prediction."""
    prior = EXPECTATION_DOUBT**2 * expected
    return math.sqrt(variance * prior / (variance + prior)) if prior > 0 else math.sqrt(variance)


def normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-value / math.sqrt(2))


# what confirmations leave for later ones


@dataclass(frozen=True, slots=True)
class ErrorSpending:
    """What a confirmation leaves for later ones: the ``error`` that it spent, whether its stack was ``kept``, and then
    the change of each guard."""

    error: float
    kept: bool
    guards: Mapping[str, Estimate]


@dataclass(frozen=True)
class ErrorBudget:
    """``error_left``: what the night may still spend; ``cumulative``: the change of each guard by all KEEPs since the
    session's first baseline; ``kept``: the number of stacks that were kept."""

    error_left: float
    cumulative: Mapping[str, Estimate]
    kept: int = 0


def spending_of(
    seen: Comparison | None, given: ConfirmationInputs, verdict: Verdict, terms: RuleTerms
) -> ErrorSpending:
    """What a confirmation leaves that ended with the comparison ``seen``."""
    guards = {}
    if seen is not None and verdict.status == "KEEP":
        guards = {name: _with_expected(seen.differences[name], given.guards.get(name)) for name in terms.guards}
    return ErrorSpending(given.error, verdict.status == "KEEP", guards)


def error_budget(accounts: Iterable[ErrorSpending], policy: PolicySettings) -> ErrorBudget:
    """The budget after these confirmations, oldest first. They do not include A/A tests, which spend nothing."""
    left, cumulative, kept = policy.night_error, dict[str, Estimate](), 0
    for account in accounts:
        left -= account.error
        if account.kept:
            left, kept = policy.later_error, kept + 1
            for name, (change, error) in account.guards.items():
                before, spread = cumulative.get(name, (0.0, 0.0))
                cumulative[name] = (before + change, math.hypot(spread, error))
    return ErrorBudget(max(left, 0.0), cumulative, kept)
