"""What all comparisons of a search say together of a move: neighbours on a knob's ladder behave alike.

A Gaussian process (Rasmussen & Williams 2006, ch. 2) per knob, knobs adding up: the effect of a move is the knob's
response at the value after minus that at the value before, so a comparison is one noisy sum of such differences. How
fast and how far a knob's response moves is what its own comparisons make likeliest (ch. 5), drawn towards the ordinary:
an ordered knob that has shown nothing in several places is soon left alone. It says where to look and whom to confirm;
what is kept, a confirmation alone decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import product
from operator import itemgetter

import numpy
from numpy.typing import NDArray

from lanes import Knob, Value

Table = NDArray[numpy.float64]
Scales = tuple[float, float]
"""Places of the ladder over which a response changes, and its standard deviation in points."""
Named = tuple[str, bool]
"""A knob, and whether its values are names."""
ORDERED: Scales = (2.0, 0.4)
ORDERED_GRID = tuple(product((2.0, 4.0, 8.0), (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)))
NAMED: Scales = (1.0, 0.2)
NAMED_GRID = tuple(product((1.0,), (0.2, 0.4, 0.8)))
"""Never below the ordinary: a name that does nothing says nothing of the others."""
DRAWN = 0.5
"""How strongly scales are drawn to the ordinary: the log likelihood that a factor e from it costs."""
FACTORS = tuple(2.0 ** (power / 2) for power in range(-8, 9))
"""By which a variance that few repeats told may be wrong."""
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


Parts = dict[Named, tuple[list[int], list[Move]]]
"""Per knob: rows, and the move of each."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A comparison in one category of a recipe that lies some moves from its baseline, each of another knob: one for a
    candidate, several in a survey. ``held``: whose replicates it shares with other comparisons; None of a confirmation,
    which has its own. ``shared``: how much of the variance that is."""

    moves: tuple[Move, ...]
    delta: float
    variance: float
    held: str | None
    shared: float = SHARED


@dataclass(frozen=True)
class Response:
    """Of one category to moves, from what was seen. ``settled``: scales that need not be found again."""

    seen: tuple[Seen, ...] = ()
    settled: Mapping[Named, Scales] = field(default_factory=dict)

    def expected(self, moves: Sequence[Move]) -> tuple[Table, Table]:
        """Mean [moves] and covariance [moves, moves] of their true effects."""
        ours = _by_knob([(place, move) for place, move in enumerate(moves)])
        prior, mean = self._between(ours, ours, (len(moves), len(moves))), numpy.zeros(len(moves))
        if not self.seen:
            return mean, prior
        across = self._between(self._parts, ours, (len(self.seen), len(moves)))
        weights = numpy.linalg.solve(self._observed, across)
        mean[:] = weights.T @ self._deltas
        return mean, prior - across.T @ weights

    def drawn(self, moves: Sequence[Move], chance: numpy.random.Generator, number: int = 1, heat: float = 1.0) -> Table:
        """``number`` draws [number, moves] of their true effects; ``heat``: of the standard deviation they vary by."""
        mean, covariance = self.expected(moves)
        values, vectors = numpy.linalg.eigh(covariance)
        root = (vectors * numpy.sqrt(numpy.maximum(values, 0))) @ vectors.T  # the one that rounding hardly moves
        drawn: Table = mean + heat * chance.standard_normal((number, len(moves))) @ root
        return drawn

    def given(self, one: Seen) -> "Response":
        """With one comparison more; what it says of other knobs' scales is nothing."""
        own = {_named(move) for move in one.moves}
        return Response((*self.seen, one), {knob: found for knob, found in self.scales.items() if knob not in own})

    def of(self, move: Move) -> tuple[float, float]:
        """Mean and variance of one move's true effect."""
        mean, covariance = self.expected([move])
        return float(mean[0]), max(float(covariance[0, 0]), 0.0)

    @cached_property
    def scales(self) -> Mapping[Named, Scales]:
        """Of each knob that was moved, by its name and whether its values are names."""
        return _scales(self.seen, tuple(self.settled.items()))

    @property
    def moved(self) -> set[str]:
        """Knobs of which something was seen."""
        return {name for name, _ in self._parts}

    def went_to(self, move: Move) -> bool:
        """Whether anything was seen of the value that a move sets."""
        return any((own.knob, own.after) == (move.knob, move.after) for one in self.seen for own in one.moves)

    def _between(self, ours: Parts, theirs: Parts, shape: tuple[int, int]) -> Table:
        found = numpy.zeros(shape)
        for knob in (knob for knob in ours if knob in theirs):
            scales = self.scales.get(knob, ordinary(knob))
            (rows, mine), (columns, other) = ours[knob], theirs[knob]
            found[numpy.ix_(rows, columns)] += _covariance(mine, other, scales)
        return found

    @cached_property
    def _observed(self) -> Table:
        size = len(self.seen)
        return self._between(self._parts, self._parts, (size, size)) + _noise(self.seen)

    @cached_property
    def _parts(self) -> Parts:
        return _parts(self.seen)

    @cached_property
    def _deltas(self) -> Table:
        return _deltas(self.seen)


