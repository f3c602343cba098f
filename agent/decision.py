"""KEEP or DISCARD: one pure function of a comparison and a policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from probes.comparison import Comparison
from probes.reading import Failure

Status = Literal["BASELINE", "KEEP", "DISCARD", "CRASH"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided and the short reason code: improved, no_effect, worse, inconclusive, guard:NAME, crash:KIND."""

    status: Status
    reason: str


def room(low: float, margin: float) -> float:
    """How far a guard's lower bound is above minus its margin; the guard holds when this is above 0."""
    return low + margin


def failing_guards(comparison: Comparison, guards: Mapping[str, float]) -> dict[str, float]:
    """The guards that do not hold, with their (not positive) room."""
    rooms = {name: room(comparison.differences[name].low, margin) for name, margin in guards.items()}
    return {name: left for name, left in rooms.items() if not left > 0}


def decide(comparison: Comparison, target: str, guards: Mapping[str, float], smallest_effect: float) -> Verdict:
    """KEEP when the target's lower bound is above ``smallest_effect`` and every guard's is above minus its margin."""
    effect = comparison.differences[target]
    if effect.low > smallest_effect:
        failing = failing_guards(comparison, guards)
        if failing:
            return Verdict("DISCARD", f"guard:{min(failing, key=lambda name: failing[name])}")
        return Verdict("KEEP", "improved")
    if effect.high < 0:
        return Verdict("DISCARD", "worse")
    if effect.high <= smallest_effect:
        return Verdict("DISCARD", "no_effect")
    return Verdict("DISCARD", "inconclusive")


def crash(failure: Failure) -> Verdict:
    """A candidate whose probe failed for good has no comparison."""
    return Verdict("CRASH", f"crash:{failure.kind}")
