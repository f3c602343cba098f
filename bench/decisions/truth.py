"""True effects: the expected score after the scorer's transformation, and the best recipe of a landscape."""

from collections.abc import Callable

import numpy
from numpy.typing import NDArray
from scipy.stats import norm

from common.errors import IllegalRecipe
from lanes import Recipe, SearchSpace, check_recipe

Array = NDArray[numpy.float64]
MARGIN = 0.3
"""The margin of the guards; all six categories have one."""


class ExpectedScore:
    """The expected score of a noisy level after the scorer's transformation; exact if there is no transformation."""

    def __init__(self, shape: Callable[[Array], Array], deviation: float):
        self._levels = numpy.linspace(-10.0, 20.0, 601)
        self._plain = bool(numpy.array_equal(shape(self._levels[:, None])[:, 0], self._levels))
        if not self._plain:
            nodes = norm.ppf((numpy.arange(400) + 0.5) / 400) * deviation
            self._means = shape(self._levels[:, None] + nodes).mean(axis=1)

    def __call__(self, levels: Array) -> Array:
        return levels if self._plain else numpy.interp(levels, self._levels, self._means)


def climb(
    space: SearchSpace, start: Recipe, effects: Callable[[Recipe], Array], crashes: Callable[[Recipe], bool]
) -> Recipe:
    """The best recipe that a hill climb reaches: one knob at a time, without breaking a guard.

    It is exact if effects add up, and a lower bound with interactions.
    """
    best, gain, improved = start, 0.0, True
    while improved:
        improved = False
        for knob in space.knobs:
            for value in knob.values:
                recipe = knob.write(best, value)
                if not _legal(recipe) or crashes(recipe):
                    continue
                change = effects(recipe)
                if change.mean() > gain + 1e-9 and change.min() >= -MARGIN:
                    best, gain, improved = recipe, float(change.mean()), True
    return best


def _legal(recipe: Recipe) -> bool:
    try:
        check_recipe(recipe)
    except IllegalRecipe:
        return False
    return True
