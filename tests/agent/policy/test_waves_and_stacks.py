"""The model of what each knob does, the design of waves, the choice of a stack, and the plan of a night."""

import numpy
import pytest
from knob_readings import AXES, INCUMBENT, LADDER, MARGINS, anything, readings, truth

from agent.policy.confirmation import combined_error
from agent.policy.knob_effects import Axis, Observed, Place, Places
from agent.policy.knob_model import KnobModel, Priors
from agent.policy.night_plan import ReadingNoise, plan, power
from agent.policy.stack import Stack, best_stack
from agent.policy.wave_design import Crashes, drawn_wave, spread_wave

NOISE = ReadingNoise(target=0.27, guard=0.36, target_freedom=4.0, guard_freedom=8.0)


def test_the_effect_of_each_knob_is_told_from_recipes_that_move_several() -> None:
    effects = KnobModel(AXES, readings(0.1)).effects(INCUMBENT)
    told = dict(zip(effects.moves, effects.mean[0], strict=True))
    for move in (("learning_rate", 2.0), ("learning_rate", -2.0), ("beta", -2.0), ("curriculum", "easy_first")):
        assert told[move] == pytest.approx(truth({**INCUMBENT, move[0]: move[1]}), abs=0.15), move
    chances = dict(zip(effects.moves, effects.chance, strict=True))
    assert chances["learning_rate", 2.0] > 0.99
    assert chances["learning_rate", -2.0] < 0.01
    assert max(chances["idle", place] for place in LADDER if place) < 0.5


def test_what_is_worth_moving_is_told_from_another_incumbent_too() -> None:
    model = KnobModel(AXES, readings(0.1))
    moved = model.effects({**INCUMBENT, "learning_rate": 2.0})
    back = dict(zip(moved.moves, moved.mean[0], strict=True))["learning_rate", 0.0]
    assert back == pytest.approx(-0.6, abs=0.15)


def test_the_figures_of_one_size_are_those_of_two_that_are_equal() -> None:
    one, two = (
        KnobModel(AXES, readings(0.1), Priors(effects=(0.25,) * sizes, chances=(1 / sizes,) * sizes)).effects(INCUMBENT)
        for sizes in (1, 2)
    )
    for name in ("mean", "covariance", "chance", "likely", "spread"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-6), name


def test_noise_is_told_where_it_is_and_where_it_is_not() -> None:
    quiet = KnobModel(AXES, readings(0.2, waves=6))
    assert quiet.noise == pytest.approx(0.2, rel=0.3)
    unequal = KnobModel(AXES, readings(0.1, waves=6, noisy_side=10.0))
    assert unequal.noise < 0.3
    assert unequal.noisier({**INCUMBENT, "idle": 2.0}) > 10
    assert unequal.noisier(INCUMBENT) == 1
    assert unequal.noisier({**INCUMBENT, "idle": -2.0}) < 3


def test_a_recipe_that_collapsed_says_little_of_its_other_moves() -> None:
    seen = readings(0.1)
    collapsed = Observed({**INCUMBENT, "beta": 4.0, "learning_rate": 2.0}, 0, (0.0,))
    effects = KnobModel(AXES, [*seen, collapsed]).effects(INCUMBENT)
    assert dict(zip(effects.moves, effects.mean[0], strict=True))["learning_rate", 2.0] > 0.2


def test_a_first_wave_moves_every_knob_in_most_recipes_to_near_places_on_both_sides() -> None:
    wave = spread_wave(AXES, 12, INCUMBENT, anything, numpy.random.default_rng(1))
    assert len(wave) == len({tuple(sorted(places.items())) for places in wave}) == 12
    for axis in AXES:
        moved = [places[axis.knob] for places in wave if places[axis.knob] != axis.start]
        assert len(moved) == (9 if axis.ordered else 8)  # of 12: four places, and two other names
        if axis.ordered:
            assert {-2.0, -1.0, 1.0, 2.0} == set(moved)


