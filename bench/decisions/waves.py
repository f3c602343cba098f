"""Waves and stacks as a policy: what agent/policy/knob_model.py, wave_design.py, stack.py and night_plan.py reach.

It plays the night by itself, without a ledger: sessions do not use these parts yet. The first wave is spread, with four
recipes more than there are knobs, and at most half of the night. Further waves are drawn from the model, until the plan
says that the best stack should be confirmed: on fresh seeds, look by look, under the night's error spending.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy
from scipy.special import ndtr

from agent.policy.alpha_spending import levels
from agent.policy.knob_model import Axis, KnobModel, Observed, Places, Priors
from agent.policy.night_plan import EXPECTATION_DOUBT, FIRST_LOOK, Noise, Plan, combined_error, plan, power
from agent.policy.settings import Policy
from agent.policy.stack import Stack, best_stack
from agent.policy.wave_design import Crashes, drawn_wave, spread_wave
from bench.decisions.night import CATEGORIES, Array, Night
from common.errors import IllegalRecipe
from lanes import Recipe, check_recipe
from probes.result.comparison import quantile, standard_error
from probes.result.variance_pooling import UNKNOWN, Spread

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
"""Of a category's deviation from the mean of all."""
GIVE_UP = 0.1
DOUBT = 0.5
"""Of what was expected of a stack, in the chance that its confirmation still passes."""
BIG = 60
"""A night with more probes left plans one stack in half of them."""
ERROR_ALL, ENOUGH = 0.95, 40
"""Share of the error for a confirmation after which fewer than ENOUGH probes are left."""


@dataclass(frozen=True)
class Waves:
    """``chance``, ``last_chance``: that a stack's member must have to be worth more than nothing, and the same when no
    wave can follow. ``most``: members of a stack, 0 for any number."""

    name: str = "waves"
    chance: float = 0.65
    last_chance: float = 0.55
    wave: int = 6
    fewest_pairs: int = 4
    most_pairs: int = 20
    most: int = 0
    target_freedom: float = 4.0
    guard_freedom: float = 8.0
    policy: Policy = field(default_factory=Policy)

    def play(self, night: Night) -> None:
        _Game(self, night).play()


