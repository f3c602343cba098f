"""The course of one candidate: screened beside others, then confirmed on fresh seeds, looked at after every replicate.

Screening only chooses whom to confirm and costs nothing of the night's error. A confirmation is a test of its own, on
seeds that chose nothing: it spends a share of the error that is left, over its looks (alpha_spending.py). Until the
first KEEP what is spent adds up to less than ``night_error``, and by Bonferroni's inequality that bounds the chance of
a false one, whatever the number of candidates and however they depend on each other. From then on the night does hold
an improvement, or has already erred, and each KEEP earns what may be spent until the next, ``later_error``:
alpha-investing (Foster & Stine 2008).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.policy.alpha_spending import levels
from agent.policy.predictive_power import chance, finishing, foreseen, normal
from agent.policy.session_statistics import Knowledge
from agent.policy.settings import Policy
from probes.result.comparison import Comparison, quantile
from probes.result.reading import Failure
from probes.run.failures import CRASH

Status = Literal["BASELINE", "KEEP", "DISCARD", "CRASH", "RETRACT"]
FIRST_LOOK = 2
"""Pairs of a confirmation before it is looked at."""
GIVE_UP = 0.5
"""Of ``hopeless``: a confirmation, which is paid for already, is given up at half of that chance."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided and the short reason code: improved, worse, no_effect, unpromising, unconfirmed, overtaken,
    budget, guard:NAME, cumulative:NAME, calibration, false_alarm, crash:KIND, leave_one_out, holdout,
    holdout_guard:NAME."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Terms:
    """What decides. ``pairs``: that a confirmation may have in this session."""

    policy: Policy
    target: str
    guards: Mapping[str, float]
    pairs: int


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen after so many pairs, and what it was held against. ``bound``: the target's lower bound at the
    look's one-sided ``level``; ``guards``, ``cumulative``: the guards' bounds, of this change and of all since the
    session's first baseline; ``chance``: to be kept in the end. Before a confirmation bounds are at the policy's
    confidence. An expectation is what other comparisons say of a candidate that needs no screening."""

    stage: Literal["expectation", "screening", "confirmation"]
    pairs: int
    delta: float
    standard_error: float
    level: float
    bound: float
    guards: Mapping[str, float]
    cumulative: Mapping[str, float]
    chance: float


Step = Verdict | Literal["more", "confirm"]


def crash(failure: Failure) -> Verdict:
    """A candidate whose probe failed for good has no comparison."""
    return Verdict("CRASH", CRASH + failure.kind)


def error_of(known: Knowledge, policy: Policy) -> float:
    """What the next confirmation may spend of the night's error."""
    return known.error_left * policy.spend


def screen(seen: Comparison, terms: Terms, known: Knowledge) -> tuple[Look, Step]:
    """After a replicate of screening: one more, the confirmation, or an end."""
    policy, effect = terms.policy, seen.differences[terms.target]
    last = _levels(error_of(known, policy), terms)[-1], _levels(policy.guard_error, terms)[-1]
    least = policy.smallest_effect
    hope = chance(seen, terms.pairs, terms.target, terms.guards, least, last, known)
    level = (1 - policy.confidence) / 2
    guards = {name: seen.differences[name].low for name in terms.guards}
    look = Look("screening", len(seen.seeds), effect.delta, effect.standard_error, level, effect.low, guards, {}, hope)
    if hope >= policy.promising:
        return look, "confirm"
    if hope < policy.hopeless:
        alone = chance(seen, terms.pairs, terms.target, {}, least, last, known)
        return look, _hopeless(seen, terms, alone >= policy.hopeless)
    return look, "confirm" if look.pairs >= policy.screening_seeds else "more"


def expect(terms: Terms, known: Knowledge) -> Look | None:
    """Before a pair is measured: what other comparisons let expect, when that is promising enough to be confirmed
    without screening, more than an extrapolation, and nothing that a guard is likely to break by; else None."""
    policy = terms.policy
    if known.move is None or not known.response.went_to(known.move) or known.safe(terms.guards) < policy.promising:
        return None
    mean, variance = known.expected
    last = _levels(error_of(known, policy), terms)[-1], _levels(policy.guard_error, terms)[-1]
    hope = foreseen(terms.pairs, terms.target, terms.guards, policy.smallest_effect, last, known)
    if hope < policy.promising:
        return None
    level, error = (1 - policy.confidence) / 2, math.sqrt(variance)
    return Look("expectation", 0, mean, error, level, mean - quantile(level, math.inf) * error, {}, {}, hope)