def test_a_first_wave_takes_a_short_ladder_to_its_end_and_seldom_moves_what_changes_the_other_knobs() -> None:
    short = Axis("learning_rate", 0.0, (-2.0, -1.0, 0.0, 1.0, 2.0))
    objective = Axis("objective", "orpo", ("orpo", "dpo"), structural=True)
    incumbent: Places = {"learning_rate": 0.0, "objective": "orpo"}
    wave = spread_wave((short, objective), 12, incumbent, anything, numpy.random.default_rng(1))
    assert {places["learning_rate"] for places in wave} >= {-2.0, -1.0, 1.0, 2.0}
    wave = spread_wave((*AXES, objective), 16, {**INCUMBENT, **incumbent}, anything, numpy.random.default_rng(1))
    assert sum(places["objective"] == "dpo" for places in wave) == 4


def test_illegal_moves_are_taken_back_until_a_recipe_is_legal() -> None:
    def legal(places: Places) -> bool:
        return places["learning_rate"] == 0 or places["beta"] == 0

    random = numpy.random.default_rng(1)
    effects = KnobModel(AXES, readings(0.3)).effects(INCUMBENT)
    for wave in (spread_wave(AXES, 12, INCUMBENT, legal, random), drawn_wave(effects, 8, INCUMBENT, legal, random, 12)):
        assert wave
        assert all(legal(places) for places in wave)


def test_later_waves_move_the_knobs_that_gain_and_differ_from_each_other() -> None:
    effects = KnobModel(AXES, readings(0.2)).effects(INCUMBENT)
    wave = drawn_wave(effects, 8, INCUMBENT, anything, numpy.random.default_rng(1), 12)
    assert len(wave) == len({tuple(sorted(places.items())) for places in wave})
    rates = [float(places["learning_rate"]) for places in wave]
    assert min(rates) >= 0
    assert 4 <= sum(rate > 0 for rate in rates) < len(rates)


def test_waves_after_many_readings_leave_fewer_moves_out() -> None:
    effects = KnobModel(AXES, readings(0.1)).effects(INCUMBENT)

    def moves(readings: int) -> int:
        waves = [
            drawn_wave(effects, 6, INCUMBENT, anything, numpy.random.default_rng(seed), readings) for seed in range(20)
        ]
        return sum(place != INCUMBENT[knob] for wave in waves for row in wave for knob, place in row.items())

    assert moves(60) > 1.1 * moves(12)


def test_a_stack_takes_of_every_knob_the_best_move_that_is_likely_to_gain() -> None:
    stack = best_stack(
        target=KnobModel(AXES, readings(0.1)),
        deviations=None,
        incumbent=INCUMBENT,
        margins={},
        cumulative={},
        usable=anything,
        chance=0.9,
    )
    assert stack is not None
    assert {knob for knob, _ in stack.members} == {"learning_rate", "beta", "curriculum"}
    assert stack.places["curriculum"] == "easy_first"
    assert stack.expected == pytest.approx(truth(stack.places), abs=0.3)
    single = best_stack(
        target=KnobModel(AXES, readings(0.1)),
        deviations=None,
        incumbent=INCUMBENT,
        margins={},
        cumulative={},
        usable=anything,
        chance=0.9,
        most=1,
    )
    assert single is not None
    assert [knob for knob, _ in single.members] == ["learning_rate"]
    assert (
        best_stack(
            target=KnobModel(AXES, readings(0.1)),
            deviations=None,
            incumbent=INCUMBENT,
            margins={},
            cumulative={},
            usable=anything,
            chance=1.1,
        )
        is None
    )


def guarded(spare: float = 0.3) -> tuple[KnobModel, KnobModel]:
    """easy_first lowers the guard by 1.2 against the target."""
    seen = readings(0.1)
    apart = [
        Observed(one.places, one.seed, (-1.2 if one.places["curriculum"] == "easy_first" else 0.0,)) for one in seen
    ]
    return KnobModel(AXES, seen), KnobModel(AXES, apart)


def test_a_move_that_lowers_a_guard_is_left_out_of_the_stack() -> None:
    target, deviations = guarded()
    stack = best_stack(
        target=target,
        deviations=deviations,
        incumbent={**INCUMBENT},
        margins=MARGINS,
        cumulative={},
        usable=anything,
        chance=0.9,
    )
    assert stack is not None
    assert "curriculum" not in dict(stack.members) or stack.guards["safety"][0] > -0.3
    eroded = best_stack(
        target=target,
        deviations=deviations,
        incumbent=INCUMBENT,
        margins=MARGINS,
        cumulative={"safety": (-2.0, 0.01)},
        usable=anything,
        chance=0.9,
    )
    assert eroded is None


