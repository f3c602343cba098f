"""The confirmation at the end of rivals that search without tests."""

from collections.abc import Sequence
from itertools import count

from scipy.stats import t as student

from bench.decisions.night import Array, Night
from bench.decisions.rivals.coordinates import Coordinates, Point
from bench.decisions.rivals.walk import Paired, scored

FRESH = 10**6
"""The first seed of the confirmation."""


def confirm_best(night: Night, ranked: Sequence[Point], finalists: int, error: float) -> None:
    """Run the first ``finalists`` distinct points of ``ranked`` against the start, on fresh seeds, until the night is
    over. Of those that a one-sided t test finds better and whose categories all stay above the margin, keep the one
    with the largest mean difference."""
    coordinates = Coordinates(night)
    best = [point for point in dict.fromkeys(ranked) if point != coordinates.start]
    runs: dict[Point, list[Array]] = {point: [] for point in best[:finalists]}
    baseline: list[Array] = []
    for seed in count(FRESH):
        if night.left < 1 + len(runs) or not runs:
            break
        baseline.append(scored(night, night.start, seed))
        for point, measured in runs.items():
            measured.append(scored(night, coordinates.recipe(point) or night.start, seed))
    if len(baseline) < 2:
        return
    bound = student.ppf(1 - error, len(baseline) - 1)
    tested = {point: Paired.of(measured, baseline) for point, measured in runs.items()}
    good = [(p.mean, point) for point, p in tested.items() if p.t > bound and p.guards_hold(night.margin)]
    if good:
        gain, point = max(good)
        night.keep(coordinates.recipe(point) or night.start, gain)
