"""A recipe as a point: the place of each knob's value on its ladder, for rivals that search the whole space at once."""

import numpy

from bench.decisions.night import Array, Night
from common.errors import IllegalRecipe
from lanes import Recipe, check_recipe

Point = tuple[int, ...]


class Coordinates:
    def __init__(self, night: Night):
        self.night, self.knobs = night, night.space.knobs
        self.start: Point = tuple(knob.values.index(knob.read(night.start)) for knob in self.knobs)
        self._recipes: dict[Point, Recipe | None] = {self.start: night.start}

    def recipe(self, point: Point) -> Recipe | None:
        """The recipe at a point; None if it is illegal."""
        if point not in self._recipes:
            self._recipes[point] = self._made(point)
        return self._recipes[point]

    def nearby(self, random: numpy.random.Generator, around: Point, most: int = 4, legal: bool = True) -> Point:
        """A point with one to ``most`` knobs moved at random, ordered ones within their reach. ``legal``: only a legal
        recipe."""
        while True:
            point = list(around)
            for place in random.permutation(len(self.knobs))[: random.integers(1, most + 1)]:
                point[place] = self._moved(random, int(place), point[place])
            if tuple(point) != around and (not legal or self.recipe(tuple(point)) is not None):
                return tuple(point)

    def features(self, points: list[Point]) -> Array:
        """Ordered knobs in units of their reach, named ones one-hot and scaled so that two values are 1 apart."""
        columns = []
        places = numpy.array(points)
        for number, knob in enumerate(self.knobs):
            if knob.ordered:
                columns.append(places[:, number] / (knob.reach or len(knob.values)))
            else:
                columns += [(places[:, number] == place) / 2**0.5 for place in range(len(knob.values))]
        features: Array = numpy.stack(columns, axis=1).astype(float)
        return features

    def _moved(self, random: numpy.random.Generator, number: int, place: int) -> int:
        knob = self.knobs[number]
        reach = knob.reach if knob.ordered and knob.reach is not None else len(knob.values)
        near = [other for other in range(len(knob.values)) if 0 < abs(other - place) <= reach]
        return int(random.choice(near)) if near else place

    def _made(self, point: Point) -> Recipe | None:
        recipe = self.night.start
        try:
            for knob, place in zip(self.knobs, point, strict=True):
                recipe = knob.write(recipe, knob.values[place]) if knob.read(recipe) != knob.values[place] else recipe
            check_recipe(recipe)
        except IllegalRecipe:
            return None
        return recipe