def test_what_crashed_is_suspected_and_what_ran_is_not() -> None:
    crashed: Places = {**INCUMBENT, "learning_rate": 3.0, "beta": 2.0}
    unknown = Crashes(AXES, (INCUMBENT,), (crashed,))
    assert unknown.suspected({**INCUMBENT, "learning_rate": 3.0})
    assert unknown.suspected({**INCUMBENT, "beta": 4.0})
    assert not unknown.suspected({**INCUMBENT, "learning_rate": -3.0, "beta": 1.0})
    cleared = Crashes(AXES, (INCUMBENT, {**INCUMBENT, "beta": 3.0}), (crashed,))
    assert not cleared.suspected({**INCUMBENT, "beta": 4.0})
    assert cleared.suspected({**INCUMBENT, "learning_rate": 4.0})
    assert not cleared.suspected({**INCUMBENT, "learning_rate": 2.0})


def stack_of(expected: float, guard: float = 0.0, noisier: float = 1.0) -> Stack:
    moved: Place = 2.0
    return Stack(
        (("learning_rate", moved),),
        {**INCUMBENT, "learning_rate": moved},
        expected,
        0.01,
        {"safety": (expected + guard, 0.02)},
        noisier,
    )


def test_power_grows_with_the_effect_and_the_pairs_and_falls_with_noise_and_guards() -> None:
    def of(expected: float, pairs: int, guard: float = 0.0, noisier: float = 1.0) -> float:
        stack = stack_of(expected, guard, noisier)
        return power(
            expected=expected,
            variance=0.01,
            pairs=pairs,
            errors=(0.05, 0.05),
            noise=NOISE,
            noisier=noisier,
            guards=stack.guards,
            margins=MARGINS,
        )

    assert of(0.4, 4) < of(0.4, 8) < of(0.4, 16)
    assert of(0.2, 8) < of(0.4, 8) < of(0.8, 8)
    assert of(0.4, 8, noisier=16.0) < of(0.4, 8)
    assert of(0.4, 8, guard=-0.6) < of(0.4, 8)
    assert of(-0.1, 8) == of(0.4, 1) == 0


def test_an_expectation_makes_a_guards_error_smaller_and_none_leaves_it() -> None:
    assert combined_error(0.04, 0.0) == pytest.approx(0.2)
    assert combined_error(0.04, 0.01) < 0.2


@pytest.mark.parametrize("left", [12, 40])
def test_a_plan_spends_no_more_than_is_left(left: int) -> None:
    effects = KnobModel(AXES, readings(0.3, waves=1)).effects(INCUMBENT)
    found = plan(
        effects=effects,
        stack=None,
        left=left,
        wave=6,
        fewest_pairs=4,
        most_pairs=20,
        chance=0.5,
        errors=(0.03, 0.05),
        noise=NOISE,
        margins=MARGINS,
        random=numpy.random.default_rng(1),
    )
    assert found.look + 2 * found.pairs <= left


def test_a_strong_stack_is_confirmed_and_without_one_the_night_looks_on() -> None:
    def of(stack: Stack | None, waves: int) -> int:
        effects = KnobModel(AXES, readings(0.15, waves)).effects(INCUMBENT)
        random = numpy.random.default_rng(1)
        return plan(
            effects=effects,
            stack=stack,
            left=40,
            wave=6,
            fewest_pairs=4,
            most_pairs=20,
            chance=0.5,
            errors=(0.03, 0.05),
            noise=NOISE,
            margins=MARGINS,
            random=random,
        ).look

    assert of(None, 1) > 0
    known = best_stack(
        target=KnobModel(AXES, readings(0.15, 8)),
        deviations=None,
        incumbent=INCUMBENT,
        margins={},
        cumulative={},
        usable=anything,
        chance=0.5,
    )
    assert known is not None
    assert of(known, 8) <= of(None, 1)
