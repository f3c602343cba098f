"""Optuna's tree-structured Parzen estimator over the whole space, with and without a confirmation."""

import optuna

from bench.decisions.night import Night
from bench.decisions.rivals.coordinates import Coordinates, Point
from bench.decisions.rivals.finalists import confirm_best

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Tpe:
    """optuna.samplers.TPESampler (Bergstra et al. 2011) with its defaults, one run per trial, each under its own seed.

    The start is the first trial. The best value observed is kept when the night is over; guards are not looked at.
    """

    name = "tpe"

    def play(self, night: Night) -> None:
        seen = search(night, self.name, night.budget)
        gain = seen[0][0] - next(value for value, point in seen if point == Coordinates(night).start)
        recipe = Coordinates(night).recipe(seen[0][1])
        if gain > 0 and recipe is not None:
            night.keep(recipe, gain)


class TpeConfirmed:
    """The same for seven tenths of the night; then the five best are run against the start under fresh seeds.

    The one with the largest mean difference is kept, among those that a one-sided t test at 5 % finds better and whose
    categories all stay above the margin in these runs.
    """

    name = "tpe_confirmed"
    share, finalists, error = 0.7, 5, 0.05

    def play(self, night: Night) -> None:
        seen = search(night, self.name, self.share * night.budget)
        confirm_best(night, [point for _, point in seen], self.finalists, self.error)


def search(night: Night, name: str, budget: float) -> list[tuple[float, Point]]:
    """The mean score and the point of each trial that did not crash, the best first."""
    coordinates = Coordinates(night)
    sampler = optuna.samplers.TPESampler(seed=int(night.random(name).integers(2**31)))
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
