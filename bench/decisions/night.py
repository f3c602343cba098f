"""A planted night: a search with known true effects, which any decision procedure can play. This file is the protocol.

A *landscape* is the truth of one night: its knobs, and the true effect of every recipe. A *policy* plays a `Night`: it
spends probes to measure recipes, and makes KEEPs. It sees scores, never the truth. You can add your own:

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

from bench.decisions.record import DecisionEvent, NightRecord, stands
from bench.decisions.truth import MARGIN, ExpectedScore, climb
from common.errors import IllegalRecipe
from lanes import LaneSettings, Recipe, SearchSpace, Value, build_lanes, check_recipe

Array = NDArray[numpy.float64]
Lanes = Mapping[str, LaneSettings]
CATEGORIES = ("arithmetic", "strings", "lists", "conditions", "edge_cases", "imports")
PROMPTS = tuple((f"{category}-{number}", category) for category in CATEGORIES for number in range(6))
LEVEL = 6.0
"""The mean score of the start, on a scale of 0 to 10."""
CRASHED = -LEVEL
"""The effect of a recipe that crashes: its score is 0, because it answers nothing."""
IMPROVEMENT = 0.2
"""A true gain of at least this many points counts as missed if it was measured and never kept."""


class NightOver(Exception):
    """The remaining budget is too small for this probe."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: between training runs, between categories of a run, between answers.

    ``correlation``: the correlation of all three between two recipes with the same seed.
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
        """The standard deviation of a single answer."""
        return float(numpy.hypot(numpy.hypot(self.run, self.category_by_run), self.answer))


@dataclass(frozen=True, kw_only=True)
class Landscape(ABC):
    """The truth of one night. Only ``family``, ``lanes`` and ``effect`` are required.

    ``lanes``: [lanes] of a study, with real knobs. ``manifests``: [data.manifests], by name.
    """

    family: str
    lanes: Lanes
    start: Recipe = field(default_factory=lambda: Recipe(mixture={"clean": 1.0}))
    manifests: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @abstractmethod
    def effect(self, recipe: Recipe, category: str) -> float:
        """The true effect of a recipe in a category, compared with the start, after all steps and before `shape`."""

    def crashes(self, recipe: Recipe) -> bool:
        return False

    def shift(self, spent: float) -> float:
        """The drift of all scores when the share ``spent`` of the night's probes is used."""
        return 0.0

    def fidelity(self, share: float) -> float:
        """The share of an effect that is visible after ``share`` of the probe's steps; 1.0 at 1.0.

        The square root makes a short probe as informative for its steps as a long one.
        """
        return float(share**0.5)

    def noise_factor(self, recipe: Recipe) -> float:
        """The recipe's noise as a multiple of the start's."""
        return 1.0

    def shape(self, scores: Array) -> Array:
        """The scorer's transformation of single scores (rounding, clipping); it must never decrease."""
        return scores

    def offsets(self) -> Array:
        """The offset of each of the 36 prompts from the mean difficulty, in points."""
        return numpy.zeros(len(PROMPTS))

    @cached_property
    def space(self) -> SearchSpace:
        sources = {name for weights in self.manifests.values() for name in weights} | set(self.start.mixture)
        return build_lanes(self.lanes, self.start, self.manifests, tuple(sorted(sources)))

    @cached_property
    def best(self) -> Recipe:
        """The recipe with the largest true gain that breaks no guard; by default it is found one knob at a time."""
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
    """A decision procedure. One object plays many nights, so keep the state of a night in local variables of `play`."""

    @property
    def name(self) -> str:
        """The policy's name in the tables."""
        ...

    def play(self, night: "Night") -> None:
        """Play the night. It may return, or end with the NightOver that `measure` raises."""