def safe(moves: Sequence[Move], guards: Mapping[str, Response], margins: Mapping[str, float]) -> Table:
    """[moves] The chance that the guard that a move endangers most keeps to its margin."""
    from scipy.special import ndtr

    chances = numpy.ones(len(moves))
    for name, response in guards.items():
        mean, covariance = response.expected(moves)
        deviation = numpy.sqrt(numpy.maximum(numpy.diag(covariance), JITTER))
        chances = numpy.minimum(chances, ndtr((mean + margins[name]) / deviation))
    return chances


@lru_cache(maxsize=256)
def noise_factor(seen: tuple[Seen, ...], freedom: float) -> float:
    """How many times the variance that they have these comparisons seem to have: what makes likeliest both them (ibid.)
    and the repeats, worth ``freedom`` degrees, that their variances were told from."""
    noise, deltas, size, factor = _noise(seen), _deltas(seen), len(seen), 1.0

    def likelihood(effects: Table, factor: float) -> float:
        return _likelihood(effects + factor * noise, deltas) - 0.5 * freedom * (math.log(factor) + 1 / factor)

    for _ in range(2):  # what is taken for noise and what for effect depend on each other
        scales = _scales(tuple(replace(one, variance=factor * one.variance) for one in seen), ())
        effects = numpy.zeros((size, size))
        for knob, part in _parts(seen).items():
            effects += _placed(part, size, scales[knob])
        factor = max(FACTORS, key=partial(likelihood, effects))
    return factor


@lru_cache(maxsize=256)
def _scales(seen: tuple[Seen, ...], settled: tuple[tuple[Named, Scales], ...]) -> Mapping[Named, Scales]:
    """Those that are not settled, one knob after the other: what makes the comparisons likeliest, given the others."""
    parts, found, size = _parts(seen), dict(settled), len(seen)
    total, deltas = _noise(seen), _deltas(seen)
    for knob, part in parts.items():
        total += _placed(part, size, found.get(knob, ordinary(knob)))
    for knob, part in parts.items():
        if knob not in found:
            rest = total - _placed(part, size, ordinary(knob))
            found[knob] = _likeliest(knob, part, rest, deltas)
            total = rest + _placed(part, size, found[knob])
    return found


