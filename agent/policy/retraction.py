"""What is tested at the end of a session, and what does not hold. Pure functions.

Each KEEP is left out of the recipe that stands, and that recipe is compared with the whole on fresh seeds. It holds
while its own effect, by all readings, and this re-test together still give it the chance that a stack's member needs.
On the holdout prompts, which chose nothing, what stands is compared with what the session began with; when that shows
no improvement, or a guard below its margin, no KEEP holds.
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
    """The starting recipe with every KEEP but one. None where nothing would be left out: a later KEEP moved the same
    knob, or the rest is no legal recipe."""
    recipe = start
    for one in kept:
        if one.id != left_out:
            try:
                recipe = space.knob(one.knob).write(recipe, one.after)
            except IllegalRecipe:
                return None
    return recipe


def still_shown(kept: Kept, again: Comparison, terms: RuleTerms) -> tuple[float, float]:
    """What a KEEP's own effect and its re-test show together, weighted by their precision: the effect, and the chance
    that it is worth more than the smallest effect. Where the two disagree, the re-test counts alone: its seeds chose
    nothing."""
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
    """What the holdout says, in one word for each of its three answers."""
    effect: Mapping[str, Difference] = found.differences
    if effect[target].low > smallest_effect:
        return "holds"
    return "contradicted" if effect[target].high <= smallest_effect else "not shown"
