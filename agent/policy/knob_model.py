"""The model of all readings of a night: the score of a recipe is the sum of the effects of its knobs.

It has a Gaussian process per knob (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, ch. 2), whose
values add up (Duvenaud, Nickisch & Rasmussen 2011), a level per training seed, and noise. So the reading of a recipe
that moves several knobs is evidence about each of them. Three things are learnt beside the effects:

- how large a knob's effects are, possibly zero (a spike and a slab over a grid; Mitchell & Beauchamp 1988), one knob
  after the other while the rest stay at their mean (mean field; Bishop 2006, ch. 10);
- how noisy readings are, and how many times noisier where a knob was moved to one side, or to one name;
- how fast scores fall with the distance from the start: most changes of a sensible recipe make it worse.

By the model a night chooses which recipes to measure and which changes to confirm together, and estimates the effect of
each change. Only a confirmation decides on a KEEP. Everything is a function of its arguments.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtr

from agent.policy.knob_effects import Axis, Effects, Observed, Place, Places, Table

SLACK = 0.5
"""Additional standard deviation of a collapsed reading, per point that it lies below the limit."""
MOST_SLACK = 2.0
LEVEL = 3.0
"""Prior standard deviation of the level of the scores around their median."""
JITTER = 1e-9
SWEEPS = 5
"""Rounds in which noise and sizes of effects are learnt in turn."""
FEWEST_NOISY = 2
"""Readings on a side of a knob from which on its noise is learnt."""


@dataclass(frozen=True, kw_only=True)
class Priors:
    """What is assumed before the first reading, in points.

    ``effects``, ``chances``: possible standard deviations of a knob's effects, and the prior probability of each;
    ``length``: length scale of an ordered knob's effects, in units of its reach; ``fall``: mean and standard deviation
    of the loss at the reach of an ordered knob; ``names_fall``: the same for any other name of an unordered one;
    ``noise``, ``seed``: standard deviations of a reading and of a seed's level, a prior that weighs as much as
    ``worth`` readings; ``noisier``, ``noisier_chances``: possible factors of the variance on one side of a knob, and
    the prior probability of each; ``collapsed``: a reading that lies further than this below the median says only that
    the recipe is bad.
    """

    effects: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.8)
    chances: tuple[float, ...] = (0.35, 0.15, 0.2, 0.2, 0.1)
    length: float = 0.5
    fall: tuple[float, float] = (0.7, 0.5)
    names_fall: tuple[float, float] = (0.12, 0.15)
    noise: float = 0.27
    seed: float = 0.3
    worth: float = 4.0
    noisier: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0, 256.0)
    noisier_chances: tuple[float, ...] = (0.85, 0.06, 0.04, 0.03, 0.02)
    collapsed: float = 3.0

    def times(self, factor: float) -> "Priors":
        """The same priors for scores that are multiplied by a factor."""
        return replace(
            self,
            effects=tuple(factor * effect for effect in self.effects),
            fall=(factor * self.fall[0], factor * self.fall[1]),
            names_fall=(factor * self.names_fall[0], factor * self.names_fall[1]),
            noise=factor * self.noise,
            seed=factor * self.seed,
            collapsed=factor * self.collapsed,
        )


class KnobModel:
    """The model, fitted to some readings. All columns of the readings share the sizes of effects and the noise, so they
    should be alike, such as the deviations of several categories from the target."""

    def __init__(self, axes: Sequence[Axis], observed: Sequence[Observed], priors: Priors | None = None) -> None:
        self.axes, self.observed, self.priors = tuple(axes), tuple(observed), priors or Priors()
        self._learn()
        self._effects: dict[tuple[Place, ...], Effects] = {}

    @property
    def noise(self) -> float:
        """Standard deviation of a reading of the starting recipe, given its seed."""
        return math.sqrt(self._noise)

    def noisier(self, places: Places) -> float:
        """The variance of a recipe's readings, as a multiple of the variance at the start."""
        sides = [(axis.knob, axis.side(places[axis.knob])) for axis in self.axes]
        return math.prod(self._noisier.get(side, 1.0) for side in sides)

    def effects(self, incumbent: Places) -> Effects:
        """The effects of moving each knob of this recipe to each of its other places; cached per recipe."""
        here = tuple(incumbent[axis.knob] for axis in self.axes)
        if here not in self._effects:
            self._effects[here] = self._effects_around(incumbent)
        return self._effects[here]

    def _effects_around(self, incumbent: Places) -> Effects:
        moves, own, parts, falls = self._moves(incumbent)
        across = numpy.vstack([size * rows for size, (rows, _) in zip(self._sizes, own, strict=True)])
        across += (falls * self._fall_variance) @ self._falls.T
        prior = numpy.zeros((len(moves), len(moves)))
        begin = 0
        for size, (_, among) in zip(self._sizes, own, strict=True):
            end = begin + len(among)
            prior[begin:end, begin:end] = size * among
            begin = end
        prior += (falls * self._fall_variance) @ falls.T
        white = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        mean = (across @ self._weights + (falls @ self._fall_mean)[:, None]).T
        covariance = prior - white.T @ white
        if len(self._squares) == 1:  # one size only, so there is nothing to average over
            likely, spread = mean[0], numpy.maximum(numpy.diag(covariance), JITTER)
            chance = ndtr(likely / numpy.sqrt(spread))
        else:
            chance, likely, spread = self._chances(own, parts, falls)
        return Effects(
            moves=tuple(moves),
            mean=mean,
            covariance=covariance,
            chance=chance,
            likely=likely,
            spread=spread,
        )

    # what is learnt

    @cached_property
    def _columns(self) -> dict[str, list[Place]]:
        return {axis.knob: [one.places[axis.knob] for one in self.observed] for axis in self.axes}

    def _learn(self) -> None:
        priors, number = self.priors, len(self.observed)
        values = numpy.array([one.values for one in self.observed])
        level = numpy.median(values, axis=0)
        short = numpy.maximum(0.0, level - priors.collapsed - values)
        # a collapsed reading counts as bad, not as exactly how bad
        values = numpy.where(short > 0, level - priors.collapsed - 0.5 * numpy.log1p(short), values)
        slack = numpy.where(short > 0, numpy.minimum(SLACK * (0.5 + short), MOST_SLACK), 0.0).max(axis=1) ** 2
        self._kernels = [self._kernel(axis, self._columns[axis.knob]) for axis in self.axes]
        self._falls = sum((self._fall(axis, self._columns[axis.knob]) for axis in self.axes), numpy.zeros((number, 2)))
        self._fall_mean = -numpy.array([priors.fall[0], priors.names_fall[0]])
        self._fall_variance = numpy.array([priors.fall[1], priors.names_fall[1]]) ** 2
        self._values = values - level - (self._falls @ self._fall_mean)[:, None]
        self._falling = (self._falls * self._fall_variance) @ self._falls.T
        seeds = numpy.array([one.seed for one in self.observed])
        self._same_seed = (seeds[:, None] == seeds).astype(float)
        self._seeds = (numpy.unique(seeds)[:, None] == seeds).astype(float)
        self._sides = self._noisy_sides()
        self._noisier = dict.fromkeys(self._sides, 1.0)
        self._squares = numpy.array(priors.effects) ** 2
        self._sizes = numpy.full(len(self.axes), float(self._squares @ numpy.array(priors.chances)))
        self._likely_sizes = [numpy.array(priors.chances)] * len(self.axes)
        self._noise, self._seed, self._slack = priors.noise**2, priors.seed**2, slack
        inverse = self._inverse()
        for _ in range(SWEEPS):
            self._learn_noise(inverse)
            inverse = self._learn_sizes()
        self._root = numpy.linalg.cholesky(self._covariance())
        self._weights = cho_solve((self._root, True), self._values, check_finite=False)

    def _covariance(self) -> Table:
        total: Table = LEVEL**2 + self._seed * self._same_seed
        total += self._falling
        for size, (table, _) in zip(self._sizes, self._kernels, strict=True):
            total += size * table
        total[numpy.diag_indices(len(total))] += self._own_noise() + JITTER
        return total

    def _own_noise(self) -> Table:
        factor = numpy.ones(len(self.observed))
        for side, rows in self._sides.items():
            factor[rows] *= self._noisier[side]
        own: Table = self._noise * factor + self._slack
        return own

    def _inverse(self) -> Table:
        return numpy.linalg.inv(self._covariance()).astype(numpy.float64, copy=False)

    def _learn_sizes(self) -> Table:
        """Learn the size of the effects of each knob in turn, while the others stay; returns the inverse of the new
        covariance. A size changes the covariance by a matrix of low rank, so the determinant (matrix determinant lemma)
        and the inverse (Woodbury's identity) are updated and not computed again."""
        inverse = self._inverse()
        chances = numpy.log(numpy.array(self.priors.chances))
        columns = self._values.shape[1]
        for number, (_, root) in enumerate(self._kernels):
            size = self._sizes[number]
            white = inverse @ root
            eigen, vectors = numpy.linalg.eigh(root.T @ white)
            white = white @ vectors
            without = numpy.maximum(1 - size * eigen, JITTER)  # takes this knob's part out of the covariance
            turned = ((white.T @ self._values / without[:, None]) ** 2).sum(axis=1)
            eigen = numpy.maximum(eigen, 0.0)
            alone = eigen / without
            scaled = self._squares[:, None]
            gain = 0.5 * (scaled * turned / (1 + scaled * alone)).sum(axis=1)
            cost = 0.5 * columns * numpy.log1p(scaled * alone).sum(axis=1)
            likely = gain - cost + chances
            weights = numpy.exp(likely - likely.max())
            self._likely_sizes[number] = weights / weights.sum()
            self._sizes[number] = float(self._likely_sizes[number] @ self._squares)
            change = self._sizes[number] - size
            inverse = inverse - (white * (change / (1 + change * eigen))) @ white.T
        return inverse

    def _learn_noise(self, inverse: Table) -> None:
        """Learn the noise of readings, of seeds and of the sides of knobs from the residuals (variational EM; Bishop
        2006, 10.3)."""
        priors = self.priors
        weights, own = inverse @ self._values, self._own_noise()
        columns = self._values.shape[1]
        left = (own[:, None] * weights) ** 2
        squares = left.mean(axis=1) + numpy.maximum(own - own**2 * numpy.diag(inverse), 0.0)
        seed_left = ((self._seed * self._same_seed @ weights) ** 2).mean(axis=1)
        shared = ((self._seeds @ inverse) * self._seeds).sum(axis=1) @ self._seeds
        seed_spread = self._seed - self._seed**2 * shared
        per_seed = 1 / self._same_seed.sum(axis=1)
        seeds = per_seed.sum()
        self._seed = float(
            (priors.worth * priors.seed**2 + per_seed @ (seed_left + numpy.maximum(seed_spread, 0.0)))
            / (priors.worth + seeds)
        )
        options = numpy.array(priors.noisier)
        for side, rows in self._sides.items():
            others = (own - self._slack)[rows] / self._noisier[side]
            scaled = squares[rows] / numpy.maximum(others, JITTER)
            likely = numpy.log(priors.noisier_chances) - 0.5 * columns * (
                len(rows) * numpy.log(options) + scaled.sum() / options
            )
            chances = numpy.exp(likely - likely.max())
            found = float(1 / (chances / chances.sum() @ (1 / options)))
            own[rows] = self._slack[rows] + others * found
            self._noisier[side] = found
        factor = (own - self._slack) / self._noise
        clear = self._slack == 0
        total = float((squares[clear] / factor[clear]).sum())
        self._noise = (priors.worth * priors.noise**2 + total) / (priors.worth + clear.sum())

    def _noisy_sides(self) -> dict[tuple[str, Place | None], NDArray[numpy.intp]]:
        found: dict[tuple[str, Place | None], list[int]] = {}
        for axis in self.axes:
            for row, place in enumerate(self._columns[axis.knob]):
                if (side := axis.side(place)) is not None:
                    found.setdefault((axis.knob, side), []).append(row)
        return {side: numpy.array(rows) for side, rows in found.items() if len(rows) >= FEWEST_NOISY}

    # kernels

    def _kernel(self, axis: Axis, places: Sequence[Place]) -> tuple[Table, Table]:
        """This knob's part of the covariance of the readings, at size 1 [readings, readings], and a root of it
        [readings, distinct places]."""
        distinct = list(dict.fromkeys(places))
        number = {place: number for number, place in enumerate(distinct)}
        rows = numpy.array([number[place] for place in places], dtype=numpy.intp)
        among = self._alike(axis, distinct, distinct)
        values, vectors = numpy.linalg.eigh(among)
        root = vectors * numpy.sqrt(numpy.maximum(values, 0.0))
        return among[rows[:, None], rows], root[rows]

    def _alike(self, axis: Axis, ours: Sequence[Place], theirs: Sequence[Place]) -> Table:
        if not axis.ordered:
            return numpy.array([[float(one == other) for other in theirs] for one in ours])
        gaps = numpy.subtract.outer(axis.distance(ours), axis.distance(theirs)) / self.priors.length
        found: Table = numpy.exp(-0.5 * gaps * gaps)
        return found

    @staticmethod
    def _fall(axis: Axis, places: Sequence[Place]) -> Table:
        """[places, 2] The factors of the fall with the distance from the start: for ordered knobs, and for names."""
        away = axis.distance(places)
        nothing = numpy.zeros(len(away))
        return numpy.stack([away**2, nothing] if axis.ordered else [nothing, away], axis=1)

    def _moves(
        self, incumbent: Places
    ) -> tuple[list[tuple[str, Place]], list[tuple[Table, Table]], list[slice], Table]:
        """The moves from this recipe; for each knob, at size 1, their covariances with the readings and among each
        other; the slice of each knob's moves; and the factors of the fall (``_fall``) [moves, 2]."""
        moves: list[tuple[str, Place]] = []
        own, parts, falls = [], [], []
        for axis in self.axes:
            here = incumbent[axis.knob]
            others = [place for place in axis.options if place != here]
            places = [*others, here]
            rows = self._alike(axis, places, self._columns[axis.knob])
            among = self._alike(axis, places, places)
            own.append((rows[:-1] - rows[-1], among[:-1, :-1] - among[:-1, -1:] - among[-1:, :-1] + among[-1, -1]))
            fall = self._fall(axis, places)
            falls.append(fall[:-1] - fall[-1])
            parts.append(slice(len(moves), len(moves) + len(others)))
            moves += [(axis.knob, place) for place in others]
        return moves, own, parts, numpy.vstack(falls)

    def _chances(
        self, own: Sequence[tuple[Table, Table]], parts: Sequence[slice], falls: Table
    ) -> tuple[Table, Table, Table]:
        """For each move, averaged over the sizes of its knob: the chance of an effect above zero, mean and variance."""
        total = self._root @ self._root.T
        size = parts[-1].stop if parts else 0
        chance, likely, square = numpy.zeros(size), numpy.zeros(size), numpy.zeros(size)
        shared = falls * self._fall_variance
        for number, ((rows, among), part) in enumerate(zip(own, parts, strict=True)):
            if part.start == part.stop:
                continue
            rest = total - self._sizes[number] * self._kernels[number][0]
            fall, mine = falls[part], shared[part]
            for squared, weight in zip(self._squares, self._likely_sizes[number], strict=True):
                if weight < 0.01:
                    continue
                lower = numpy.linalg.cholesky(rest + squared * self._kernels[number][0])
                across = squared * rows + mine @ self._falls.T
                white = solve_triangular(
                    lower, numpy.hstack([across.T, self._values[:, :1]]), lower=True, check_finite=False
                )
                basis, data = white[:, :-1], white[:, -1]
                mean = basis.T @ data + fall @ self._fall_mean
                variance = squared * numpy.diag(among) + (mine * fall).sum(axis=1) - (basis**2).sum(axis=0)
                variance = numpy.maximum(variance, JITTER)
                if squared == 0:  # a knob without effects cannot gain
                    mean = numpy.minimum(mean, 0.0)
                else:
                    chance[part] += weight * ndtr(mean / numpy.sqrt(variance))
                likely[part] += weight * mean
                square[part] += weight * (variance + mean**2)
        return chance, likely, numpy.maximum(square - likely**2, JITTER)


class Models:
    """Caches the last models: a night asks for a model of the same readings several times."""

    MOST = 4

    def __init__(self) -> None:
        self._last: list[KnobModel] = []

    def of(self, axes: Sequence[Axis], observed: Sequence[Observed], priors: Priors) -> KnobModel:
        asked = (tuple(axes), tuple(observed), priors)
        found = next((one for one in self._last if (one.axes, one.observed, one.priors) == asked), None)
        if found is None:
            found = KnobModel(*asked)
            self._last = [*self._last[1 - self.MOST :], found]
        return found
