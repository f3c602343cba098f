"""PROMOTE or HOLD: the rule of a promotion. A pure function of figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from finetune.promotion.figures import PromotionComparison

PromotionStatus = Literal["PROMOTE", "HOLD"]


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """``reason``: improved, same_recipe, failed, baseline_failed, guard:NAME, critical, worse or no_effect.
    ``explanation``: for people."""

    status: PromotionStatus
    reason: str
    explanation: str


def decide(
    found: PromotionComparison, target: str, guards: Mapping[str, float], confidence: float = 0.95
) -> PromotionDecision:
    """PROMOTE if the target is better and every guard is within its margin, both with confidence, and there are no more
    critical failures. The bound of a guard is one-sided: only what it may have lost matters."""
    effect = found.differences[target]
    shown = f"{target} {effect.delta:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"
    if effect.high < 0:
        return PromotionDecision("HOLD", "worse", f"the target is worse at full length: {shown}")
    bounds = {name: found.differences[name].bound(1 - confidence) for name in guards if name in found.differences}
    worst = min(bounds, key=lambda name: bounds[name] + guards[name], default=None)
    if worst is not None and bounds[worst] < -guards[worst]:
        change = found.differences[worst].delta
        why = "lost more than" if change < -guards[worst] else "is not shown to be within"
        return PromotionDecision(
            "HOLD",
            f"guard:{worst}",
            f"the guard {worst} {why} its margin of {guards[worst]:g}: {change:+.2f}, at worst {bounds[worst]:+.2f}; "
            f"{shown}; more --seeds narrow the interval",
        )
    if found.critical[1] > found.critical[0]:
        return PromotionDecision(
            "HOLD", "critical", f"{found.critical[1]} answers have a critical failure; before, {found.critical[0]} had"
        )
    if effect.low <= 0:
        return PromotionDecision("HOLD", "no_effect", f"the target is not shown to be better at full length: {shown}")
    return PromotionDecision(
        "PROMOTE", "improved", f"the target is better at full length, and every guard is within its margin: {shown}"
    )
