"""Applies the rule, look by look, to pairs that were measured before. A pure function of readings.

It decides by the pairs alone. The effects predicted from the waves, and the noise of earlier probes, were measured with
the session's own scorer and do not apply to another one. Pairs to come are assumed to have the effect seen so far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.policy.confirmation import ConfirmationInputs, ErrorSpending, Estimate, RuleTerms, look, spending_of
from probes.result.comparison import Choice, Comparison, compare
from probes.result.reading import Reading

UNDECIDED = "undecided"
"""The reason of a confirmation whose measured pairs end before the rule decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The replay of a confirmation. ``pairs``: their number when the rule decided. ``delta``: the effect on the target,
    with an interval at the policy's confidence; ``guards``: the effect on each guard."""

    status: Literal["KEEP", "DISCARD", "UNDECIDED"]
    reason: str
    pairs: int
    delta: float
    low: float
    high: float
    guards: Mapping[str, float]


def replay(
    candidate: Sequence[Reading],
    baseline: Sequence[Reading],
    given: ConfirmationInputs,
    terms: RuleTerms,
    cumulative: Mapping[str, Estimate],
    choices: Sequence[Choice] | None = None,
) -> tuple[Replayed, ErrorSpending]:
    """Decide on the pairs of readings, at least two, in the order in which they were measured; also returns what the
    confirmation leaves for later ones. ``cumulative``: the change of each guard by the KEEPs replayed so far.
    ``choices``: between the answers of both sides; they replace the scores."""
    for pairs in range(given.first, len(candidate) + 1):
        seen = compare(candidate[:pairs], baseline[:pairs], terms.policy.confidence, choices)
        likely = (seen.differences[terms.target].delta, 0.0)
        alone = replace(given, expected=likely, spreads={}, guards={}, cumulative=cumulative)
        _, verdict = look(seen, alone, terms)
        if verdict is not None:
            found = _replayed(seen, terms, "KEEP" if verdict.status == "KEEP" else "DISCARD", verdict.reason)
            return found, spending_of(seen, alone, verdict, terms)
    seen = compare(candidate, baseline, terms.policy.confidence, choices)
    return _replayed(seen, terms, "UNDECIDED", UNDECIDED), ErrorSpending(given.error, False, {})


def _replayed(
    seen: Comparison, terms: RuleTerms, status: Literal["KEEP", "DISCARD", "UNDECIDED"], reason: str
) -> Replayed:
    effect = seen.differences[terms.target]
    return Replayed(
        status=status,
        reason=reason,
        pairs=len(seen.seeds),
        delta=effect.delta,
        low=effect.low,
        high=effect.high,
        guards={name: seen.differences[name].delta for name in terms.guards},
    )
