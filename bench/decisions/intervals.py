"""95 % intervals of the figures, in textbook forms that readers can check."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.stats import chi2, t

from probes.result.proportions import proportion_interval


@dataclass(frozen=True, slots=True)
class EstimatedFigure:
    """A figure with its interval over ``n`` cases; NaN if there are none."""

    value: float
    low: float
    high: float
    n: int


NOTHING = EstimatedFigure(math.nan, math.nan, math.nan, 0)


def proportion(hits: int, n: int) -> EstimatedFigure:
    """Wilson's score interval (Wilson 1927)."""
    if not n:
        return NOTHING
    return EstimatedFigure(hits / n, *proportion_interval(hits, n, method="wilson"), n)


def rate(events: int, n: int) -> EstimatedFigure:
    """Events per night, with the exact interval of a Poisson count (Garwood 1936)."""
    if not n:
        return NOTHING
    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return EstimatedFigure(events / n, float(low) / n, float(chi2.ppf(0.975, 2 * events + 2)) / 2 / n, n)


def mean(values: Sequence[float]) -> EstimatedFigure:
    """A mean over nights with Student's interval."""
    if not values:
        return NOTHING
    centre = float(numpy.mean(values))
    if len(values) < 2:
        return EstimatedFigure(centre, math.nan, math.nan, 1)
    half = float(t.ppf(0.975, len(values) - 1) * numpy.std(values, ddof=1)) / len(values) ** 0.5
    return EstimatedFigure(centre, centre - half, centre + half, len(values))
