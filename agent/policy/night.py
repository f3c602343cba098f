"""What a night does next: another wave, the confirmation of a stack, or nothing. A pure function of what is known.

The first wave is spread: every knob is moved in many of its recipes. Later waves are drawn from the model of the knobs,
until the plan says that the best stack should be confirmed. ``next_step`` is called again after every wave and every
confirmation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy

from agent.policy.confirmation import ConfirmationInputs, ErrorBudget, Estimate, tightest_guard
from agent.policy.knob_effects import Axis, Effects, Observed, Places
from agent.policy.knob_model import KnobModel, Models, Priors
from agent.policy.night_plan import NightPlan, ReadingNoise, first_look, plan, power
from agent.policy.settings import PolicySettings
from agent.policy.stack import Stack, best_stack
from agent.policy.wave_design import Crashes, Usable
from probes.result.comparison import OVERALL
from probes.result.variance_pooling import Spread

DEVIATIONS = Priors(
    effects=(0.25,),
    chances=(1.0,),
    fall=(0.0, 0.05),
    names_fall=(0.0, 0.05),
    noise=0.25,
    seed=0.1,
    noisier=(1.0,),
    noisier_chances=(1.0,),
)
"""Priors for the deviations of the guards' categories from the target."""
FEWEST_PAIRS = 3
"""The limit of pairs that a confirmation is given is at least this."""
KEPT_PAIRS, PROBES_PER_PAIR = 8, 8
"""A search reserves one pair for its confirmation per PROBES_PER_PAIR probes, at most KEPT_PAIRS."""
FEWEST_RECIPES = 2
"""A first wave has at least so many recipes."""
FEWEST_REPEATS = 2
"""The starting recipe has at least so many probes."""
FEWEST_PROBES = FEWEST_REPEATS + FEWEST_RECIPES + 2 * FEWEST_PAIRS
"""Probes of the smallest night that can keep anything."""
EXTRA = 3
"""A first wave has a recipe per knob, and so many more."""
EASED = 0.06
"""``member_chance`` is lowered by this for the last stack: what is not confirmed in it never will be."""
LONG, DUE = 100, 0.3
"""A search with more than LONG probes confirms when the share DUE of them is left, so that another stack can follow."""
HORIZON = 60
"""A night with more probes left plans a stack within half of them."""
ALL_ERROR, ENOUGH = 0.95, 40
"""Share of the error for a confirmation that begins with fewer than ENOUGH probes left."""
LEAST_ERROR = 1e-4
"""A night with less error left confirms nothing more."""
TARGET_FREEDOM, GUARD_FREEDOM = 4.0, 8.0
"""Degrees of freedom of the model's noise estimate, where a confirmation pools it with the spread of its own pairs."""


