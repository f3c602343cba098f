"""A stack: the changes that are confirmed together, and what the readings let expect of it. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from agent.policy.knob_model import Effects, KnobModel, Place, Places
from agent.policy.wave_design import Usable

GUARD_SLACK = 0.5
"""Standard deviations that a guard's expected change stays above its margin."""


@dataclass(frozen=True)
class Stack:
    """``members``: (knob, place); ``places``: the recipe with all of them; ``expected``, ``variance``: of the target's
    change; ``guards``: the same of each guard; ``noisier``: how many times the variance of the incumbent's readings its
    readings have."""

    members: tuple[tuple[str, Place], ...]
    places: Places
    expected: float
    variance: float
    guards: Mapping[str, tuple[float, float]]
    noisier: float


def best_stack(
    target: KnobModel,
    deviations: KnobModel | None,
    base: Places,
    margins: Mapping[str, float],
    cumulative: Mapping[str, tuple[float, float]],
    usable: Usable,
    chance: float,
    most: int = 0,
) -> Stack | None:
    """The stack with the largest expected gain: of every knob at most one move, that has at least this ``chance`` to be
    worth more than nothing, while the expected guards hold. None where no move does.

    ``deviations``: of each guard, in the order of ``margins``, from the target. ``cumulative``: per guard, (change,
    variance) of what was kept before. ``most``: members at most; 0 for any number.
    """
    effects = target.effects(base)
    apart = deviations.effects(base) if deviations is not None else None
    left = [at for at in range(len(effects.moves)) if effects.likely[at] > 0 and effects.chance[at] >= chance]
    left.sort(key=lambda at: -effects.likely[at])
    chosen: list[int] = []
    places = dict(base)
    while left and (not most or len(chosen) < most):
        found = next(
            (
                at
                for at in left
                if usable({**places, effects.moves[at][0]: effects.moves[at][1]})
                and _guards_hold(_guards(effects, apart, [*chosen, at], margins), margins, cumulative)
            ),
            None,
        )
        if found is None:
            break
        knob, place = effects.moves[found]
        chosen.append(found)
        places[knob] = place
        left = [at for at in left if effects.moves[at][0] != knob]
    if not chosen:
        return None
    return Stack(
        tuple(effects.moves[at] for at in chosen),
        places,
        float(effects.likely[chosen].sum()),
        _variance(effects, chosen),
        _guards(effects, apart, chosen, margins),
        target.noisier(places) / target.noisier(base),
    )


def _variance(effects: Effects, chosen: Sequence[int]) -> float:
    return max(float(effects.covariance[numpy.ix_(chosen, chosen)].sum()), 0.0)


def _guards(
    effects: Effects, apart: Effects | None, chosen: Sequence[int], margins: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Mean and variance of each guard's expected change: the target's, and the guard's deviation from it."""
    gain, variance = float(effects.likely[chosen].sum()), _variance(effects, chosen)
    if apart is None:
        return {}
    own = _variance(apart, chosen)
    return {
        name: (gain + float(apart.mean[column][chosen].sum()), variance + own) for column, name in enumerate(margins)
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
