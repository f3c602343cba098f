"""What the rivals that go step by step have in common: how they propose the next step, and statistics of paired
runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from bench.decisions.night import Array, Night
from common.errors import IllegalRecipe
from lanes import Mutation, Recipe, Value


@dataclass(frozen=True, slots=True)
class WalkStep:
    mutation: Mutation
    recipe: Recipe


class Walk:
    """Proposes a random untried move of one knob; after a KEEP, the same step further in the same direction."""

    def __init__(self, night: Night, *words: object):
        self.night, self.random = night, night.random(*words)
        self._tried: set[Recipe] = {night.start}
        self._next: WalkStep | None = None
        self._from: tuple[Recipe, list[WalkStep]] | None = None

    def propose(self) -> WalkStep:
        step, self._next = self._next, None
        if step is None or step.recipe in self._tried:
            step = self._untried()
        self._tried.add(step.recipe)
        return step

    def keep(self, step: WalkStep, claimed: float) -> None:
        self.night.keep(step.recipe, claimed)
        self._next = self._further(step.mutation)

    def _untried(self) -> WalkStep:
        if self._from is None or self._from[0] is not self.night.standing:
            fresh = [step for step in self._steps() if step.recipe not in self._tried]
            self._from = (self.night.standing, [fresh[place] for place in self.random.permutation(len(fresh))])
        left = self._from[1]
        while left:
            step = left.pop()
            if step.recipe not in self._tried:
                return step
        self._tried -= {step.recipe for step in self._steps()}  # every move was tried once, so start again
        self._from = None
        return self._untried()

    def _steps(self) -> list[WalkStep]:
        moves = self.night.space.moves(self.night.standing)
        return [self._step(knob, value) for knob, values in moves.items() for value in values]

    def _step(self, knob: str, value: Value) -> WalkStep:
        now = self.night.space.knob(knob)
        recipe = self.night.standing
        return WalkStep(Mutation(knob, now.read(recipe), value), now.write(recipe, value))

    def _further(self, mutation: Mutation) -> WalkStep | None:
        knob = self.night.space.knob(mutation.knob)
        if not knob.ordered:
            return None
        places = [knob.values.index(value) for value in (mutation.before, mutation.after)]
        place = 2 * places[1] - places[0]
        if not 0 <= place < len(knob.values):
            return None
        try:
            return WalkStep(*self.night.space.mutate(self.night.standing, knob.name, knob.values[place]))
        except IllegalRecipe:
            return None


@dataclass(frozen=True)
class Paired:
    """Differences between two recipes of runs under the same seeds: [seeds], and [seeds, 6] by category."""

    overall: Array
    by_category: Array

    @classmethod
    def of(cls, candidate: Sequence[Array], baseline: Sequence[Array]) -> "Paired":
        difference = numpy.array(candidate) - numpy.array(baseline[: len(candidate)])
        by_category = difference.reshape(len(difference), 6, -1).mean(axis=2)
        return cls(by_category.mean(axis=1), by_category)

    @property
    def mean(self) -> float:
        return float(self.overall.mean())

    @property
    def error(self) -> float:
        return float(self.overall.std(ddof=1) / len(self.overall) ** 0.5)

    @property
    def t(self) -> float:
        return self.mean / max(self.error, 1e-12)

    def guards_hold(self, margin: float) -> bool:
        return bool(self.by_category.mean(axis=0).min() >= -margin)


class BaselineRuns:
    """Runs of one recipe under the seeds that its candidates share, measured when they are first needed."""

    def __init__(self, night: Night, recipe: Recipe, seeds: Sequence[int]):
        self.night, self.recipe, self.seeds = night, recipe, seeds
        self.runs: list[Array] = []

    def upto(self, count: int) -> list[Array]:
        while len(self.runs) < count:
            self.runs.append(scored(self.night, self.recipe, self.seeds[len(self.runs)]))
        return self.runs[:count]


def scored(night: Night, recipe: Recipe, seed: int) -> Array:
    """A run of a recipe that is known not to crash."""
    scores = night.measure(recipe, seed)
    if scores is None:
        raise RuntimeError("the incumbent crashed")
    return scores