def _hopeless(seen: Comparison, terms: Terms, for_a_guard: bool) -> Verdict:
    effect = seen.differences[terms.target]
    if for_a_guard:
        worst = min(terms.guards, key=lambda name: seen.differences[name].delta + terms.guards[name])
        return Verdict("DISCARD", f"guard:{worst}")
    if effect.high < 0:
        return Verdict("DISCARD", "worse")
    return Verdict("DISCARD", "no_effect" if effect.high <= terms.policy.smallest_effect else "unpromising")


def confirm(
    seen: Comparison, screened: Comparison | None, terms: Terms, known: Knowledge, error: float
) -> tuple[Look, Verdict | Literal["more"]]:
    """After a replicate of a confirmation that spends ``error``: one more, or the decision."""
    pairs, policy, effect = len(seen.seeds), terms.policy, seen.differences[terms.target]
    look = pairs - FIRST_LOOK
    ours, theirs = _levels(error, terms), _levels(policy.guard_error, terms)
    bound = effect.bound(ours[look])
    guards = {name: seen.differences[name].bound(theirs[look]) for name in terms.guards}
    cumulative = {name: _cumulative(seen, name, known, theirs[look]) for name in terms.guards}
    hopes = {
        name: finishing(
            seen.differences[name],
            pairs,
            terms.pairs,
            least,
            level,
            known.updated if name == terms.target else known.shrunk,
            screened.differences[name] if screened else None,
            len(screened.seeds) if screened else 0,
        )
        for name, least, level in [
            (terms.target, policy.smallest_effect, ours[-1]),
            *((name, -margin, theirs[-1]) for name, margin in terms.guards.items()),
        ]
    }
    in_sum = {name: _hope_of_sum(seen, name, margin, theirs[-1], terms, known) for name, margin in terms.guards.items()}
    found = Look(
        "confirmation",
        pairs,
        effect.delta,
        effect.standard_error,
        ours[look],
        bound,
        guards,
        cumulative,
        min([*hopes.values(), *in_sum.values()]),
    )
    improved = bound > policy.smallest_effect
    failing = _failing(guards, cumulative, terms.guards)
    if improved and failing is None:
        return found, Verdict("KEEP", "improved")
    if pairs < terms.pairs and found.chance >= policy.hopeless * GIVE_UP:
        return found, "more"
    worst = min(hopes, key=lambda name: hopes[name])
    if improved and failing is not None:
        return found, Verdict("DISCARD", failing)
    if hopes[terms.target] >= policy.hopeless * GIVE_UP:
        if worst != terms.target and hopes[worst] < policy.hopeless * GIVE_UP:
            return found, Verdict("DISCARD", f"guard:{worst}")
        summed = min(in_sum, key=lambda name: in_sum[name], default=None)
        if summed is not None and in_sum[summed] < policy.hopeless * GIVE_UP:
            return found, Verdict("DISCARD", f"cumulative:{summed}")
    return found, Verdict("DISCARD", "worse" if effect.high < 0 else "unconfirmed")


def _levels(error: float, terms: Terms) -> tuple[float, ...]:
    return levels(round(error, 12), terms.pairs, FIRST_LOOK)


def _cumulative(seen: Comparison, name: str, known: Knowledge, level: float) -> float:
    """The lower bound of a guard's change since the session's first baseline, were this change kept, too."""
    change, variance = known.cumulative.get(name, (0.0, 0.0))
    own = seen.differences[name]
    error = math.hypot(variance**0.5, own.standard_error)
    return change + own.delta - quantile(level, own.freedom) * error


def _hope_of_sum(seen: Comparison, name: str, margin: float, level: float, terms: Terms, known: Knowledge) -> float:
    """The chance that the sum of a guard's changes passes at the last look, as the estimate stands."""
    change, variance = known.cumulative.get(name, (0.0, 0.0))
    own, pairs = seen.differences[name], len(seen.seeds)
    last = math.hypot(variance**0.5, own.standard_error * math.sqrt(pairs / terms.pairs))
    spare = change + own.delta + margin - quantile(level, own.freedom + terms.pairs - pairs) * last
    return normal(spare / own.standard_error) if own.standard_error else float(spare > 0)


def _failing(guards: Mapping[str, float], cumulative: Mapping[str, float], margins: Mapping[str, float]) -> str | None:
    """The reason code of the guard furthest past its margin, by this change or by all so far; None when all hold."""
    rooms = {f"guard:{name}": guards[name] + margin for name, margin in margins.items()}
    rooms |= {f"cumulative:{name}": cumulative[name] + margin for name, margin in margins.items()}
    worst = min(rooms, key=lambda code: rooms[code], default=None)
    return worst if worst is not None and not rooms[worst] > 0 else None
