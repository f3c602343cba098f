"""A stack: the changes that are confirmed together, and the effects predicted from the readings. Pure functions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy

from agent.policy.knob_effects import Effects, Place, Places
from agent.policy.knob_model import KnobModel
from agent.policy.wave_design import Usable

GUARD_SLACK = 1.0
"""A guard's predicted change must stay above its margin by so many standard deviations."""


@dataclass(frozen=True)
class Stack:
    """``members``: (knob, place); ``places``: the recipe with all of them; ``expected``, ``variance``: mean and
    variance of the target's predicted change; ``guards``: the same for each guard; ``noisier``: the variance of its
    readings as a multiple of that of the incumbent's."""

    members: tuple[tuple[str, Place], ...]
    places: Places
    expected: float
    variance: float
    guards: Mapping[str, tuple[float, float]]
    noisier: float


def best_stack(
    *,
    target: KnobModel,
    deviations: KnobModel | None,
    incumbent: Places,
    margins: Mapping[str, float],
    cumulative: Mapping[str, tuple[float, float]],
    usable: Usable,
    chance: float,
    worth: Callable[[Stack], float] = lambda stack: stack.expected,
    most: int = 0,
) -> Stack | None:
    """The stack of the largest ``worth``, built greedily: at most one move of each knob, with at least this ``chance``
    of an effect above zero, as long as every guard is predicted to hold. None if no move qualifies.

    ``deviations``: the model of each guard's deviation from the target, in the order of ``margins``. ``cumulative``:
    per guard, (change, variance) of what was kept before. ``worth``: such as the expected gain times the power.
    ``most``: largest number of members; 0 for any number.
    """
    effects = target.effects(incumbent)
    apart = deviations.effects(incumbent) if deviations is not None else None
    left = [at for at in range(len(effects.moves)) if effects.likely[at] > 0 and effects.chance[at] >= chance]

    def stack_of(chosen: Sequence[int]) -> Stack | None:
        """None if a probe may not run it, or a guard is not predicted to hold."""
        places = {**incumbent, **dict(effects.moves[at] for at in chosen)}
        guards = _guards(effects, apart, chosen, margins)
        if not usable(places) or not _guards_hold(guards, margins, cumulative):
            return None
        members = tuple(effects.moves[at] for at in chosen)
        noisier = target.noisier(places) / target.noisier(incumbent)
        gain = float(effects.likely[list(chosen)].sum())
        return Stack(members, places, gain, _variance(effects, chosen), guards, noisier)

    best, chosen = None, list[int]()
    while left and (not most or len(chosen) < most):
        made = [(at, stack) for at in left if (stack := stack_of([*chosen, at])) is not None]
        if not made:
            break
        at, stack = max(made, key=lambda found: worth(found[1]))
        if best is not None and worth(stack) <= worth(best):
            break
        best, chosen = stack, [*chosen, at]
        left = [other for other in left if effects.moves[other][0] != effects.moves[at][0]]
    return best


def _variance(effects: Effects, chosen: Sequence[int]) -> float:
    return max(float(effects.covariance[numpy.ix_(chosen, chosen)].sum()), 0.0)


def _guards(
    effects: Effects, apart: Effects | None, chosen: Sequence[int], margins: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Mean and variance of each guard's predicted change: the target's change plus the change of the deviation."""
    gain, variance = float(effects.likely[list(chosen)].sum()), _variance(effects, chosen)
    if apart is None:
        return {}
    own = _variance(apart, chosen)
    return {
        name: (gain + float(apart.mean[column][list(chosen)].sum()), variance + own)
        for column, name in enumerate(margins)
    }


def _guards_hold(
    guards: Mapping[str, tuple[float, float]],
    margins: Mapping[str, float],
    cumulative: Mapping[str, tuple[float, float]],
) -> bool:
    for name, (mean, variance) in guards.items():
        before, more = cumulative.get(name, (0.0, 0.0))
        alone = mean - GUARD_SLACK * math.sqrt(variance)
        summed = before + mean - GUARD_SLACK * math.sqrt(variance + more)
        if min(alone, summed) < -margins[name]:
            return False
    return True
