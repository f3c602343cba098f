"""The knobs that are searched, a reading of them, and what moving them is worth: what the model of the knobs takes and
tells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray

Table = NDArray[numpy.float64]
Place = float | str
"""Where a knob's value is: a place on its ladder, or a name."""
Places = Mapping[str, Place]
"""A recipe: the place of each knob that is searched."""


@dataclass(frozen=True)
class Axis:
    """A knob that is searched: its ``start``, and the places within reach. ``reach``: of an ordered knob, the furthest
    distance of these from the start. ``structural``: its place changes what other knobs do."""

    knob: str
    start: Place
    options: tuple[Place, ...]
    structural: bool = False

    @property
    def ordered(self) -> bool:
        return not isinstance(self.start, str)

    @property
    def reach(self) -> float:
        return max((abs(float(place) - float(self.start)) for place in self.options), default=1.0) or 1.0

    def side(self, place: Place) -> Place | None:
        """What is noisy together: all places above the start, all below it, or one name; None at the start."""
        if place == self.start:
            return None
        return place if isinstance(place, str) else math.copysign(1.0, place - float(self.start))

    def distance(self, places: Sequence[Place]) -> Table:
        """The distance of each place from the start, in units of the reach for an ordered knob; 1 for any other
        name."""
        if self.ordered:
            return (numpy.array(places, dtype=float) - float(self.start)) / self.reach
        return numpy.array([float(place != self.start) for place in places])


@dataclass(frozen=True)
class Observed:
    """A reading: the recipe, its training seed, and a figure per column, in points."""

    places: Places
    seed: int
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What moving one knob is worth, for each (knob, place) of ``moves``: mean [columns, moves], and covariance
    [moves, moves], the same for all columns. ``chance`` [moves]: that it is worth more than nothing in the first
    column, with mean ``likely`` and variance ``spread``, over all sizes that the knob's effects may have."""

    moves: tuple[tuple[str, Place], ...]
    mean: Table
    covariance: Table
    chance: Table
    likely: Table
    spread: Table

    @cached_property
    def root(self) -> Table:
        """A square root of the covariance [moves, moves]: times standard normal numbers, it gives draws around the
        mean."""
        values, vectors = numpy.linalg.eigh(self.covariance)
        found: Table = vectors * numpy.sqrt(numpy.maximum(values, 0.0))
        return found
