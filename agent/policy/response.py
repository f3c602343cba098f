"""What all comparisons of a night say together of a move: neighbours on a knob's ladder behave alike.

A Gaussian process (Rasmussen & Williams 2006, ch. 2) per knob, knobs adding up: the effect of a move is the response at
its value after minus that at its value before, so a comparison is one noisy difference of the curve. Its scales are
those that the night's comparisons make likeliest (ch. 5), drawn towards moderate ones. It says where to look and whom
to confirm; what is kept, a confirmation alone decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy
from numpy.typing import NDArray

Table = NDArray[numpy.float64]
LENGTHS = (2.0, 4.0, 8.0)
"""Places of a ladder over which a response changes."""
SCALES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Standard deviation of an ordered knob's response, in points."""
SHARED = 0.25
"""Of the variance of a comparison in screening: what it has in common with others against the same incumbent."""
JITTER = 1e-9
ORDERED=(4.0,0.4)
NAMED=(1.0,0.2)
STRENGTH=0.5
CHOICES=(0.05,.1,.2,.4,.8)

@dataclass(frozen=True, slots=True)
class Move:
    """A knob and where its value was and is: a place on its ladder, or a name."""

    knob: str
    before: float | str
    after: float | str


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
    seen: Sequence[Seen] = ()

    def expected(self, moves: Sequence[Move]) -> tuple[Table, Table]:
        """Mean [moves] and covariance [moves, moves] of their true effects, given what was seen."""
        prior = self._between(moves, moves)
        if not self.seen:
            return numpy.zeros(len(moves)), prior
        across = self._between(moves, self._moves)
        weights = numpy.linalg.solve(self._total, across.T)
        return weights.T @ self._deltas, prior - across @ weights

    def of(self, move: Move) -> tuple[float, float]:
        """Mean and variance of one move's true effect."""
        mean, covariance = self.expected([move])
        return float(mean[0]), max(float(covariance[0, 0]), 0.0)

    def _between(self, ours, theirs):
        knobs = [[m.knob for m in side] for side in (ours, theirs)]
        found = numpy.zeros((len(ours), len(theirs)))
        for knob in set(knobs[0]) & set(knobs[1]):
            i, j = ([n for n, k in enumerate(side) if k == knob] for side in knobs)
            a, b = [ours[n] for n in i], [theirs[n] for n in j]
            named = isinstance(a[0].after, str)
            found[numpy.ix_(i, j)] = _covariance(a, b, *self._scales.get(knob, NAMED if named else ORDERED))
        return found

    @cached_property
    def _scales(self):
        return {knob: self._likeliest([n for n, m in enumerate(self._moves) if m.knob == knob]) for knob in {m.knob for m in self._moves}}

    def _likeliest(self, at):
        moves = [self._moves[n] for n in at]
        named = isinstance(moves[0].after, str)
        grid = [(1.0, s) for s in CHOICES] if named else product(LENGTHS, SCALES)
        typical = NAMED if named else ORDERED
        noise, deltas = self._noise[numpy.ix_(at, at)], self._deltas[at]
        def likely(scales):
            lower = numpy.linalg.cholesky(_covariance(moves, moves, *scales) + noise)
            white = numpy.linalg.solve(lower, deltas)
            prior = sum(numpy.log(a / b) ** 2 for a, b in zip(scales, typical))
            return float(-0.5 * white @ white - numpy.log(numpy.diag(lower)).sum() - STRENGTH*prior)
        return max(grid, key=likely)

    @cached_property
    def _moves(self): return [one.move for one in self.seen]
    @cached_property
    def _deltas(self): return numpy.array([one.delta for one in self.seen])
    @cached_property
    def _total(self): return self._between(self._moves, self._moves) + self._noise

    @cached_property
    def _noise(self) -> Table:
        error = numpy.array([one.variance for one in self.seen]) ** 0.5
        names = numpy.array([one.incumbent or "" for one in self.seen])
        same = (names[:, None] == names) & (names != "")
        return numpy.outer(error, error) * numpy.where(numpy.eye(len(names), dtype=bool), 1.0, SHARED * same) + JITTER * numpy.eye(len(names))


def _covariance(ours, theirs, length, scale):
    if isinstance(ours[0].after, str):
        a = [numpy.array([[m.before, m.after] for m in side]) for side in (ours, theirs)]
        alike = lambda x, y: (x[:, None] == y) * 1.0
    else:
        a = [numpy.array([[m.before, m.after] for m in side], dtype=float) for side in (ours, theirs)]
        alike = lambda x, y: numpy.exp(-0.5 * ((x[:, None] - y) / length) ** 2)
    (b, c), (d, e) = (x.T for x in a)
    return scale**2 * (alike(c, e) + alike(b, d) - alike(c, d) - alike(b, e))