class Night:
    """One night for a policy, which sees ``start``, ``space`` and what `measure` returns."""

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
        self._events: list[DecisionEvent] = []
        self._improvements: set[frozenset[tuple[str, Value]]] = set()
        self._compared: set[tuple[Recipe, Recipe]] = set()

    @property
    def spent(self) -> float:
        return self.budget - self.left

    def random(self, *words: object) -> numpy.random.Generator:
        """A random generator for the policy's choices, seeded by the night and these words."""
        return self._generator("policy", *words)

    def measure(self, recipe: Recipe, seed: int, share: float = 1.0) -> Array | None:
        """The scores [36 prompts, samples] of a run with this seed and ``share`` of the steps; None if it crashes.

        Measuring the same recipe, seed and share again draws the same noise, and costs again. Raises NightOver.
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
        """Make the recipe the incumbent. ``claimed``: its gain in the target, as the policy estimates it."""
        self._stand("keep", recipe, claimed)

    def retract(self, recipe: Recipe) -> None:
        """Retract KEEPs: ``recipe`` is the incumbent after the retraction."""
        self._stand("retract", recipe, None)

    def truth(self, recipe: Recipe) -> Array:
        """The true change of the expected score in each category, compared with the start; for figures only."""
        if recipe not in self._truths:
            self._truths[recipe] = self._truth(recipe)
        return self._truths[recipe]

    @property
    def headroom(self) -> float:
        """The true gain of the landscape's best recipe in the target."""
        return float(self.truth(self.landscape.best).mean())

    def record(self, policy: str, number: int = 0) -> NightRecord:
        """The record of the night for the figures."""
        kept = [dict(event.values) for event in self._events if event.kind == "keep"]
        missed = sum(not any(wanted <= values.items() for values in kept) for wanted in self._improvements)
        events = stands(self._events, fields(self.standing))
        return NightRecord(
            policy=policy,
            family=self.landscape.family,
            number=number,
            budget=self.budget,
            spent=self.spent,
            headroom=self.headroom,
            missed=missed,
            events=tuple(events),
        )

    def _truth(self, recipe: Recipe) -> Array:
        if self.landscape.crashes(recipe):
            return numpy.full(len(CATEGORIES), CRASHED)
        by_prompt = numpy.repeat(self.landscape.effects(recipe), len(PROMPTS) // len(CATEGORIES))
        before = LEVEL + self._offsets
        change = self._expected(before + by_prompt) - self._expected(before)
        by_category: Array = change.reshape(len(CATEGORIES), -1).mean(axis=1)
        return by_category

    def _stand(self, kind: str, recipe: Recipe, claimed: float | None) -> None:
        whole = self.truth(recipe)
        change = whole - self.truth(self.standing)
        before, after = fields(self.standing), fields(recipe)
        moved = {name: (before.get(name, 0.0), value) for name, value in after.items() if before.get(name) != value}
        moved |= {name: (value, 0.0) for name, value in before.items() if name not in after}
        members = self._members(recipe)
        self._events.append(
            DecisionEvent(
                spent=self.spent,
                kind=kind,
                claimed=claimed,
                gain=float(change.mean()),
                guard=float(min(change.min(), whole.min())),
                level=float(whole.mean()),
                moved=moved,
                values=after,
                members=members,
            )
        )
        self.standing = recipe

    def _members(self, recipe: Recipe) -> tuple[float, ...]:
        """For each knob that this recipe moves from the incumbent, the true loss if that knob alone were moved back.
        Knobs that cannot be moved back alone are left out."""
        whole, found = self.truth(recipe).mean(), []
        for knob in self.space.knobs:
            if knob.read(recipe) != knob.read(self.standing):
                try:
                    without = knob.write(recipe, knob.read(self.standing))
                    check_recipe(without)
                except IllegalRecipe:
                    continue
                found.append(float(whole - self.truth(without).mean()))
        return tuple(found)

    def _note_improvement(self, recipe: Recipe) -> None:
        if recipe == self.standing or (self.standing, recipe) in self._compared:
            return
        self._compared.add((self.standing, recipe))
        moved = sum(knob.read(recipe) != knob.read(self.standing) for knob in self.space.knobs)
        if moved != 1:  # a probe of several moves is no evidence for one of them
            return
        change = self.truth(recipe) - self.truth(self.standing)
        if change.mean() >= IMPROVEMENT and change.min() >= -MARGIN:
            changes = fields(recipe).items() - fields(self.standing).items()
            self._improvements.add(frozenset(changes))

    def _disturbance(self, recipe: Recipe, seed: int, share: float) -> Array:
        """Noise [36, samples]: a part that all recipes share under this seed, and a part of this recipe alone."""
        common = self._parts(self._generator("common", seed, share))
        own = self._parts(self._generator("own", recipe.digest, seed, share))
        correlation = self._noise.correlation
        total: Array = correlation**0.5 * common + (1 - correlation) ** 0.5 * own
        return self.landscape.noise_factor(recipe) * total

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
    """A recipe's parameters by name, including the weight and the filters of each source."""
    values = {name: value for name, value in recipe if name not in ("mixture", "filters")}
    weights = {f"weight.{source}": weight for source, weight in recipe.mixture.items()}
    filters = {f"{name}.{source}": value for source, own in recipe.filters.items() for name, value in own}
    return values | weights | filters
