"""Optuna over the whole space: its tree-structured Parzen estimator, with and without a confirmation, and its Gaussian
process."""

import optuna

from bench.decisions.night import Night
from bench.decisions.rivals.coordinates import Coordinates, Point
from bench.decisions.rivals.finalists import confirm_best

optuna.logging.set_verbosity(optuna.logging.WARNING)
STARTUP, PRELIMINARY, LOCAL = 10, 256, 3
"""Settings of the Gaussian process: random trials at the start, points sampled to start the search, local searches."""


class Tpe:
    """optuna.samplers.TPESampler (Bergstra et al. 2011) with its defaults, one run per trial, each under its own seed.

    The start is the first trial. The best value observed is kept when the night is over; guards are ignored.
    """

    name = "tpe"

    def play(self, night: Night) -> None:
        seen = search(night, _tpe(night, self.name), night.budget)
        gain = seen[0][0] - next(value for value, point in seen if point == Coordinates(night).start)
        recipe = Coordinates(night).recipe(seen[0][1])
        if gain > 0 and recipe is not None:
            night.keep(recipe, gain)


class TpeConfirmed:
    """The same search for seven tenths of the night; then the five best recipes are run against the start on fresh
    seeds.

    Of those that a one-sided t test at 5 % finds better and whose categories all stay above the margin in these runs,
    the one with the largest mean difference is kept.
    """

    name = "tpe_confirmed"
    share, finalists, error = 0.7, 5, 0.05

    def play(self, night: Night) -> None:
        seen = search(night, _tpe(night, self.name), self.share * night.budget)
        confirm_best(night, [point for _, point in seen], self.finalists, self.error)


class GpSampler:
    """optuna.samplers.GPSampler (a Gaussian process with expected improvement), confirmed like TpeConfirmed.

    Its acquisition is optimized from fewer starts than by default, which takes a third of the time. Long
    nights are not played (``SLOW`` in bench/decisions/play.py).
    """

    name = "gp_sampler"
    share, finalists, error = 0.7, 5, 0.05

    def play(self, night: Night) -> None:
        sampler = optuna.samplers.GPSampler(seed=_seed(night, self.name), n_startup_trials=STARTUP)
        sampler._n_preliminary_samples, sampler._n_local_search = PRELIMINARY, LOCAL
        seen = search(night, sampler, self.share * night.budget)
        confirm_best(night, [point for _, point in seen], self.finalists, self.error)


def _tpe(night: Night, name: str) -> optuna.samplers.TPESampler:
    return optuna.samplers.TPESampler(seed=_seed(night, name))


def _seed(night: Night, name: str) -> int:
    return int(night.random(name).integers(2**31))


def search(night: Night, sampler: optuna.samplers.BaseSampler, budget: float) -> list[tuple[float, Point]]:
    """The mean score and the point of each trial that did not crash, the best first."""
    coordinates = Coordinates(night)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(_named(coordinates, coordinates.start))
    seen = []
    for seed in range(int(budget)):
        trial = study.ask()
        point = tuple(
            trial.suggest_int(knob.name, 0, len(knob.values) - 1)
            if knob.ordered
            else trial.suggest_categorical(knob.name, list(range(len(knob.values))))
            for knob in coordinates.knobs
        )
        recipe = coordinates.recipe(point)
        scores = None if recipe is None else night.measure(recipe, seed)
        if scores is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        study.tell(trial, float(scores.mean()))
        seen.append((float(scores.mean()), point))
    return sorted(seen, reverse=True)


def _named(coordinates: Coordinates, point: Point) -> dict[str, int]:
    return {knob.name: place for knob, place in zip(coordinates.knobs, point, strict=True)}