@dataclass(frozen=True)
class NightState:
    """What a night has measured and may still spend.

    ``incumbent``: the places of its recipe. ``target``: readings of the target; ``deviations``: each guard's score
    minus the target's, a column per guard in the order of ``margins``. ``ran``, ``crashed``: recipes that gave a
    reading, and recipes that failed for good. ``left``: probes that the search and confirmation of the next stack may
    use; ``budget``: probes that the session has left; ``searched``: probes of waves since the last stack. ``width``:
    probes that run at once. ``legal``: whether a probe may run a recipe; ``affordable``: whether the budget of
    decisions has room for the proposals that a stack with this recipe still needs. ``scale``: points of these readings
    per point of a score; ``beside``: probes of the incumbent that each wave needs.
    """

    policy: PolicySettings
    axes: tuple[Axis, ...]
    incumbent: Places
    target: Sequence[Observed]
    deviations: Sequence[Observed]
    ran: tuple[Places, ...]
    crashed: tuple[Places, ...]
    margins: Mapping[str, float]
    error_budget: ErrorBudget
    left: int
    width: int
    legal: Usable
    affordable: Usable = lambda places: True
    scale: float = 1.0
    beside: int = 0
    budget: float = math.inf
    searched: int = 0
    models: Models = field(default_factory=Models)

    # models

    @cached_property
    def model(self) -> KnobModel:
        return self.models.of(self.axes, self.target, Priors().times(self.scale))

    @cached_property
    def guards(self) -> KnobModel | None:
        return self.models.of(self.axes, self.deviations, DEVIATIONS.times(self.scale)) if self.margins else None

    @cached_property
    def effects(self) -> Effects:
        """The effects of moving one knob of the incumbent, on the target."""
        return self.model.effects(self.incumbent)

    @cached_property
    def deviation_effects(self) -> Effects | None:
        """The effects of the same moves on each guard's deviation from the target."""
        return self.guards.effects(self.incumbent) if self.guards else None

    @property
    def explored(self) -> bool:
        """Whether a recipe that moves something was measured."""
        return any(one.places != self.incumbent for one in self.target)

    @property
    def noise(self) -> ReadingNoise:
        of_deviation = self.guards.noise if self.guards else 0.0
        return ReadingNoise(self.model.noise, of_deviation, TARGET_FREEDOM, GUARD_FREEDOM)

    @property
    def wave(self) -> int:
        """The number of recipes of a wave after the first."""
        return self.filling(self.policy.wave)

    @property
    def affords_wave(self) -> bool:
        """Whether the probes and the error left suffice for a wave and a confirmation after it."""
        recipes = self.wave if self.explored else FEWEST_RECIPES
        room = self.left - recipes - self.beside >= 2 * FEWEST_PAIRS
        return room and self.error_budget.error_left >= LEAST_ERROR

    def filling(self, recipes: int) -> int:
        """The number of recipes of a wave, rounded up so that every worker is busy."""
        return math.ceil((recipes + self.beside) / self.width) * self.width - self.beside

    def usable(self, places: Places) -> bool:
        return self.legal(places) and not Crashes(self.axes, self.ran, self.crashed).suspected(places)

    def single(self, move: int) -> dict[str, Estimate]:
        """The effect of one move (an index of ``effects.moves``) on each guard."""
        deviation = self.deviation_effects
        if deviation is None:
            return {}
        mean, variance = float(self.effects.likely[move]), float(self.effects.spread[move])
        own = float(deviation.covariance[move, move])
        return {
            name: (mean + float(deviation.mean[column, move]), math.sqrt(max(variance + own, 0.0)))
            for column, name in enumerate(self.margins)
        }

    # what a confirmation is given

    @property
    def error(self) -> float:
        """The part of the night's error that the next confirmation may spend."""
        return self.error_budget.error_left * (self.policy.spend if self.budget >= ENOUGH else ALL_ERROR)

    def given(self, stack: Stack, pairs: int, target: str) -> ConfirmationInputs:
        """The inputs of the rule for a confirmation of this stack with at most so many pairs."""
        each = 1 + stack.noisier
        spread = Spread(each * self.noise.target**2, TARGET_FREEDOM)
        spreads = dict.fromkeys((target, OVERALL), spread)
        spreads |= dict.fromkeys(
            (name for name in self.margins if name != target),
            Spread(spread.variance + each * self.noise.guard**2, GUARD_FREEDOM),
        )
        return ConfirmationInputs(
            pairs=pairs,
            error=self.error,
            error_left=self.error_budget.error_left,
            expected=(stack.expected, math.sqrt(stack.variance)),
            guards={name: (mean, math.sqrt(variance)) for name, (mean, variance) in stack.guards.items()},
            cumulative={
                name: self.error_budget.cumulative[name]
                for name in self.margins
                if name in self.error_budget.cumulative
            },
            spreads=spreads,
            first=first_look(pairs, self.left),
        )

    # stacks and plans

    def stack(self, chance: float) -> Stack | None:
        """The stack with the largest ``_worth``, of changes with at least this chance to be an improvement."""
        cumulative = {name: (change, error**2) for name, (change, error) in self.error_budget.cumulative.items()}
        most = 1 if self.policy.confirm == "single" else 0
        return best_stack(
            target=self.model,
            deviations=self.guards,
            incumbent=self.incumbent,
            margins=self.margins,
            cumulative=cumulative,
            usable=lambda places: self.affordable(places) and self.usable(places),
            chance=chance,
            worth=self._worth,
            most=most,
        )

    def _worth(self, stack: Stack) -> float:
        """The expected gain of confirming this stack with half of the probes that are left. A small constant is added
        to the power, so that stacks without a chance to pass are ranked, too."""
        pairs = min(self.policy.confirming_seeds, max(FEWEST_PAIRS, self.left // 4))
        before = self.error_budget.cumulative
        guards = {
            name: (min(mean, mean + before.get(name, (0.0, 0.0))[0]), variance)
            for name, (mean, variance) in stack.guards.items()
        }
        errors = self.error, self.policy.guard_error
        passes = power(
            expected=stack.expected - self.policy.smallest_effect,
            variance=stack.variance,
            pairs=pairs,
            errors=errors,
            noise=self.noise,
            noisier=stack.noisier,
            guards=guards,
            margins=self.margins,
        )
        return stack.expected * (passes + 0.01)

    @property
    def confirmation_reserve(self) -> int:
        """Probes that this search leaves for its confirmation."""
        return 2 * kept_pairs(self.left + self.searched)

    @property
    def is_due(self) -> bool:
        """Whether a long search has spent its share for one stack (``LONG``, ``DUE``)."""
        total = self.left + self.searched
        return total > LONG and self.left - self.wave < DUE * total

    def plan(self, stack: Stack | None, random: numpy.random.Generator) -> NightPlan:
        return plan(
            effects=self.effects,
            stack=stack,
            left=self.left if self.left <= HORIZON else max(HORIZON, self.left // 2),
            wave=self.left if self.is_due else self.wave,  # so large that no further wave fits
            fewest_pairs=min(FEWEST_PAIRS, self.policy.confirming_seeds),
            most_pairs=self.policy.confirming_seeds,
            chance=self.policy.member_chance,
            errors=(self.error, self.policy.guard_error),
            noise=self.noise,
            margins=self.margins,
            random=random,
            least=self.policy.smallest_effect,
        )


@dataclass(frozen=True)
class MeasureWave:
    """Measure a wave of at most ``size`` recipes; the ``first`` is spread, later ones are drawn."""

    size: int
    first: bool
    plan: NightPlan


@dataclass(frozen=True)
class ConfirmStack:
    """Confirm a stack with at most so many ``pairs``."""

    stack: Stack
    pairs: int
    plan: NightPlan


@dataclass(frozen=True)
class Stop:
    """Nothing more can be confirmed; ``reason`` is a sentence for people."""

    reason: str


def next_step(known: NightState, random: numpy.random.Generator) -> MeasureWave | ConfirmStack | Stop:
    """What to do next with the probes that are left. ``random`` draws the possible effects for the plan."""
    left, policy = known.left, known.policy
    least = 2 * FEWEST_PAIRS + (0 if known.explored else FEWEST_RECIPES)
    if left < least:
        what = "a confirmation" if known.explored else "a wave and a confirmation"
        return Stop(f"{left} probe{'s are' if left != 1 else ' is'} left, too few for {what}")
    if not known.explored:
        size = first_size(len(known.axes), left, known.wave, known.filling)
        return MeasureWave(size, True, NightPlan(0, 0, 0.0, 0.0))
    if known.error_budget.error_left < LEAST_ERROR:
        return Stop("the error that the night may spend is used up")
    if left - known.wave - known.beside < known.confirmation_reserve:
        return last_step(known, random)
    stack = known.stack(policy.member_chance)
    planned = known.plan(stack, random)
    if planned.look > 0 or stack is None or planned.pairs == 0:
        return MeasureWave(known.wave, False, planned)
    pairs = planned.pairs
    if left - 2 * pairs < 2 * FEWEST_PAIRS + known.wave:
        pairs = min(policy.confirming_seeds, left // 2)
    return ConfirmStack(stack, pairs, planned)


def kept_pairs(search: int) -> int:
    """Pairs that a search of so many probes leaves for its confirmation."""
    return max(FEWEST_PAIRS, min(KEPT_PAIRS, search // PROBES_PER_PAIR))


def first_size(knobs: int, left: int, wave: int, filling: Callable[[int], int] = lambda recipes: recipes) -> int:
    """Recipes of the first wave: one per knob and EXTRA, at most half of the probes left. If no second ``wave`` could
    follow, it takes all probes but those of the shortest confirmation. ``filling``: rounds up to fill the workers."""
    confirming = 2 * FEWEST_PAIRS
    size = min(filling(knobs + EXTRA), left // 2)
    return left - confirming if left - size < confirming + wave else size


def last_step(known: NightState, random: numpy.random.Generator) -> ConfirmStack | Stop:
    """What to do if no wave can follow, because too few probes or no untried recipes are left."""
    stack = known.stack(max(0.5, known.policy.member_chance - EASED))
    if stack is None:
        return Stop("no change is likely enough to be an improvement")
    return ConfirmStack(stack, min(known.policy.confirming_seeds, known.left // 2), known.plan(stack, random))


def likely_breaks(guards: Mapping[str, Estimate], margins: Mapping[str, float]) -> str | None:
    """The guard that a change is expected to break by most; None if all are expected to hold."""
    worst = tightest_guard({name: mean for name, (mean, _) in guards.items()}, margins)
    return worst if worst is not None and guards[worst][0] < -margins[worst] else None
