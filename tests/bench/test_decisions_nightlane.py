"""nightlane, and nightlane with a part taken out, play whole nights by the rules."""

import contextlib
import itertools

import numpy
import pytest
from long_cases import but_one_in

from agent.policy.knob_effects import Axis, Observed, Places
from agent.policy.search_parts import SearchParts
from agent.policy.wave_design import spread_wave
from bench.decisions.ablations import MeanModel, ablations, drawn_alone, spread_alone
from bench.decisions.hard_landscapes import HARD_FAMILIES, erosion, unequal_noise
from bench.decisions.landscapes import FAMILIES, additive, cliffs, smooth, traps
from bench.decisions.night import Family, Night, NightOver, Noise, Policy
from bench.decisions.nightlane import Nightlane
from bench.decisions.planted import START

WHOLE = Nightlane()
OUT = {policy.name: policy for policy in ablations()}
AXES = (Axis("beta", 0.0, (-1.0, 0.0, 1.0)), Axis("scheduler", "cosine", ("cosine", "linear")))
BASE: Places = {"beta": 0.0, "scheduler": "cosine"}


def play(policy: Policy, family: Family, number: int = 1, budget: float = 24, noise: Noise | None = None) -> Night:
    night = Night(family(number), noise or Noise(), 4, budget, number)
    with contextlib.suppress(NightOver):
        policy.play(night)
    return night


@pytest.mark.parametrize("family", but_one_in(4, [*FAMILIES, *HARD_FAMILIES]), ids=lambda family: family.__name__)
def test_every_family_is_played_within_its_probes(family: Family) -> None:
    assert 8 <= play(WHOLE, family).spent <= 24


@pytest.mark.parametrize("name", but_one_in(4, OUT))
def test_without_a_part_a_night_is_played_within_its_probes_and_the_same_way_twice(name: str) -> None:
    once, again = (play(OUT[name], cliffs, 3).record(name) for _ in range(2))
    assert once == again
    assert 8 <= once.spent <= 24


@pytest.mark.long
def test_with_little_noise_every_variant_wins_something() -> None:
    for policy in (WHOLE, *OUT.values()):
        night = play(policy, smooth, budget=48, noise=Noise().times(0.1))
        assert night.record("").level > 0.1 * night.headroom, policy.name


@pytest.mark.long
def test_what_breaks_a_guard_is_not_kept() -> None:
    kept = [
        event
        for family, number in itertools.product((traps, erosion), range(2))
        for event in play(WHOLE, family, number, 60).record("").made
    ]
    assert kept
    assert not any(event.guard < -0.3 for event in kept)


def test_waves_of_single_changes_move_one_knob_and_ordinary_ones_several() -> None:
    random = numpy.random.default_rng(0)

    def moved(row: object) -> int:
        return sum(row[knob] != BASE[knob] for knob in BASE)  # type: ignore[index]

    alone = spread_alone(AXES, 6, BASE, lambda places: True, random)
    assert len(alone) == 3
    assert {moved(row) for row in alone} == {1}
    assert 2 in {moved(row) for row in spread_wave(AXES, 6, BASE, lambda places: True, random)}
    effects = MeanModel(AXES, [Observed(BASE, 1, (0.0,)), Observed({**BASE, "beta": 1.0}, 1, (9.0,))]).effects(BASE)
    assert {moved(row) for row in drawn_alone(effects, 3, BASE, lambda places: True, random, 2)} == {1}


def test_without_the_model_a_change_is_worth_a_difference_of_means() -> None:
    readings = [
        Observed(BASE, 1, (1.0,)),
        Observed({**BASE, "beta": 1.0}, 2, (4.0,)),
        Observed({"beta": 1.0, "scheduler": "linear"}, 3, (6.0,)),
    ]
    effects = MeanModel(AXES, readings).effects(BASE)
    worth = dict(zip(effects.moves, effects.likely.tolist(), strict=True))
    assert worth == {("beta", -1.0): 0.0, ("beta", 1.0): 4.0, ("scheduler", "linear"): 3.5}


def test_one_plan_confirms_one_stack_at_most() -> None:
    night = play(OUT["no_replanning"], additive, budget=96, noise=Noise().times(0.1))
    assert len(night.record("").made) == 1


def test_sessions_have_every_part() -> None:
    assert WHOLE.parts(Night(smooth(0), Noise())) == SearchParts()


def test_a_noisier_recipe_is_noisier_and_the_start_is_not() -> None:
    landscape = unequal_noise(0)
    assert landscape.noise_factor(START) == 1
    factors = set()
    for knob in landscape.space.knobs:
        for value in knob.values:
            factors.add(landscape.noise_factor(knob.write(START, value)))
    assert factors == {1.0, 2.0, 5.0, 10.0}


def test_gains_of_the_erosion_family_lower_one_guard_together() -> None:
    landscape = erosion(0)
    best = landscape.effects(landscape.best)
    assert best.min() >= -0.3
    greedy = START
    for name, table in landscape.tables.items():
        value = max(table, key=lambda value: float(table[value].mean()))
        greedy = landscape.space.knob(name).write(greedy, value)
    assert landscape.effects(greedy).mean() > best.mean()
    assert landscape.effects(greedy).min() < -0.3
