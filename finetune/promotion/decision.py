"""PROMOTE or HOLD: the rule of a promotion. A pure function of figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from finetune.promotion.figures import Outcomes

Status = Literal["PROMOTE", "HOLD"]


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """``reason``: improved, same_recipe, failed, baseline_failed, guard:NAME, critical, worse or no_effect.
    ``explanation``: for people."""

    status: Status
    reason: str
    explanation: str


def decide(found: Outcomes, target: str, guards: Mapping[str, float]) -> PromotionDecision:
    """PROMOTE if the target is better with confidence, no guard may have fallen below its margin, and there are no more
    critical failures."""
    effect = found.differences[target]
    bounds = {
        name: found.differences[name].low + margin for name, margin in guards.items() if name in found.differences
    }
    failing = min((name for name in bounds if bounds[name] < 0), key=lambda name: bounds[name], default=None)
    shown = f"{target} {effect.delta:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"
    if effect.high < 0:
        return PromotionDecision("HOLD", "worse", f"the target is worse at full length: {shown}")
    if failing is not None:
        guard = found.differences[failing]
        return PromotionDecision(
            "HOLD",
            f"guard:{failing}",
            f"the guard {failing} is not shown to hold: {guard.delta:+.2f} [{guard.low:+.2f}, {guard.high:+.2f}] with "
            f"a margin of {guards[failing]:g}; {shown}",
        )
    if found.critical[1] > found.critical[0]:
        return PromotionDecision(
            "HOLD", "critical", f"{found.critical[1]} answers have a critical failure, and {found.critical[0]} before"
        )
    if effect.low <= 0:
        return PromotionDecision("HOLD", "no_effect", f"the target is not shown to be better at full length: {shown}")
    return PromotionDecision(
        "PROMOTE", "improved", f"the target is better at full length, and all guards hold: {shown}"
    )
