"""Waves and stacks play whole nights by the rules, and what they keep holds."""

import contextlib

import pytest

from bench.decisions.hard_landscapes import HARD_FAMILIES, erosion, unequal_noise, unequal_null
from bench.decisions.landscapes import FAMILIES, additive, cliffs, smooth, traps
from bench.decisions.night import Family, Night, NightOver, Noise
from bench.decisions.planted import START
from bench.decisions.waves import Waves


def play(policy: Waves, family: Family, number: int, budget: float = 48) -> Night:
    night = Night(family(number), Noise(), 4, budget, number)
    with contextlib.suppress(NightOver):
        policy.play(night)
    return night


@pytest.mark.parametrize("family", [*FAMILIES, *HARD_FAMILIES], ids=lambda family: family.__name__)
def test_every_family_is_played_within_its_probes(family: Family) -> None:
    for budget in (16, 24, 48):
        night = play(Waves(), family, 1, budget)
        assert budget / 2 <= night.spent <= budget


def test_a_night_is_played_the_same_way_twice() -> None:
    assert play(Waves(), cliffs, 3).record("waves") == play(Waves(), cliffs, 3).record("waves")


def test_small_nights_win_what_can_be_won_and_a_stack_wins_more_than_single_changes() -> None:
    def won(policy: Waves, budget: float) -> float:
        nights = [play(policy, family, number, budget) for family in (smooth, additive) for number in range(4)]
        return sum(night.record("").level / night.headroom for night in nights) / len(nights)

    assert won(Waves(), 24) > 0.2
    assert won(Waves(), 48) > 0.55
    assert won(Waves(most=1), 48) < won(Waves(), 48) - 0.15


def test_nights_without_an_effect_keep_nothing_though_their_noise_differs() -> None:
    kept = [bool(play(Waves(), unequal_null, number, 24).record("").made) for number in range(30)]
    assert sum(kept) <= 4  # 5 % are allowed; five or more of 30 come by chance once in 64 times


def test_what_breaks_a_guard_is_not_kept() -> None:
    kept = [
        event
        for family, nights in ((traps, 5), (erosion, 3))
        for number in range(nights)
        for event in play(Waves(), family, number, 60).record("").made
    ]
    assert kept
    assert not any(event.guard < -0.3 for event in kept)


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
