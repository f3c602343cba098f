"""What a night does next, what it is given to confirm, what each change is worth, and what a night can show."""

from dataclasses import replace

import numpy
import pytest
from knob_readings import AXES, INCUMBENT, MARGINS, anything, readings

from agent.loop.search.proposals import expected_of
from agent.policy.confirmation import ErrorBudget, Verdict
from agent.policy.knob_effects import Observed, Places
from agent.policy.night import (
    FEWEST_PAIRS,
    KEPT_PAIRS,
    ConfirmStack,
    MeasureWave,
    NightState,
    Stop,
    likely_breaks,
    next_step,
)
from agent.policy.night_plan import ReadingNoise
from agent.policy.night_power import night_power
from agent.policy.own_effects import own_effect, unconfirmed_verdict
from agent.policy.settings import PolicySettings

POLICY = PolicySettings()


def known(
    left: int = 40,
    seen: list[Observed] | None = None,
    policy: PolicySettings = POLICY,
    width: int = 1,
    error: float = 0.05,
) -> NightState:
    target = readings(0.1) if seen is None else seen
    return NightState(
        policy=policy,
        axes=AXES,
        incumbent=INCUMBENT,
        target=target,
        deviations=[Observed(one.places, one.seed, (0.0,)) for one in target],
        ran=tuple(one.places for one in target),
        crashed=(),
        margins=MARGINS,
        error_budget=ErrorBudget(error, {}),
        left=left,
        budget=left,
        width=width,
        legal=anything,
    )


def step(night: NightState) -> MeasureWave | ConfirmStack | Stop:
    return next_step(night, numpy.random.default_rng(1))


def test_a_night_begins_with_a_spread_wave_of_at_most_half_of_it() -> None:
    start = [Observed(INCUMBENT, seed, (6.0,)) for seed in (1, 2)]
    first = step(known(40, start))
    assert isinstance(first, MeasureWave)
    assert (first.size, first.first) == (len(AXES) + 3, True)
    short = step(known(10, start))
    assert isinstance(short, MeasureWave)
    assert short.size == 4, "six probes are left for the shortest confirmation"
    wide = step(known(40, start, width=4))
    assert isinstance(wide, MeasureWave)
    assert wide.size == 8


def test_what_is_clear_is_confirmed_with_what_is_left() -> None:
    found = step(known(2 * FEWEST_PAIRS))
    assert isinstance(found, ConfirmStack)
    assert {knob for knob, _ in found.stack.members} == {"learning_rate", "beta", "curriculum"}
    assert found.pairs == FEWEST_PAIRS


def test_a_study_of_short_confirmations_plans_them() -> None:
    found = step(known(60, policy=PolicySettings(confirming_seeds=3)))
    assert not isinstance(found, Stop)
    assert found.plan.pairs == 3


def test_one_change_at_a_time_is_confirmed_by_the_same_rule() -> None:
    found = step(known(2 * FEWEST_PAIRS, policy=PolicySettings(confirm="single")))
    assert isinstance(found, ConfirmStack)
    assert [knob for knob, _ in found.stack.members] == ["learning_rate"]


def test_a_night_ends_when_nothing_more_can_be_confirmed() -> None:
    assert isinstance(step(known(2 * FEWEST_PAIRS - 1)), Stop)
    assert isinstance(step(known(40, error=0.0)), Stop)
    nothing = [Observed(one.places, one.seed, (6.0 - (one.places != INCUMBENT),)) for one in readings(0.1)]
    ended = step(known(2 * FEWEST_PAIRS, nothing))
    assert ended == Stop("no change is likely enough to be an improvement")


def test_waves_are_rounded_up_to_fill_the_workers() -> None:
    assert known().wave == POLICY.wave
    assert known(width=4).wave == 8
    assert known(width=8).wave == 8


def test_the_last_confirmation_may_spend_nearly_all_of_the_error() -> None:
    assert known(200).error == pytest.approx(0.025)
    assert known(20).error == pytest.approx(0.0475)


def test_what_the_rule_is_given_knows_the_noise_of_every_category() -> None:
    night = known()
    stack = night.stack(0.65)
    assert stack is not None
    given = night.given(replace(stack, noisier=4.0), 6, "imports")
    assert given.spreads["imports"].variance == pytest.approx(5 * night.noise.target**2)
    assert given.spreads["safety"].variance > given.spreads["imports"].variance
    assert given.expected == (stack.expected, pytest.approx(stack.variance**0.5))


def test_a_changes_own_effect_and_the_verdict_without_a_confirmation() -> None:
    night = known()
    good, bad = own_effect(night, "learning_rate", 2.0), own_effect(night, "learning_rate", -2.0)
    assert good is not None
    assert good.low < 0.6 < good.high
    assert good.recipes > 0
    assert unconfirmed_verdict(good, night, at_end=True) == Verdict("DISCARD", "budget")
    assert unconfirmed_verdict(good, night, at_end=False) == Verdict("DISCARD", "overtaken")
    assert bad is not None
    assert unconfirmed_verdict(bad, night, at_end=True) == Verdict("DISCARD", "worse")
    idle = own_effect(night, "idle", 1.0)
    assert idle is not None
    assert unconfirmed_verdict(idle, night, at_end=True) == Verdict("DISCARD", "unpromising")
    breaks = replace(good, guards={"safety": (-1.0, 0.1)})
    assert unconfirmed_verdict(breaks, night, at_end=True) == Verdict("DISCARD", "guard:safety")
    assert own_effect(night, "learning_rate", 99.0) is None


def test_the_guard_that_is_expected_to_break_is_named_beside_an_uncertain_one() -> None:
    guards = {"uncertain": (-0.2, 2.0), "breaks": (-0.5, 0.05), "fine": (0.1, 0.1)}
    margins = dict.fromkeys(guards, 0.3)
    assert likely_breaks(guards, margins) == "breaks"
    assert likely_breaks({"uncertain": guards["uncertain"]}, margins) is None


def test_nothing_is_expected_before_a_wave() -> None:
    def value(knob: str, place: float | str) -> float | str:
        return place

    assert expected_of(known(seen=[Observed(INCUMBENT, 1, (6.0,))]), value) == {}
    found = expected_of(known(), value)
    assert found["learning_rate", 2.0].delta == pytest.approx(0.6, abs=0.2)
    assert found["learning_rate", 2.0].chance > 0.9
    assert set(found) == set(known().effects.moves)


def test_a_recipe_that_crashed_is_not_confirmed() -> None:
    crashed: Places = {**INCUMBENT, "learning_rate": 2.0}
    seen = [one for one in readings(0.1) if float(one.places["learning_rate"]) <= 1]
    night = replace(known(seen=seen), crashed=(crashed,))
    assert not night.usable({**INCUMBENT, "learning_rate": 3.0})
    assert night.usable({**INCUMBENT, "beta": 1.0})


def test_a_longer_night_shows_more_and_noise_shows_less() -> None:
    noise = ReadingNoise(target=0.3, guard=0.3, target_freedom=4.0, guard_freedom=8.0)
    short, long = night_power(noise, 24, POLICY), night_power(noise, 96, POLICY)
    assert short.pairs == FEWEST_PAIRS
    assert long.pairs == KEPT_PAIRS
    for worth in (0.2, 0.4, 0.8):
        assert 0 <= short.chances[worth] <= long.chances[worth] <= 1
    assert long.visible < short.visible
    assert night_power(replace(noise, target=0.6), 24, POLICY).visible > short.visible
