"""What all comparisons of a search say together of a move: neighbours on a knob's ladder behave alike.

A Gaussian process (Rasmussen & Williams 2006, ch. 2) per knob, knobs adding up: the effect of a move is the knob's
response at the value after minus that at the value before, so a comparison is one noisy difference of the response. How
fast and how far a knob's response moves is what its own comparisons make likeliest (ch. 5), drawn towards the ordinary:
an ordered knob that has shown nothing in several places is soon left alone. It says where to look and whom to confirm;
what is kept, a confirmation alone decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy
from numpy.typing import NDArray

from lanes import Knob, Value

Table = NDArray[numpy.float64]
Scales = tuple[float, float]
"""Places of the ladder over which a response changes, and its standard deviation in points."""
ORDERED: Scales = (2.0, 0.4)
ORDERED_GRID = tuple(product((2.0, 4.0, 8.0), (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)))
NAMED: Scales = (1.0, 0.2)
NAMED_GRID = tuple(product((1.0,), (0.2, 0.4, 0.8)))
"""Never below the ordinary: a name that does nothing says nothing of the others."""
DRAWN = 0.5
"""How strongly scales are drawn to the ordinary: the log likelihood that a factor e from it costs."""
SHARED = 0.25
"""Of the variance of a comparison in screening: what it has in common with others against the same incumbent."""
JITTER = 1e-9


@dataclass(frozen=True, slots=True)
class Move:
    """A knob and where its value was and is: a place on its ladder, or a name."""

    knob: str
    before: float | str
    after: float | str

    @property
    def named(self) -> bool:
        return isinstance(self.after, str)


def move_of(knob: Knob, before: Value, after: Value) -> Move:
    """The move of a knob from one of its values to another."""
    return Move(knob.name, knob.place(before), knob.place(after))


@dataclass(frozen=True, slots=True)
class Seen:
    """A comparison of a move, on the target. ``incumbent``: whose replicates it shares with other comparisons; None of
    a confirmation, which has its own."""

    move: Move
    delta: float
    variance: float
    incumbent: str | None


@dataclass(frozen=True)
class Response:
    """Of the target to moves, from what was seen. ``settled``: scales that need not be found again."""

    seen: Sequence[Seen] = ()
    settled: Mapping[tuple[str, bool], Scales] = field(default_factory=dict)

    def expected(self, moves: Sequence[Move]) -> tuple[Table, Table]:
        """Mean [moves] and covariance [moves, moves] of their true effects."""
        prior, mean = self._between(moves, moves), numpy.zeros(len(moves))
        if not self.seen:
            return mean, prior
        across = self._between(self._moves, moves)
        weights = numpy.linalg.solve(self._between(self._moves, self._moves) + self._noise, across)
        mean[:] = weights.T @ self._deltas
        return mean, prior - across.T @ weights

    def given(self, one: Seen) -> "Response":
        """With one comparison more; what it says of other knobs' scales is nothing."""
        own = (one.move.knob, one.move.named)
        return Response([*self.seen, one], {knob: found for knob, found in self.scales.items() if knob != own})

    def of(self, move: Move) -> tuple[float, float]:
        """Mean and variance of one move's true effect."""
        mean, covariance = self.expected([move])
        return float(mean[0]), max(float(covariance[0, 0]), 0.0)

    @cached_property
    def scales(self) -> dict[tuple[str, bool], Scales]:
        """Of each knob that was moved, by its name and whether its values are names."""
        knobs = [(move.knob, move.named) for move in self._moves]
        fresh = set(knobs) - self.settled.keys()
        found = {knob: self._likeliest([n for n, own in enumerate(knobs) if own == knob]) for knob in fresh}
        return {**self.settled, **found}

    @property
    def moved(self) -> set[str]:
        """Knobs of which something was seen."""
        return {move.knob for move in self._moves}

    def _likeliest(self, places: Sequence[int]) -> Scales:
        moves = [self._moves[place] for place in places]
        ordinary, grid = (NAMED, NAMED_GRID) if moves[0].named else (ORDERED, ORDERED_GRID)
        noise, deltas = self._noise[numpy.ix_(places, places)], self._deltas[list(places)]

        def likelihood(scales: Scales) -> float:
            lower = numpy.linalg.cholesky(_covariance(moves, moves, scales) + noise)
            white = numpy.linalg.solve(lower, deltas)
            unusual = math.fsum(math.log(own / usual) ** 2 for own, usual in zip(scales, ordinary, strict=True))
            return float(-0.5 * white @ white - numpy.log(numpy.diag(lower)).sum()) - DRAWN * unusual

        return max(grid, key=likelihood)

    def _between(self, ours: Sequence[Move], theirs: Sequence[Move]) -> Table:
        found = numpy.zeros((len(ours), len(theirs)))
        sides = [[(move.knob, move.named) for move in side] for side in (ours, theirs)]
        for knob in set(sides[0]) & set(sides[1]):
            rows, columns = ([n for n, own in enumerate(side) if own == knob] for side in sides)
            mine, other = [ours[n] for n in rows], [theirs[n] for n in columns]
            scales = self.scales.get(knob, NAMED if mine[0].named else ORDERED)
            found[numpy.ix_(rows, columns)] = _covariance(mine, other, scales)
        return found

    @cached_property
    def _moves(self) -> list[Move]:
        return [one.move for one in self.seen]

    @cached_property
    def _deltas(self) -> Table:
        return numpy.array([one.delta for one in self.seen])

    @cached_property
    def _noise(self) -> Table:
        errors = numpy.sqrt([one.variance for one in self.seen])
        held = numpy.array([one.incumbent or str(place) for place, one in enumerate(self.seen)])
        common = SHARED * (held[:, None] == held)
        numpy.fill_diagonal(common, 1.0)
        noise: Table = common * numpy.outer(errors, errors) + JITTER * numpy.eye(len(errors))
        return noise


def _covariance(ours: Sequence[Move], theirs: Sequence[Move], scales: Scales) -> Table:
    """Of the effects of moves of one knob."""
    length, deviation = scales

    def alike(mine: Sequence[float | str], other: Sequence[float | str]) -> Table:
        if ours[0].named:
            same: Table = numpy.equal.outer(mine, other).astype(float)
            return same
        gaps = numpy.array(mine, dtype=float)[:, None] - numpy.array(other, dtype=float)
        near: Table = numpy.exp(-0.5 * (gaps / length) ** 2)
        return near

    (before, after), (then, now) = (([m.before for m in side], [m.after for m in side]) for side in (ours, theirs))
    total = alike(after, now) + alike(before, then) - alike(after, then) - alike(before, now)
    scaled: Table = deviation**2 * total
    return scaled