class _Game:
    def __init__(self, rules: Waves, night: Night) -> None:
        self.rules, self.night = rules, night
        self.random = night.random(rules.name)
        self.knobs = {knob.name: knob for knob in night.space.knobs}
        moves = night.space.moves(night.start)
        self.values = {
            name: {knob.place(value): value for value in (knob.read(night.start), *moves.get(name, ()))}
            for name, knob in self.knobs.items()
        }
        self.axes = tuple(
            Axis(name, knob.place(knob.read(night.start)), tuple(self.values[name]))
            for name, knob in self.knobs.items()
        )
        self.base: Places = {axis.knob: axis.start for axis in self.axes}
        self.readings: list[tuple[Places, int, Array]] = []
        self.ran: list[Places] = []
        self.crashed: list[Places] = []
        self.error_left = rules.policy.night_error
        self.cumulative: dict[str, tuple[float, float]] = {}
        self.margins = dict.fromkeys(CATEGORIES, night.margin)
        self.waves = self.confirmations = 0

    def play(self) -> None:
        self.measure_wave(first=True)
        while self.night.left >= 2 * self.rules.fewest_pairs:
            self.learn()
            last = self.night.left - self.rules.wave < 2 * self.rules.fewest_pairs
            stack = self.stack(self.rules.last_chance if last else self.rules.chance)
            planned = self.plan(stack)
            if not last and (planned.look > 0 or stack is None or planned.pairs == 0):
                self.measure_wave()
            elif stack is None or self.error_left < 1e-4:
                return
            else:
                self.confirm(stack, planned, last)

    # looking

    def measure_wave(self, first: bool = False) -> None:
        left = int(self.night.left)
        if first:
            size = min(len(self.axes) + 4, left // 2)
            rows = [self.base, *spread_wave(self.axes, size - 1, self.base, self.usable, self.random)]
        else:
            rows = drawn_wave(self.target.effects(self.base), self.rules.wave, self.base, self.usable, self.random)
        for places in rows[: min(left, len(rows))]:
            self.measure(places, 1000 + self.waves)
        self.waves += 1
        if not rows:  # every draw is the incumbent: nothing is left to look for
            self.measure(self.base, 1000 + self.waves)

    def measure(self, places: Places, seed: int) -> Array | None:
        scores = self.night.measure(self.recipe(places), seed)
        if scores is None:
            self.crashed.append(places)
            return None
        self.ran.append(places)
        self.readings.append((places, seed, scores.mean(axis=1).reshape(len(CATEGORIES), -1).mean(axis=1)))
        return scores

    def learn(self) -> None:
        self.target = KnobModel(self.axes, [Observed(p, s, (float(own.mean()),)) for p, s, own in self.readings])
        apart = [Observed(p, s, tuple((own - own.mean()).tolist())) for p, s, own in self.readings]
        self.deviations = KnobModel(self.axes, apart, DEVIATIONS)

    def usable(self, places: Places) -> bool:
        try:
            check_recipe(self.recipe(places))
        except IllegalRecipe:
            return False
        return not Crashes(self.axes, tuple(self.ran), tuple(self.crashed)).suspected(places)

    def recipe(self, places: Places) -> Recipe:
        recipe = self.night.start
        for name, place in places.items():
            value = self.values[name][place]
            if self.knobs[name].read(recipe) != value:
                recipe = self.knobs[name].write(recipe, value)
        return recipe

    # confirming

    def stack(self, chance: float) -> Stack | None:
        return best_stack(
            self.target,
            self.deviations,
            self.base,
            self.margins,
            self.cumulative,
            self.usable,
            chance,
            self.worth,
            self.rules.most,
        )

    def worth(self, stack: Stack) -> float:
        """What a confirmation of this stack with half of the probes that are left can be expected to gain; a little
        even where it has no chance, so that stacks without one are ranked, too."""
        pairs = min(self.rules.most_pairs, max(self.rules.fewest_pairs, int(self.night.left) // 4))
        errors = self.error, self.rules.policy.guard_error
        guards = {
            name: (min(mean, mean + self.cumulative.get(name, (0.0, 0.0))[0]), variance)
            for name, (mean, variance) in stack.guards.items()
        }
        passes = power(stack.expected, stack.variance, pairs, errors, self.noise, stack.noisier, guards, self.margins)
        return stack.expected * (passes + 0.01)

    @property
    def noise(self) -> Noise:
        return Noise(self.target.noise, self.deviations.noise, self.rules.target_freedom, self.rules.guard_freedom)

    @property
    def error(self) -> float:
        share = self.rules.policy.spend if self.night.left >= ENOUGH else ERROR_ALL
        return self.error_left * share

    def plan(self, stack: Stack | None) -> Plan:
        left = int(self.night.left)
        return plan(
            self.target.effects(self.base),
            stack,
            left if left <= BIG else max(BIG, left // 2),
            self.rules.wave,
            self.rules.fewest_pairs,
            self.rules.most_pairs,
            self.rules.chance,
            (self.error, self.rules.policy.guard_error),
            self.noise,
            self.margins,
            self.random,
        )

    def confirm(self, stack: Stack, planned: Plan, last: bool) -> None:
        rules, left = self.rules, int(self.night.left)
        pairs = planned.pairs
        if last or left - 2 * pairs < 2 * rules.fewest_pairs + rules.wave:
            pairs = min(rules.most_pairs, left // 2)
        error = self.error
        self.error_left -= error
        noise = Spread((1 + stack.noisier) * self.target.noise**2, rules.target_freedom)
        apart = Spread(noise.variance + (1 + stack.noisier) * self.deviations.noise**2, rules.guard_freedom)
        own, theirs = levels(round(error, 12), pairs, FIRST_LOOK), levels(rules.policy.guard_error, pairs, FIRST_LOOK)
        rows: list[Array] = []
        for number in range(pairs):
            seed = 10**6 + 1000 * self.confirmations + number
            measured = self.measure(stack.places, seed)
            if measured is None:
                break
            baseline = self.measure(self.base, seed)
            if baseline is None:
                break
            rows.append(measured.mean(axis=1) - baseline.mean(axis=1))
            if len(rows) < FIRST_LOOK:
                continue
            table, look = numpy.array(rows), number + 1 - FIRST_LOOK
            deviation, freedom = largest_error(table, noise)
            gain = float(table.mean())
            guards = self.guards(table, apart)
            improved = gain - quantile(own[look], freedom) * deviation > 0
            if improved and self.guards_hold(stack, guards, theirs[look]):
                self.night.keep(self.recipe(stack.places), gain)
                self.base, self.error_left = stack.places, rules.policy.later_error
                for name, (change, variance, _) in guards.items():
                    before, more = self.cumulative.get(name, (0.0, 0.0))
                    self.cumulative[name] = (before + change, more + variance)
                break
            if number >= FIRST_LOOK and self.hopeless(table, stack, pairs, own[-1]):
                break
        self.confirmations += 1

    def guards(self, table: Array, known: Spread) -> dict[str, tuple[float, float, float]]:
        """Per guard: its change in these pairs, the variance of that, and degrees of freedom."""
        found = {}
        for name, part in zip(CATEGORIES, numpy.split(table, len(CATEGORIES), axis=1), strict=True):
            error, freedom = largest_error(part, known)
            found[name] = (float(part.mean()), error**2, freedom)
        return found

    def guards_hold(self, stack: Stack, guards: Mapping[str, tuple[float, float, float]], level: float) -> bool:
        """Whether every guard's lower bound, and that of its sum over all KEEPs, is above its margin: by these pairs
        and by what the waves let expect of the stack, unless the two disagree."""
        for name, (change, variance, freedom) in guards.items():
            error = math.sqrt(variance)
            expected, spread = stack.guards[name]
            joint = combined_error(variance, spread)
            if joint < error and abs(change - expected) < 2 * math.sqrt(variance + EXPECTATION_DOUBT**2 * spread):
                share = joint**2 / variance
                change, error = share * change + (1 - share) * expected, joint
            before, more = self.cumulative.get(name, (0.0, 0.0))
            sure = quantile(level, freedom)
            summed = before + change - sure * math.hypot(error, math.sqrt(more))
            if min(change - sure * error, summed) <= -self.margins[name]:
                return False
        return True

    def hopeless(self, table: Array, stack: Stack, pairs: int, level: float) -> bool:
        """Whether the chance that the last look passes is small, at the mean of what is seen and what was expected."""
        seen, left = len(table), pairs - len(table)
        if not left:
            return False
        deviation, gain = float(table.mean(axis=1).std(ddof=1)), float(table.mean())
        needed = quantile(level, pairs - 1) * deviation / math.sqrt(pairs)
        coming = DOUBT * (gain + stack.expected)
        spread = 1.2 * deviation * math.sqrt(left) / pairs + 1e-9
        return float(ndtr(((gain * seen + coming * left) / pairs - needed) / spread)) < GIVE_UP


def largest_error(table: Array, known: Spread) -> tuple[float, float]:
    """The standard error of these pairs, at least their own: shrunk towards what is known where they are quieter."""
    own, _ = standard_error(table, UNKNOWN)
    moderated, freedom = standard_error(table, known)
    return max(own, moderated), freedom
