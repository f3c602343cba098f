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
    """PROMOTE if the target is better with confidence, no guard lost more than its margin, and there are no more
    critical failures. A guard whose interval reaches below its margin is named."""
    effect = found.differences[target]
    shown = f"{target} {effect.delta:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"
    if effect.high < 0:
        return PromotionDecision("HOLD", "worse", f"the target is worse at full length: {shown}")
    changes = {name: found.differences[name] for name in guards if name in found.differences}
    worst = min(changes, key=lambda name: changes[name].delta + guards[name], default=None)
    if worst is not None and changes[worst].delta < -guards[worst]:
        lost = changes[worst]
        return PromotionDecision(
            "HOLD",
            f"guard:{worst}",
            f"the guard {worst} lost more than its margin of {guards[worst]:g}: {lost.delta:+.2f} [{lost.low:+.2f}, "
            f"{lost.high:+.2f}]; {shown}",
        )
    if found.critical[1] > found.critical[0]:
        return PromotionDecision(
            "HOLD", "critical", f"{found.critical[1]} answers have a critical failure, and {found.critical[0]} before"
        )
    if effect.low <= 0:
        return PromotionDecision("HOLD", "no_effect", f"the target is not shown to be better at full length: {shown}")
    unsure = sorted(name for name, change in changes.items() if change.low < -guards[name])
    but = f"; the intervals of {', '.join(unsure)} reach below their margins" if unsure else ""
    return PromotionDecision(
        "PROMOTE",
        "improved",
        f"the target is better at full length, and no guard lost more than its margin: {shown}{but}",
    )
