"""Ablations: nightlane with one part of its search removed, to measure what that part contributes.

no_waves       each recipe of a wave moves only one knob
no_model       the effect of a change is the mean of the readings that carry it minus the mean of the others
no_pruning     the best move of every knob is confirmed if it is likelier than not to help; power and guards are ignored
no_replanning  half of the probes are screening waves, then one confirmation uses the rest
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy
from numpy.typing import NDArray
from scipy.special import ndtr

from agent.policy.knob_effects import Axis, Effects, Place, Places, Table
from agent.policy.knob_model import JITTER, KnobModel
from agent.policy.night import FEWEST_PAIRS, ConfirmStack, MeasureWave, NightState, Stop, next_step
from agent.policy.night_plan import NightPlan
from agent.policy.search_parts import SearchParts
from agent.policy.stack import Stack, best_stack
from agent.policy.wave_design import Usable, distinct, near_places
from bench.decisions.nightlane import Nightlane

EVEN = 0.5


def ablations() -> list[Nightlane]:
    return [
        Nightlane("no_waves", parts=lambda night: SearchParts(spread_wave=spread_alone, drawn_wave=drawn_alone)),
        Nightlane("no_model", parts=lambda night: SearchParts(view=_seen_as(ByMeans))),
        Nightlane("no_pruning", parts=lambda night: SearchParts(view=_seen_as(Unpruned))),
        Nightlane("no_replanning", parts=lambda night: SearchParts(next_step=OnePlan(night.budget / 2))),
    ]


def _seen_as(kind: type[NightState]) -> Callable[[NightState], NightState]:
    return lambda known: kind(**{field.name: getattr(known, field.name) for field in fields(NightState)})


# no_waves


def spread_alone(
    axes: Sequence[Axis],
    size: int,
    incumbent: Places,
    usable: Usable,
    random: numpy.random.Generator,
    near: Mapping[str, Sequence[Place]] | None = None,
) -> list[Places]:
    """Recipes that move one knob each, to one of its near places; the knobs take turns."""
    options = {
        axis.knob: near_places(axis, incumbent[axis.knob]) if near is None else near.get(axis.knob, ()) for axis in axes
    }
    shuffled = {knob: [places[at] for at in random.permutation(len(places))] for knob, places in options.items()}
    knobs = [axes[at].knob for at in random.permutation(len(axes))]
    rounds = max(map(len, shuffled.values()), default=0)
    rows: list[Places] = [
        {**incumbent, knob: shuffled[knob][turn]}
        for turn in range(rounds)
        for knob in knobs
        if turn < len(shuffled[knob])
    ]
    return [row for row in rows if usable(row)][:size]


def drawn_alone(
    effects: Effects, size: int, incumbent: Places, usable: Usable, random: numpy.random.Generator, readings: int
) -> list[Places]:
    """Recipes that move one knob each: the best move of a new posterior draw. ``readings`` is ignored."""
    found: list[Places] = []
    for _ in range(size):
        worth = effects.mean[0] + effects.root @ random.standard_normal(len(effects.moves))
        rows = ({**incumbent, effects.moves[at][0]: effects.moves[at][1]} for at in numpy.argsort(-worth))
        row = next((row for row in rows if row not in found and usable(row)), None)
        found += [row] if row is not None else []
    return distinct(found, incumbent)


# no_model


class MeanModel(KnobModel):
    """The model's noise, but effects that are differences of means. A value that no reading carries has effect 0, with
    the variance of a difference of two readings."""

    def effects(self, incumbent: Places) -> Effects:
        modelled = super().effects(incumbent)
        values = numpy.array([one.values for one in self.observed])
        found = [
            _difference(values, numpy.array([one.places[knob] == place for one in self.observed]))
            for knob, place in modelled.moves
        ]
        mean = numpy.array([difference for difference, _ in found]).T
        variance = numpy.array([spread for _, spread in found])
        chance = ndtr(mean[0] / numpy.sqrt(variance))
        return Effects(
            moves=modelled.moves,
            mean=mean,
            covariance=numpy.diag(variance),
            chance=chance,
            likely=mean[0],
            spread=variance,
        )


def _difference(values: Table, carried: NDArray[numpy.bool_]) -> tuple[Table, float]:
    """The mean of the readings that carry a change minus the mean of the others, and the variance of this
    difference."""
    spread = float(values.var(axis=0, ddof=1).mean()) if len(values) > 1 else 1.0
    carrying, others = values[carried], values[~carried]
    if not len(carrying) or not len(others):
        return numpy.zeros(values.shape[1]), 2 * spread + JITTER
    difference: Table = carrying.mean(axis=0) - others.mean(axis=0)
    return difference, spread * (1 / len(carrying) + 1 / len(others)) + JITTER


class ByMeans(NightState):
    @cached_property
    def model(self) -> KnobModel:
        return MeanModel(self.axes, self.target)


# no_pruning


class Unpruned(NightState):
    def stack(self, chance: float) -> Stack | None:
        """The best move of every knob, if it is more likely than not an improvement."""
        free = dict.fromkeys(self.margins, numpy.inf)
        return best_stack(
            target=self.model,
            deviations=self.guards,
            incumbent=self.incumbent,
            margins=free,
            cumulative={},
            usable=self.usable,
            chance=EVEN,
        )


# no_replanning


@dataclass
class OnePlan:
    """Measures waves while ``half`` probes or more are left afterwards, then confirms one stack with the rest."""

    half: float
    confirmed: bool = False

    def __call__(self, known: NightState, random: numpy.random.Generator) -> MeasureWave | ConfirmStack | Stop:
        if self.confirmed:
            return Stop("its one stack was confirmed")
        if not known.explored or known.left - known.wave >= self.half:
            return (
                next_step(known, random)
                if not known.explored
                else MeasureWave(known.wave, False, NightPlan(0, 0, 0.0, 0.0))
            )
        stack, pairs = known.stack(known.policy.member_chance), known.left // 2
        if stack is None or pairs < FEWEST_PAIRS:
            return Stop("no change is likely enough to be an improvement")
        self.confirmed = True
        return ConfirmStack(stack, pairs, NightPlan(0, pairs, stack.expected, 0.0))
