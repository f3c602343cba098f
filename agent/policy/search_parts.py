"""The parts of a night's search in one object, so that a benchmark can replace one of them (an ablation)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy

from agent.policy import night, wave_design
from agent.policy.knob_effects import Axis, Effects, Place, Places
from agent.policy.night import ConfirmStack, MeasureWave, NightState, Stop
from agent.policy.wave_design import Usable


class SpreadWave(Protocol):
    def __call__(
        self,
        axes: Sequence[Axis],
        size: int,
        incumbent: Places,
        usable: Usable,
        random: numpy.random.Generator,
        near: Mapping[str, Sequence[Place]] | None = None,
    ) -> list[Places]: ...


DrawnWave = Callable[[Effects, int, Places, Usable, numpy.random.Generator, int], list[Places]]


def _as_measured(known: NightState) -> NightState:
    return known


@dataclass(frozen=True)
class SearchParts:
    """``view``: maps what is known to what the search may use. ``next_step``: decides what to do next. ``spread_wave``,
    ``drawn_wave``: design the recipes of the first wave, and of later ones."""

    view: Callable[[NightState], NightState] = _as_measured
    next_step: Callable[[NightState, numpy.random.Generator], MeasureWave | ConfirmStack | Stop] = night.next_step
    spread_wave: SpreadWave = wave_design.spread_wave
    drawn_wave: DrawnWave = wave_design.drawn_wave
