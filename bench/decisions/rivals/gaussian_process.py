"""A small Gaussian process with top-two Thompson sampling."""

import numpy
from scipy.linalg import cho_factor, cho_solve

from bench.decisions.night import Array, Night
from bench.decisions.rivals.coordinates import Coordinates, Point
from bench.decisions.rivals.finalists import confirm_best

CANDIDATES = 80
FIRST = 16
REFIT = 20
SCALES = (0.5, 1.0, 2.0, 4.0)
NOISES = (0.002, 0.02, 0.2, 0.6)


class GaussianTopTwo:
    """GP regression (Rasmussen and Williams 2006, algorithm 2.1) with top-two Thompson sampling (Russo 2016, beta 1/2).

    Squared-exponential kernel; its length scale and noise share maximize the marginal likelihood on a small grid and
    are fitted again every 20 runs. Scores below the median count as the median. A point may be run again. At the end,
    the measured point with the largest posterior mean is kept if it is not the start; guards are ignored. The claimed
    gain is that mean minus the mean of the start's own runs.
    """

    name = "gp"

    def play(self, night: Night) -> None:
        ranked, means, start = search(night, self.name, int(night.budget))
        recipe = Coordinates(night).recipe(ranked[0])
        if ranked[0] != Coordinates(night).start and recipe is not None:
            night.keep(recipe, float(means[0] - start))


class GaussianConfirmed:
    """The same search for seven tenths of the night; then the five points with the best posterior means are confirmed
    as in `TpeConfirmed`."""

    name = "gp_confirmed"
    share, finalists, error = 0.7, 5, 0.05

    def play(self, night: Night) -> None:
        ranked, _, _ = search(night, self.name, int(self.share * night.budget))
        confirm_best(night, ranked, self.finalists, self.error)


def search(night: Night, name: str, budget: int) -> tuple[list[Point], list[float], float]:
    """The measured points, the best first, their posterior means, and the mean of the start's own runs."""
    random, coordinates = night.random(name), Coordinates(night)
    points: list[Point] = []
    raw: list[float] = []
    values: list[float] = []
    setting = (SCALES[2], NOISES[2])
    first = min(FIRST, budget // 2)
    for seed in range(budget):
        if seed < first:
            point = coordinates.start if seed == 0 else coordinates.nearby(random, coordinates.start)
        else:
            if (seed - first) % REFIT == 0:
                setting = _fitted(coordinates.features(points), numpy.array(values))
            point = _choose(coordinates, random, points, values, setting)
        recipe = coordinates.recipe(point)
        scores = None if recipe is None else night.measure(recipe, seed)
        points.append(point)
        raw.append(min(raw, default=0.0) if scores is None else float(scores.mean()))
        values = _winsorised(raw)
    known = list(dict.fromkeys(points))
    mean = _Posterior(coordinates.features(points), numpy.array(values), setting).mean(coordinates.features(known))
    order = [int(place) for place in numpy.argsort(-mean)]
    start = numpy.mean([value for point, value in zip(points, values, strict=True) if point == coordinates.start])
    return [known[place] for place in order], [float(mean[place]) for place in order], float(start)


def _choose(
    coordinates: Coordinates,
    random: numpy.random.Generator,
    points: list[Point],
    values: list[float],
    setting: tuple[float, float],
) -> Point:
    """The best point of one posterior draw; half of the time, the best of a further draw whose best point differs."""
    known = list(dict.fromkeys(points))
    model = _Posterior(coordinates.features(points), numpy.array(values), setting)
    mean = model.mean(coordinates.features(known))
    leaders = [known[place] for place in numpy.argsort(mean)[::-1][:8]]
    around = [leaders[int(random.integers(len(leaders)))] for _ in range(CANDIDATES - len(leaders))]
    options = list(dict.fromkeys(leaders + [coordinates.nearby(random, point, 2, False) for point in around]))
    mean, cover = model.joint(coordinates.features(options))
    root = numpy.linalg.cholesky(cover + 1e-8 * numpy.eye(len(options)))
    draws = mean[:, None] + root @ random.standard_normal((len(options), 20))
    winners = draws.argmax(axis=0)
    others = winners[winners != winners[0]]
    chosen: Point = options[int(others[0] if random.random() < 0.5 and len(others) else winners[0])]
    return chosen


def _winsorised(values: list[float]) -> list[float]:
    """Scores below the median, raised to it: very bad recipes would hide the differences between good ones."""
    floor = float(numpy.median(values))
    return [max(value, floor) for value in values]


def _kernel(one: Array, other: Array, scale: float) -> Array:
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    kernel: Array = numpy.exp(-0.5 * squared / scale**2)
    return kernel


class _Posterior:
    """The posterior for one setting: (length scale, share of the values' variance that is noise)."""

    def __init__(self, seen: Array, values: Array, setting: tuple[float, float]):
        self.seen, (self.scale, noise) = seen, setting
        self.signal = 1 - noise
        self.centre, self.spread = float(values.mean()), max(float(values.std()), 1e-6)
        own = self.signal * _kernel(seen, seen, self.scale) + noise * numpy.eye(len(seen))
        self.factor = cho_factor(own, lower=True)
        self.weights = cho_solve(self.factor, values - self.centre)

    def mean(self, wanted: Array) -> Array:
        mean: Array = self.centre + self.signal * _kernel(wanted, self.seen, self.scale) @ self.weights
        return mean

    def joint(self, wanted: Array) -> tuple[Array, Array]:
        """Means and their covariance."""
        across = self.signal * _kernel(self.seen, wanted, self.scale)
        cover = self.signal * _kernel(wanted, wanted, self.scale) - across.T @ cho_solve(self.factor, across)
        return self.centre + across.T @ self.weights, cover * self.spread**2


def _fitted(seen: Array, values: Array) -> tuple[float, float]:
    """The length and share of noise with the largest marginal likelihood, the variance fitted in closed form."""
    centred = values - values.mean()
    settings = [(scale, noise) for scale in SCALES for noise in NOISES]
    return max(settings, key=lambda setting: _likelihood(seen, centred, setting))


def _likelihood(seen: Array, centred: Array, setting: tuple[float, float]) -> float:
    scale, noise = setting
    factor = cho_factor((1 - noise) * _kernel(seen, seen, scale) + noise * numpy.eye(len(seen)), lower=True)
    variance = max(float(centred @ cho_solve(factor, centred)) / len(centred), 1e-12)
    return -0.5 * len(centred) * float(numpy.log(variance)) - float(numpy.log(numpy.diag(factor[0])).sum())
