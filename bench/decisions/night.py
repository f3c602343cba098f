"""A planted night: a search whose truth is known, for any decision procedure to play. This file is the whole protocol.

A *landscape* is one night's truth: which knobs may move, and what every recipe is really worth. A *policy* plays a
`Night`: it measures recipes for probes and says KEEP; it sees scores, never the truth. Own ones plug in:

    @dataclass(frozen=True, kw_only=True)
    class Warm(Landscape):                                          # in a file mine.py
        family: str = "warm"
        lanes: Lanes = field(default_factory=lambda: {"hyperparameters": LaneSettings.model_validate({"warmup": {}})})

        def effect(self, recipe, category):
            return 2 * recipe.warmup - 0.2                          # the start has a warmup of 0.1

    def warm(night):                                                # a family: the landscape of each night's number
        return Warm()

    nightlane bench decisions --landscapes mine:warm

    class Hopeful:                                                  # a policy, entry point group "nightlane.policies"
        name = "hopeful"

        def play(self, night):
            for seed in range(10**6):
                knob, values = next(iter(night.space.moves(night.standing).items()))
                _, recipe = night.space.mutate(night.standing, knob, values[0])
                scores = night.measure(recipe, seed)                # None: it crashed
                if scores is not None and scores.mean() > 6:
                    night.keep(recipe, claimed=scores.mean() - 6)   # ends with NightOver when the probes are spent

Entry points of the groups "nightlane.landscapes" (families) and "nightlane.policies" are played with the built-in ones.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy
from numpy.typing import NDArray

from bench.decisions.record import Event, NightRecord, stands
from bench.decisions.truth import MARGIN, ExpectedScore, climb
from lanes import LaneSettings, Recipe, SearchSpace, Value, build_lanes

Array = NDArray[numpy.float64]
Lanes = Mapping[str, LaneSettings]
CATEGORIES = ("arithmetic", "strings", "lists", "conditions", "edge_cases", "imports")
PROMPTS = tuple((f"{category}-{number}", category) for category in CATEGORIES for number in range(6))
LEVEL = 6.0
"""Mean score of the start, of 10."""
CRASHED = -LEVEL
"""What a recipe that crashes is worth against the start: it answers nothing."""
IMPROVEMENT = 0.2
"""A true gain that should not be missed."""


class NightOver(Exception):
    """What is left of the budget does not pay for this probe."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: of a training run, of a category within it, of one answer to a prompt.

    ``correlation``: of each of the three between two recipes that are measured under the same seed.
    """

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5

    def times(self, factor: float) -> "Noise":
        scaled = (self.run * factor, self.category_by_run * factor, self.answer * factor)
        return replace(self, run=scaled[0], category_by_run=scaled[1], answer=scaled[2])

    @property
    def single(self) -> float:
        """Of one answer to one prompt in one run."""
        return float(numpy.hypot(numpy.hypot(self.run, self.category_by_run), self.answer))


@dataclass(frozen=True, kw_only=True)
class Landscape(ABC):
    """One night's truth. Only ``family``, ``lanes`` and ``effect`` must be given; the rest has plain defaults.

    ``lanes``: what may move, as [lanes] of a study, over real knobs. ``manifests``: [data.manifests], by name.
    """

    family: str
    lanes: Lanes
    start: Recipe = field(default_factory=lambda: Recipe(mixture={"clean": 1.0}))
    manifests: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @abstractmethod
    def effect(self, recipe: Recipe, category: str) -> float:
        """The true score change of a recipe against the start in a category, at the probe's steps, before `shape`."""

    def crashes(self, recipe: Recipe) -> bool:
        return False

    def shift(self, spent: float) -> float:
        """What every score has drifted by when ``spent`` (0 to 1) of the night's probes are gone."""
        return 0.0

    def fidelity(self, share: float) -> float:
        """How much of an effect shows after ``share`` of the probe's steps; 1.0 at 1.0.

        The square root: a short probe then tells as much for its steps as a long one, neither more nor less.
        """
        return float(share**0.5)

    def shape(self, scores: Array) -> Array:
        """What the scorer makes of the scores (whole numbers, bounds); one by one and never falling."""
        return scores

    def offsets(self) -> Array:
        """How much easier than the mean each of the 36 prompts is."""
        return numpy.zeros(len(PROMPTS))

    @cached_property
    def space(self) -> SearchSpace:
        sources = {name for weights in self.manifests.values() for name in weights} | set(self.start.mixture)
        return build_lanes(self.lanes, self.start, self.manifests, tuple(sorted(sources)))

    @cached_property
    def best(self) -> Recipe:
        """The recipe with the largest true gain whose guards are fine; unless stated, found one knob at a time."""
        return climb(self.space, self.start, self.effects, self.crashes)

    @cached_property
    def headroom(self) -> float:
        """The true gain of ``best`` in the target, before `shape`."""
        return float(self.effects(self.best).mean())

    def effects(self, recipe: Recipe) -> Array:
        return numpy.array([self.effect(recipe, category) for category in CATEGORIES])


