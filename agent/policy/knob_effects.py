"""The input and output of the model of the knobs (agent/policy/knob_model.py): the knobs that are searched, the
readings, and the effects of moving a knob."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray

Table = NDArray[numpy.float64]
Place = float | str
"""The position of a knob's value on its ladder, or a name (``Knob.place``)."""
Places = Mapping[str, Place]
"""A recipe: the place of each knob that is searched."""


@dataclass(frozen=True)
class Axis:
    """A knob that is searched: its place in the starting recipe, and the places that it may be moved to (``options``).
    ``structural``: its place changes what other knobs do."""

    knob: str
    start: Place
    options: tuple[Place, ...]
    structural: bool = False

    @property
    def ordered(self) -> bool:
        return not isinstance(self.start, str)

    @property
    def reach(self) -> float:
        """The largest distance of an option from the start; for ordered knobs only."""
        return max((abs(float(place) - float(self.start)) for place in self.options), default=1.0) or 1.0

    def side(self, place: Place) -> Place | None:
        """The places that share a noise level: all above the start (1), all below it (-1), or one name; None for the
        start itself."""
        if place == self.start:
            return None
        return place if isinstance(place, str) else math.copysign(1.0, place - float(self.start))

    def distance(self, places: Sequence[Place]) -> Table:
        """The distance of each place from the start: in units of the reach, with a sign, for an ordered knob; for names
        0 at the start and 1 elsewhere."""
        if self.ordered:
            return (numpy.array(places, dtype=float) - float(self.start)) / self.reach
        return numpy.array([float(place != self.start) for place in places])


@dataclass(frozen=True)
class Observed:
    """A reading: the recipe, its training seed, and a score per column, in points."""

    places: Places
    seed: int
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The effects of the single moves (knob, place), in points.

    ``mean`` [columns, moves] and ``covariance`` [moves, moves], which is the same for all columns, are given the
    expected size of each knob's effects. ``likely``, ``spread`` and ``chance`` [moves] are mean, variance and the
    chance of an effect above zero in the first column, averaged over all sizes that the knob's effects may have."""

    moves: tuple[tuple[str, Place], ...]
    mean: Table
    covariance: Table
    chance: Table
    likely: Table
    spread: Table

    @cached_property
    def root(self) -> Table:
        """A square root of the covariance [moves, moves]: its product with standard normal numbers is a draw of the
        deviations from the mean."""
        values, vectors = numpy.linalg.eigh(self.covariance)
        found: Table = vectors * numpy.sqrt(numpy.maximum(values, 0.0))
        return found
