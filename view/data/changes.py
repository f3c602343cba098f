"""The change of one category with its interval, a guard's change with its margin, and a change's own effect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from agent.policy.confirmation import Look
from agent.policy.decision_basis import OwnEffectEstimate
from probes.result.comparison import Difference


@dataclass(frozen=True, slots=True)
class Change:
    """A difference, candidate minus incumbent, with the interval that is shown of it."""

    delta: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardChange:
    """A guard's change and whether it holds. ``bound``: the lower bound at the level of the look that decided;
    ``cumulative``: the lower bound of the sum of this change and all KEEPs since the session's first baseline; None if
    no look was taken."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedGuard:
    """The change of a guard that the readings predict, with its standard deviation."""

    category: str
    expected: float
    deviation: float
    margin: float

    @property
    def holds(self) -> bool:
        """Whether the expected change is inside the margin."""
        return self.expected > -self.margin

    @property
    def room(self) -> float:
        return self.expected + self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEffect:
    """What all readings together say of one change: its effect on the target, the chance that it is worth more than
    nothing, and its guards, the one nearest to its margin first. ``recipes``: how many measured recipes carried it."""

    effect: Change
    chance: float
    guards: tuple[ExpectedGuard, ...]
    recipes: int


def reach(changes: Iterable[Change]) -> float:
    """How far from 0 a chart of these changes extends: to the farthest end of an interval, except for intervals that
    are far wider than most."""
    ends = [max(abs(change.low), abs(change.high)) for change in changes]
    return max(min(max(ends), 3 * median(ends)), 0.1) if ends else 1.0


def change_of(difference: Difference | None) -> Change | None:
    return Change(difference.delta, difference.low, difference.high) if difference else None


def guards_of(
    differences: Mapping[str, Difference], margins: Mapping[str, float], look: Look | None = None
) -> tuple[GuardChange, ...]:
    """The guards of a comparison, the one nearest to (or furthest past) its margin first. ``look``: the decision's last
    look; without one, the low end of the interval is used as the bound."""
    bounds, sums = (look.guards, look.cumulative) if look else ({}, {})
    found = []
    for name, margin in margins.items():
        change = change_of(differences.get(name))
        if change is not None:
            found.append(_guard(name, change, margin, bounds.get(name, change.low), sums.get(name)))
    return tuple(sorted(found, key=lambda guard: guard.room))


def whole_guards_of(differences: Mapping[str, Difference], margins: Mapping[str, float]) -> tuple[GuardChange, ...]:
    """The guards on the holdout, where a guard fails only if its whole interval is below minus its margin."""
    changes = {name: change for name in margins if (change := change_of(differences.get(name)))}
    found = [_guard(name, change, margins[name], change.high, None) for name, change in changes.items()]
    return tuple(sorted(found, key=lambda guard: guard.room))


def own_effect_of(own: OwnEffectEstimate | None, margins: Mapping[str, float]) -> OwnEffect | None:
    return (
        OwnEffect(
            effect=Change(own.delta, own.low, own.high),
            chance=own.chance,
            guards=expected_guards(own.guards, margins),
            recipes=own.recipes,
        )
        if own
        else None
    )


def expected_guards(
    expected: Mapping[str, tuple[float, float]], margins: Mapping[str, float]
) -> tuple[ExpectedGuard, ...]:
    """The guards, the one nearest to (or furthest past) its margin first. ``expected``: each one's change and
    deviation."""
    found = [
        ExpectedGuard(category=name, expected=mean, deviation=deviation, margin=margins[name])
        for name, (mean, deviation) in expected.items()
    ]
    return tuple(sorted(found, key=lambda guard: guard.room))


def _guard(name: str, change: Change, margin: float, bound: float, cumulative: float | None) -> GuardChange:
    holds = bound + margin > 0 and (cumulative is None or cumulative + margin > 0)
    return GuardChange(category=name, change=change, margin=margin, bound=bound, cumulative=cumulative, holds=holds)
