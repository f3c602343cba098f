"""Levels for looking at a comparison after every pair of probes without raising its error.

An error of ``alpha`` is spent over ``looks`` looks by the function alpha (k / looks)^2 of Kim and DeMets (1987): little
at the first looks, most of it at the last. The levels follow from the joint distribution of the running mean, computed
by numerical integration (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, ch. 19). Variances are
estimated, so the levels are used with Student's t, as Jennison and Turnbull (section 3.8) do.
"""

from functools import cache

import numpy
from numpy.typing import NDArray

GRID = 801
WIDTH = 9.0
POWER = 2.0


@cache
def levels(alpha: float, looks: int, first: int = 1) -> tuple[float, ...]:
    """One-sided levels p_k for the looks after ``first`` .. ``looks`` pairs: if the true effect is zero, the chance
    that the p-value falls below p_k at any look is ``alpha``."""
    from scipy.stats import norm

    found: list[float] = []
    density: NDArray[numpy.float64] | None = None  # of the running sum, where it has not crossed
    points = numpy.linspace(-WIDTH, WIDTH, GRID) * looks**0.5
    step = float(points[1] - points[0])
    spent = 0.0
    for look in range(first, looks + 1):
        due = alpha * (look / looks) ** POWER
        if density is None:
            density = norm.pdf(points, scale=look**0.5)
        else:
            density = numpy.convolve(density, norm.pdf(points), mode="same") * step
        above = numpy.cumsum(density[::-1])[::-1] * step
        cut = float(numpy.interp(-(due - spent), -above, points))
        found.append(float(norm.sf(cut / look**0.5)))
        density = numpy.where(points > cut, 0.0, density)
        spent = due
    return tuple(found)