def _likeliest(knob: Named, part: tuple[list[int], list[Move]], rest: Table, deltas: Table) -> Scales:
    """A knob's scales beside the ``rest`` of the covariance. A knob has few values, so the rest is taken apart once,
    and a pair of scales then costs what a matrix of those values does (Woodbury, ibid. A.3)."""
    from scipy.linalg import solve_triangular

    rows, moves = part
    values = list(dict.fromkeys(value for move in moves for value in (move.after, move.before)))
    steps = numpy.zeros((len(deltas), len(values)))
    steps[rows, [values.index(move.after) for move in moves]] += 1
    steps[rows, [values.index(move.before) for move in moves]] -= 1
    lower = numpy.linalg.cholesky(rest)
    white = solve_triangular(lower, numpy.column_stack([steps, deltas]), lower=True, check_finite=False)
    short = numpy.linalg.qr(white).R  # turned so that what the knob cannot explain is one figure
    best: tuple[float, Scales] = (-math.inf, ordinary(knob))
    grid = NAMED_GRID if knob[1] else ORDERED_GRID
    for length in dict.fromkeys(length for length, _ in grid):
        parted, axes = numpy.linalg.eigh(_alike(values, values, length))
        turned, strength, _ = numpy.linalg.svd(short[:, :-1] @ (axes * numpy.sqrt(numpy.maximum(parted, 0))))
        strengths, along = numpy.zeros(len(short)), (short[:, -1] @ turned) ** 2
        strengths[: len(strength)] = strength**2
        for scales in (scales for scales in grid if scales[0] == length):
            spread = 1 + scales[1] ** 2 * strengths
            likelihood = -0.5 * float((along / spread + numpy.log(spread)).sum())
            best = max(best, (likelihood - _unusual(scales, ordinary(knob)), scales), key=itemgetter(0))
    return best[1]


def _unusual(scales: Scales, usual: Scales) -> float:
    """The log likelihood that it costs to be unusual."""
    return DRAWN * math.fsum(math.log(own / other) ** 2 for own, other in zip(scales, usual, strict=True))


def _likelihood(covariance: Table, deltas: Table) -> float:
    """The logarithm, but for a constant."""
    from scipy.linalg import solve_triangular

    lower = numpy.linalg.cholesky(covariance)
    white = solve_triangular(lower, deltas, lower=True, check_finite=False)
    return float(-0.5 * white @ white - numpy.log(numpy.diag(lower)).sum())


def ordinary(knob: Named) -> Scales:
    """Of a knob of which nothing was seen."""
    return NAMED if knob[1] else ORDERED


def _named(move: Move) -> Named:
    return move.knob, move.named


def _by_knob(placed: Sequence[tuple[int, Move]]) -> Parts:
    found: Parts = {}
    for place, move in placed:
        rows, moves = found.setdefault(_named(move), ([], []))
        rows.append(place)
        moves.append(move)
    return found


def _parts(seen: Sequence[Seen]) -> Parts:
    return _by_knob([(place, move) for place, one in enumerate(seen) for move in one.moves])


def _deltas(seen: Sequence[Seen]) -> Table:
    return numpy.array([one.delta for one in seen])


def _placed(part: tuple[list[int], list[Move]], size: int, scales: Scales) -> Table:
    """[size, size] What a knob adds to the covariance of true effects, from the rows and moves of its part."""
    rows, moves = part
    table = numpy.zeros((size, size))
    table[numpy.ix_(rows, rows)] = _covariance(moves, moves, scales)
    return table


def _noise(seen: Sequence[Seen]) -> Table:
    errors = numpy.sqrt([one.variance for one in seen])
    shares = numpy.sqrt([one.shared for one in seen])
    held = numpy.array([one.held or str(place) for place, one in enumerate(seen)])
    common = (held[:, None] == held) * numpy.outer(shares, shares)
    numpy.fill_diagonal(common, 1.0)
    noise: Table = common * numpy.outer(errors, errors) + JITTER * numpy.eye(len(errors))
    return noise


def _covariance(ours: Sequence[Move], theirs: Sequence[Move], scales: Scales) -> Table:
    """Of the effects of moves of one knob."""
    length, deviation = scales
    mine, other = ([*(m.after for m in side), *(m.before for m in side)] for side in (ours, theirs))
    alike, rows, columns = _alike(mine, other, length), len(ours), len(theirs)
    total = alike[:rows, :columns] + alike[rows:, columns:] - alike[:rows, columns:] - alike[rows:, :columns]
    scaled: Table = deviation**2 * total
    return scaled


def _alike(ours: Sequence[float | str], theirs: Sequence[float | str], length: float) -> Table:
    """The correlation of a knob's response at its values: places on its ladder, or names."""
    if isinstance(ours[0], str):
        same: Table = numpy.equal.outer(ours, theirs).astype(float)
        return same
    gaps = numpy.subtract.outer(numpy.array(ours, dtype=float), numpy.array(theirs, dtype=float))
    near: Table = numpy.exp((-0.5 / length**2) * gaps * gaps)
    return near
