"""The rules of the checks at the end of a session, which may retract KEEPs. Pure functions.

Leave-one-out: the incumbent is compared, on fresh seeds, with the same recipe without one KEEP. The KEEP holds if this
re-test and its own effect by all readings, together, still give it the chance that a member of a stack needs
(``member_chance``). Holdout: on prompts that take no part in the search, the incumbent is compared with the recipe
that the session started from. If that shows no improvement, or a guard below its margin, all KEEPs are retracted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.policy.confirmation import DISAGREE, Estimate, RuleTerms, Verdict, normal, tightest_guard
from common.errors import IllegalRecipe
from lanes import Recipe, SearchSpace
from lanes.knobs import Value
from probes.result.comparison import Comparison, Difference

SMALLEST_ERROR = 1e-6


@dataclass(frozen=True, slots=True)
class Kept:
    """A KEEP that stands: its decision, what it set, and its own effect with its standard error."""

    id: str
    turn: int
    knob: str
    before: Value
    after: Value
    own: Estimate


def without(start: Recipe, kept: Sequence[Kept], left_out: str, space: SearchSpace) -> Recipe | None:
    """The starting recipe with every KEEP but one. None if the other changes do not make a legal recipe."""
    recipe = start
    for one in kept:
        if one.id != left_out:
            try:
                recipe = space.knob(one.knob).write(recipe, one.after)
            except IllegalRecipe:
                return None
    return recipe


def still_shown(kept: Kept, again: Comparison, terms: RuleTerms) -> tuple[float, float]:
    """The mean of a KEEP's own effect and its re-test, weighted by their precision, and the chance that it is above the
    smallest effect. Where the two disagree, the re-test counts alone, because its seeds took no part in the
    selection."""
    retest = again.differences[terms.target]
    estimates = [(retest.delta, max(retest.standard_error, SMALLEST_ERROR))]
    if abs(kept.own[0] - retest.delta) < DISAGREE * math.hypot(kept.own[1], retest.standard_error):
        estimates.append((kept.own[0], max(kept.own[1], SMALLEST_ERROR)))
    precision = sum(1 / error**2 for _, error in estimates)
    together = sum(effect / error**2 for effect, error in estimates) / precision
    return together, normal((together - terms.policy.smallest_effect) * math.sqrt(precision))


def left_out(kept: Kept, again: Comparison, terms: RuleTerms) -> Verdict | None:
    """RETRACT when a KEEP is no longer likely enough."""
    holds = still_shown(kept, again, terms)[1] >= terms.policy.member_chance
    return None if holds else Verdict("RETRACT", "leave_one_out")


def held_out(found: Comparison, terms: RuleTerms) -> Verdict | None:
    """RETRACT when the holdout prompts show that there is no improvement, or that a guard fell below its margin."""
    if found.differences[terms.target].high <= terms.policy.smallest_effect:
        return Verdict("RETRACT", "holdout")
    worst = tightest_guard({name: found.differences[name].high for name in terms.guards}, terms.guards)
    if worst is not None and found.differences[worst].high < -terms.guards[worst]:
        return Verdict("RETRACT", f"holdout_guard:{worst}")
    return None


def standing_claim(found: Comparison, target: str, smallest_effect: float) -> str:
    """What the holdout says of the incumbent: "holds", "contradicted" or "not shown"."""
    effect: Mapping[str, Difference] = found.differences
    if effect[target].low > smallest_effect:
        return "holds"
    return "contradicted" if effect[target].high <= smallest_effect else "not shown"