Family = Callable[[int], Landscape]
"""The landscape of each night's number; it has a ``__name__``."""


class Policy(Protocol):
    """A decision procedure. It plays many nights, so what it learns in one stays in a local variable of `play`."""

    name: str

    def play(self, night: "Night") -> None:
        """Spend the night. It may end by itself or by the NightOver that `measure` raises."""


class Night:
    """What a policy plays. Of the landscape it sees ``start``, ``space`` and what `measure` returns."""

    categories = CATEGORIES
    prompts = PROMPTS
    target = "overall"
    margin = MARGIN

    def __init__(self, landscape: Landscape, noise: Noise, samples: int = 4, budget: float = 200, seed: int = 0):
        self.landscape, self.samples, self.budget = landscape, samples, float(budget)
        self.start = self.standing = landscape.start
        self.space = landscape.space
        self.left = self.budget
        self._noise, self._seed = noise, seed
        self._offsets = landscape.offsets()
        self._expected = ExpectedScore(landscape.shape, noise.single)
        self._truths: dict[Recipe, Array] = {}
        self._events: list[Event] = []
        self._improvements: set[frozenset[tuple[str, Value]]] = set()
        self._compared: set[tuple[Recipe, Recipe]] = set()

    @property
    def spent(self) -> float:
        return self.budget - self.left

    def random(self, *words: object) -> numpy.random.Generator:
        """For the policy's own choices: the same words give the same generator, in this night."""
        return self._generator("policy", *words)

    def measure(self, recipe: Recipe, seed: int, share: float = 1.0) -> Array | None:
        """Scores [36 prompts, samples] of one run under ``seed``, for ``share`` of a probe; None: it crashed.

        The same recipe, seed and share give the same noise, and cost again. Raises NightOver.
        """
        if share > self.left + 1e-9:
            raise NightOver
        spent = self.spent / self.budget
        self.left = max(0.0, self.left - share)
        self._note_improvement(recipe)
        if self.landscape.crashes(recipe):
            return None
        level = LEVEL + self.landscape.effects(recipe) * self.landscape.fidelity(share) + self.landscape.shift(spent)
        by_prompt = numpy.repeat(level, len(PROMPTS) // len(CATEGORIES)) + self._offsets
        scores: Array = self.landscape.shape(by_prompt[:, None] + self._disturbance(recipe, seed, share))
        return scores

    def keep(self, recipe: Recipe, claimed: float | None = None) -> None:
        """The recipe stands from now on; ``claimed``: the gain in the target over what stood, as the policy sees it."""
        change = self.truth(recipe) - self.truth(self.standing)
        self._stand("keep", recipe, claimed, float(change.mean()), float(change.min()))

    def retract(self, recipe: Recipe) -> None:
        """What was kept does not all hold: ``recipe`` is what stands after the retraction."""
        change = self.truth(recipe) - self.truth(self.standing)
        self._stand("retract", recipe, None, float(change.mean()), float(change.min()))

    def truth(self, recipe: Recipe) -> Array:
        """True change of the expected score against the start in each category. For the figures and the oracle."""
        if recipe not in self._truths:
            self._truths[recipe] = self._truth(recipe)
        return self._truths[recipe]

    @property
    def headroom(self) -> float:
        """The true gain in the target of the landscape's best recipe."""
        return float(self.truth(self.landscape.best).mean())

    def record(self, policy: str, number: int = 0) -> NightRecord:
        """What the figures are made of."""
        kept = [dict(event.values) for event in self._events if event.kind == "keep"]
        missed = sum(not any(wanted <= values.items() for values in kept) for wanted in self._improvements)
        events = stands(self._events, fields(self.standing))
        return NightRecord(
            policy, self.landscape.family, number, self.budget, self.spent, self.headroom, missed, tuple(events)
        )

    def _truth(self, recipe: Recipe) -> Array:
        if self.landscape.crashes(recipe):
            return numpy.full(len(CATEGORIES), CRASHED)
        by_prompt = numpy.repeat(self.landscape.effects(recipe), len(PROMPTS) // len(CATEGORIES))
        before = LEVEL + self._offsets
        change = self._expected(before + by_prompt) - self._expected(before)
        by_category: Array = change.reshape(len(CATEGORIES), -1).mean(axis=1)
        return by_category

    def _stand(self, kind: str, recipe: Recipe, claimed: float | None, gain: float, guard: float) -> None:
        before, after = fields(self.standing), fields(recipe)
        moved = {name: (before.get(name, 0.0), value) for name, value in after.items() if before.get(name) != value}
        moved |= {name: (value, 0.0) for name, value in before.items() if name not in after}
        level = float(self.truth(recipe).mean())
        self._events.append(Event(self.spent, kind, claimed, gain, guard, level, moved, after))
        self.standing = recipe

    def _note_improvement(self, recipe: Recipe) -> None:
        if recipe == self.standing or (self.standing, recipe) in self._compared:
            return
        self._compared.add((self.standing, recipe))
        moved = sum(knob.read(recipe) != knob.read(self.standing) for knob in self.space.knobs)
        if moved != 1:  # a probe that moves several says nothing that could be kept of one
            return
        change = self.truth(recipe) - self.truth(self.standing)
        if change.mean() >= IMPROVEMENT and change.min() >= -MARGIN:
            changes = fields(recipe).items() - fields(self.standing).items()
            self._improvements.add(frozenset(changes))

    def _disturbance(self, recipe: Recipe, seed: int, share: float) -> Array:
        """Noise [36, samples]: a part that every recipe has under this seed, and the recipe's own."""
        common = self._parts(self._generator("common", seed, share))
        own = self._parts(self._generator("own", recipe.digest, seed, share))
        correlation = self._noise.correlation
        total: Array = correlation**0.5 * common + (1 - correlation) ** 0.5 * own
        return total

    def _parts(self, generator: numpy.random.Generator) -> Array:
        run = self._noise.run * generator.standard_normal()
        category = self._noise.category_by_run * generator.standard_normal(len(CATEGORIES))
        answers = self._noise.answer * generator.standard_normal((len(PROMPTS), self.samples))
        total: Array = run + numpy.repeat(category, len(PROMPTS) // len(CATEGORIES))[:, None] + answers
        return total

    def _generator(self, *words: object) -> numpy.random.Generator:
        digest = hashlib.blake2b(repr((self._seed, *words)).encode(), digest_size=16).digest()
        return numpy.random.default_rng(int.from_bytes(digest, "little"))


def fields(recipe: Recipe) -> dict[str, Value]:
    """A recipe's parameters by name, each source's weight one of them."""
    values = {name: value for name, value in recipe if name != "mixture"}
    return values | {f"weight.{source}": weight for source, weight in recipe.mixture.items()}
