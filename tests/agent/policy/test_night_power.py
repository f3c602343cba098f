"""What a night can show: chances that agree with simulated confirmations, and what doubles them."""

import json

import numpy
import pytest
from scipy.stats import t as student

from agent.policy.alpha_spending import levels
from agent.policy.night import FEWEST_PROBES
from agent.policy.night_plan import ReadingNoise
from agent.policy.night_power import (
    MOST_PROBES,
    Answers,
    Doubling,
    NightPower,
    in_words,
    night_power,
    power_data,
    power_from,
)
from agent.policy.settings import PolicySettings
from probes.result.comparison import standard_error
from probes.result.variance_pooling import Spread

POLICY = PolicySettings()


def noise(deviation: float) -> ReadingNoise:
    return ReadingNoise(deviation, 0.1, 4.0, 8.0)


def doubling(found: NightPower) -> Doubling:
    assert found.doubling is not None
    return found.doubling


@pytest.mark.parametrize("worth", [0.2, 0.4])
def test_the_chance_is_that_of_simulated_confirmations(worth: float) -> None:
    """Of the one look that a night of 48 probes has."""
    found = night_power(noise(0.27), 48, POLICY)
    generator = numpy.random.default_rng(1)
    pairs = worth + generator.normal(0, 0.27 * 2**0.5, (4000, found.pairs))
    last = levels(round(POLICY.night_error * 0.95, 12), found.pairs, found.pairs)[-1]
    width, freedom = zip(*(standard_error(own[:, None], Spread(2 * 0.27**2, 4.0)) for own in pairs), strict=True)
    bound = pairs.mean(axis=1) - student.ppf(1 - last, freedom) * numpy.array(width)
    assert found.chances[worth] == pytest.approx(float((bound > 0).mean()), abs=0.03)


def test_the_minimum_detectable_effect_has_an_even_chance() -> None:
    found = night_power(noise(0.5), 48, POLICY)
    assert found.chances[0.2] < 0.5 < found.chances[0.8]
    assert 0.2 < found.visible < 0.8
    assert night_power(noise(0.25), 48, POLICY).visible == pytest.approx(found.visible / 2, abs=0.02)


def test_a_night_that_can_confirm_nothing_says_so() -> None:
    found = night_power(noise(0.1), FEWEST_PROBES - 1, POLICY)
    assert set(found.chances.values()) == {0.0}
    assert in_words(found) == [
        "9 probes can keep nothing: repeats of the starting recipe, a wave and a confirmation of 3 pairs need at least "
        "10; raise probes under [budget] or --probes"
    ]
    assert night_power(noise(0.1), FEWEST_PROBES, POLICY).chances[0.8] > 0.5


@pytest.mark.parametrize(("probes", "deviation"), [(16, 0.5), (24, 0.5), (48, 0.5), (96, 0.5), (200, 0.4)])
def test_what_is_named_to_double_the_chance_does(probes: int, deviation: float) -> None:
    answers = Answers(4, 0.5)
    found = doubling(night_power(noise(deviation), probes, POLICY, answers))
    assert found.wanted >= min(0.9, 2 * found.chance)
    for one in found.raises:
        if one.needed is None:
            continue
        policy, own, most = POLICY, noise(deviation), probes
        if one.what == "probes":
            policy, most = PolicySettings(confirming_seeds=max(20, one.pairs)), one.needed
        elif one.what == "confirming_seeds":
            policy = PolicySettings(confirming_seeds=one.needed)
        else:
            own = noise(deviation * (1 - 0.5 * (1 - 4 / one.needed)) ** 0.5)
        assert night_power(own, most, policy).chances[found.worth] >= found.wanted
    assert any(one.needed for one in found.raises)


def test_answers_are_no_way_where_their_part_is_unknown_or_too_small() -> None:
    assert [one.what for one in doubling(night_power(noise(0.5), 48, POLICY)).raises] == ["probes"]
    [_, answers] = doubling(night_power(noise(0.5), 48, POLICY, Answers(4, 0.01))).raises
    assert (answers.needed, answers.most) == (None, 40)
    assert (
        "not enough would be 40 answers per prompt"
        in in_words(night_power(noise(0.5), 48, POLICY, Answers(4, 0.01)))[1]
    )


def test_a_night_that_sees_everything_needs_nothing_doubled() -> None:
    found = night_power(noise(0.05), 96, POLICY)
    assert found.doubling is None
    assert in_words(found) == [
        "the chance of a KEEP with 96 probes, of which 16 confirm, for changes that together are worth: 0.2 points "
        "over 99%, 0.4 points over 99%, 0.8 points over 99% (once a stack has them; guards not counted)"
    ]


def test_a_night_without_a_limit_is_taken_to_have_as_many_probes_as_it_plans_a_stack_with() -> None:
    assert night_power(noise(0.5), float("inf"), POLICY).probes == MOST_PROBES
    [pairs] = doubling(night_power(noise(0.4), float("inf"), POLICY)).raises
    assert pairs.what == "confirming_seeds"
    assert pairs.needed is not None
    assert pairs.needed > POLICY.confirming_seeds


def test_it_comes_back_from_the_ledger_as_it_was() -> None:
    found = night_power(noise(0.5), 48, POLICY, Answers(4, 0.5))
    assert power_from(json.loads(json.dumps(power_data(found)))) == found
