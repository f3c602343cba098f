"""Every rival plays whole nights by the rules."""

import contextlib
from functools import cache

import pytest
from long_cases import all_but

from bench.decisions.hard_landscapes import HARD_FAMILIES
from bench.decisions.landscapes import FAMILIES, additive, cliffs, smooth
from bench.decisions.night import Family, Night, NightOver, Noise, Policy
from bench.decisions.rivals import RIVALS

BY_NAME = {rival.name: rival for rival in RIVALS}
QUICK = [name for name in BY_NAME if not name.startswith(("gp", "tpe", "oracle"))]
"""Rivals without a model of the scores."""
NOISELESS = Noise().times(1e-6)


def play(policy: Policy, family: Family, noise: Noise = NOISELESS, budget: float = 60, number: int = 1) -> Night:
    night = Night(family(number), noise, 2, budget, number)
    with contextlib.suppress(NightOver):
        policy.play(night)
    return night


def budget_of(name: str) -> float:
    return 20 if name == "gp_sampler" else 40  # fits of a Gaussian process take longer with every point


@cache
def noisy(name: str, family: Family) -> Night:
    return play(BY_NAME[name], family, Noise(), budget_of(name))


@pytest.mark.parametrize("family", all_but([additive], [smooth, additive, cliffs]), ids=lambda family: family.__name__)
@pytest.mark.parametrize("name", BY_NAME)
def test_a_rival_spends_its_budget_and_no_more(name: str, family: Family) -> None:
    night, budget = noisy(name, family), budget_of(name)
    if name == "oracle":
        assert night.spent == 0
    else:
        assert budget - 12 < night.spent <= budget


@pytest.mark.parametrize("name", BY_NAME)
def test_a_rival_plays_the_same_night_the_same_way(name: str) -> None:
    again = play(BY_NAME[name], additive, Noise(), budget_of(name))
    assert noisy(name, additive).record(name) == again.record(name)


@pytest.mark.parametrize("name", all_but(QUICK, [name for name in BY_NAME if name != "oracle"]))
def test_without_noise_a_rival_finds_improvements_and_keeps_no_harm(name: str) -> None:
    budget = 40 if name == "gp_sampler" else 120
    record = play(BY_NAME[name], smooth, budget=budget).record(name)
    assert record.kept
    assert all(keep.gain > -0.05 for keep in record.kept)
    assert record.level > 0


@pytest.mark.parametrize("family", [*FAMILIES, *HARD_FAMILIES], ids=lambda family: family.__name__)
def test_the_oracle_wins_the_headroom(family: Family) -> None:
    night = play(BY_NAME["oracle"], family)
    assert night.record("oracle").level >= 0.95 * night.headroom


@pytest.mark.long
def test_those_that_repeat_a_measurement_discard_what_breaks_a_guard() -> None:
    from bench.decisions.landscapes import traps

    for name in ("mean_of_three", "sprt", "race", "tpe_confirmed"):
        record = play(BY_NAME[name], traps, NOISELESS, 150, 3).record(name)
        assert all(keep.guard >= -0.3 for keep in record.made), name
    assert any(keep.guard < -0.3 for keep in play(BY_NAME["greedy_stale"], traps, budget=150, number=3).record("").made)
