"""The change of one category with its interval, and a guard's change with its margin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """A paired difference, candidate minus incumbent, with the interval that is shown of it."""

    delta: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardChange:
    """``bound``: the lower bound at the level of the look that decided; ``cumulative``: that of the sum of this change
    and all KEEPs since the session's first baseline, where a confirmation was reached."""

    category: str
    change: Change
    margin: float
    bound: float
    cumulative: float | None
    holds: bool

    @property
    def room(self) -> float:
        """How far the nearer of the two bounds is above minus the margin."""
        return min(self.bound, self.bound if self.cumulative is None else self.cumulative) + self.margin


def change_of(difference: Mapping[str, Any] | None) -> Change | None:
    """From a difference as the ledger keeps it."""
    return Change(difference["delta"], difference["low"], difference["high"]) if difference else None


def guards_of(
    differences: Mapping[str, Mapping[str, Any]], margins: Mapping[str, float], look: Mapping[str, Any] | None
) -> tuple[GuardChange, ...]:
    """The guards of a comparison, the one nearest to (or furthest past) its margin first. ``look``: the last of the
    decision's; without one the interval's low end takes the bound's place."""
    bounds, sums = (look or {}).get("guards", {}), (look or {}).get("cumulative", {})
    found = []
    for name, margin in margins.items():
        change = change_of(differences.get(name))
        if change is not None:
            bound, cumulative = bounds.get(name, change.low), sums.get(name)
            holds = bound + margin > 0 and (cumulative is None or cumulative + margin > 0)
            found.append(
                GuardChange(
                    category=name,
                    change=change,
                    margin=margin,
                    bound=bound,
                    cumulative=cumulative,
                    holds=holds,
                )
            )
    return tuple(sorted(found, key=lambda guard: guard.room))
