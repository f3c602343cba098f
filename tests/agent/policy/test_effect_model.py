"""What all comparisons say together: against the textbook formula, and by what it is for."""

import math
from itertools import pairwise

import numpy
import pytest
import situations
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.effect_model import DRAWN, NAMED, ORDERED, ORDERED_GRID, Move, Response, Seen, move_of
from agent.policy.session_statistics import Knowledge
from agent.proposers import Situation, Suggestion
from agent.proposers.prompt import briefing
from agent.proposers.thompson import ThompsonProposer
from agent.proposers.tpe import TpeProposer
from lanes import Knob


def step(after: float, knob: str = "beta", before: float = 5.0) -> Move:
    return Move(knob, before, after)


def seen(after: float, delta: float, error: float = 0.2, knob: str = "beta", incumbent: str | None = None) -> Seen:
    return Seen((step(after, knob),), delta, error**2, incumbent)


def test_before_anything_is_seen_a_move_is_worth_nothing_and_its_spread_is_the_ordinary() -> None:
    length, deviation = ORDERED
    mean, variance = Response().of(step(8.0))
    assert mean == 0
    assert variance == pytest.approx(2 * deviation**2 * (1 - math.exp(-0.5 * (3 / length) ** 2)))
    assert Response().of(Move("scheduler", "linear", "cosine")) == (0, pytest.approx(2 * NAMED[1] ** 2))


def test_one_comparison_is_the_normal_posterior_and_its_neighbours_follow() -> None:
    response = Response(tuple([seen(7.0, 0.6)]))
    length, deviation = response.scales["beta", False]
    prior = 2 * deviation**2 * (1 - math.exp(-0.5 * (2 / length) ** 2))
    mean, variance = response.of(step(7.0))
    assert mean == pytest.approx(0.6 * prior / (prior + 0.04), rel=1e-6)
    assert variance == pytest.approx(prior * 0.04 / (prior + 0.04), rel=1e-6)
    assert response.of(step(8.0))[0] > mean / 2
    assert response.of(step(3.0))[0] < 0


def test_knobs_know_nothing_of_each_other_and_names_nothing_of_other_names() -> None:
    response = Response(tuple([seen(7.0, 2.0), Seen((Move("scheduler", "linear", "cosine"),), 1.0, 0.01, None)]))
    assert response.of(step(7.0, "warmup")) == (0, Response().of(step(7.0))[1])
    there = response.of(Move("scheduler", "linear", "constant"))[0]
    back = response.of(Move("scheduler", "cosine", "linear"))[0]
    known = response.of(Move("scheduler", "linear", "cosine"))[0]
    assert known == pytest.approx(-back)
    assert there == pytest.approx(known / 2, rel=1e-6)  # all that the two share is where they began


def test_a_knob_that_showed_nothing_in_several_places_is_expected_to_show_nothing_elsewhere() -> None:
    inert = Response(tuple([seen(place, 0.0, 0.1) for place in (2.0, 4.0, 6.0, 8.0)]))
    lively = Response(
        tuple([seen(place, delta, 0.1) for place, delta in ((2.0, -1.0), (4.0, -0.3), (6.0, 0.3), (8.0, 0.2))])
    )
    assert inert.scales["beta", False][1] < ORDERED[1] < lively.scales["beta", False][1]
    assert inert.of(step(11.0))[1] < lively.of(step(11.0))[1] / 4


@pytest.mark.parametrize("move", [step(6.0), step(9.0), Move("scheduler", "linear", "cosine")])
def test_what_is_seen_beyond_doubt_is_believed_whatever_was_ordinary(move: Move) -> None:
    """Five standard errors of a first try: the own comparison tells how wild the knob is."""
    known = Knowledge({}, 0.25, 0.05).about(move)
    mean, variance = known.updated(2.0, 0.4**2)
    assert 1.5 < mean < 2.0
    assert 0.3 < variance**0.5 <= 0.4
    assert abs(known.updated(0.3, 0.4**2)[0]) < 0.2


def test_a_value_between_two_places_is_between_them_and_a_move_to_it_is_a_move() -> None:
    knob = Knob("beta", "hyperparameters", (0.05, 0.2, 0.4), True)
    assert [knob.place(value) for value in (0.05, 0.125, 0.2, 0.3, 0.4)] == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert [knob.place(value) for value in (0.01, 0.5)] == [-1, 3]
    assert Response().of(move_of(knob, 0.1, 0.05))[1] > 0


def test_a_knob_of_names_that_was_once_ordered_is_another_knob() -> None:
    response = Response(tuple([seen(7.0, 1.0), Seen((Move("beta", "low", "high"),), 0.5, 0.01, None)]))
    assert response.moved == {"beta"}
    assert response.of(Move("beta", "low", "high"))[0] == pytest.approx(
        Response(response.seen[1:]).of(Move("beta", "low", "high"))[0]
    )


def test_comparisons_against_one_incumbent_share_its_luck() -> None:
    """Three moves that all look good against the same replicates say less than against three of their own."""
    alike, apart = (
        Response(tuple([seen(7.0, 0.5, knob=knob, incumbent=incumbent) for knob in ("beta", "warmup", "lora_rank")]))
        for incumbent in ("parent", None)
    )
    assert alike.of(step(7.0))[0] < apart.of(step(7.0))[0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 12), st.floats(-6, 6), st.floats(0.0, 1.0), st.booleans()), max_size=12))
def test_variances_are_never_negative_and_more_is_never_known_less(found: list[tuple[int, float, float, bool]]) -> None:
    data = [
        seen(float(place), delta, error, incumbent="p" if shared else None) for place, delta, error, shared in found
    ]
    moves = [step(float(place)) for place in range(13)]
    mean, covariance = Response(tuple(data)).expected(moves)
    assert numpy.isfinite(mean).all()
    assert numpy.linalg.eigvalsh(covariance).min() > -1e-6
    assert numpy.allclose(covariance, covariance.T)


def test_it_finds_the_peak_of_a_parabola_in_noise() -> None:
    """Two tries at each of six places with errors as large as the gain: the best place is within two of the peak."""
    chance = numpy.random.default_rng(7)
    hits = 0
    for _ in range(40):
        peak = int(chance.integers(6, 10))
        true = {place: 0.6 * (1 - ((place - peak) / (peak - 5)) ** 2) for place in range(13)}
        data = [
            seen(float(place), true[place] + chance.normal(0, 0.25), 0.25)
            for place in (2, 4, 6, 7, 9, 11)
            for _ in "ab"
        ]
        mean, _ = Response(tuple(data)).expected([step(float(place)) for place in range(13)])
        hits += abs(int(mean.argmax()) - peak) <= 2
    assert hits >= 32


# who draws from it


def propose(situation: Situation) -> Suggestion:
    answer = ThompsonProposer(TpeProposer()).propose(situation)
    assert isinstance(answer, Suggestion)
    return answer


def response_of_beta(gain: float) -> Response:
    lanes, recipe = situations.space(), situations.start()
    beta = lanes.knob("beta")
    now = beta.read(recipe)
    moves = [move_of(beta, now, value) for value in (0.15, 0.2)]
    return Response(tuple([Seen((move,), gain, 0.01, None) for move in moves for _ in range(2)]))


def test_with_nothing_seen_optuna_proposes() -> None:
    assert propose(situations.situation()) == TpeProposer().propose(situations.situation())


def test_what_is_known_to_be_good_is_drawn_most_and_what_does_harm_never() -> None:
    good, bad = (
        [propose(situations.situation(response=response_of_beta(gain), turn=turn)) for turn in range(1, 41)]
        for gain in (2.0, -2.0)
    )
    up = sum(one.knob == "beta" and float(one.value) > 0.1 for one in good)  # type: ignore[arg-type]
    assert up > 30
    assert not any(one.knob == "beta" and one.value in (0.15, 0.2) for one in bad)
    assert {one.proposer for one in good} <= {"thompson", "optuna"}


def test_a_knob_without_a_comparison_is_optunas_to_set() -> None:
    found = [propose(situations.situation(response=response_of_beta(0.0), turn=turn)) for turn in range(1, 31)]
    assert {one.proposer for one in found if one.knob != "beta"} == {"optuna"}
    assert {one.proposer for one in found if one.knob == "beta"} <= {"thompson"}
    assert len({one.knob for one in found}) > 2


def test_the_language_model_is_told_what_comparisons_expect_best_first() -> None:
    said = briefing(situations.situation(response=response_of_beta(0.5)))
    rows = (
        said.partition("# Expected effects, estimated from all comparisons together")[2]
        .partition("\n\n")[0]
        .splitlines()[3:]
    )
    figures = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert {knob for knob, *_ in figures} == {"beta"}
    means = [float(mean) for _, _, mean, _ in figures]
    assert means == sorted(means, reverse=True)
    assert {value: float(mean) for _, value, mean, _ in figures}["0.15"] == pytest.approx(0.5, abs=0.1)
    assert "(nothing yet)" in briefing(situations.situation())


def test_draws_are_repeatable_and_differ_by_turn() -> None:
    response = response_of_beta(0.1)
    once, twice = (
        [propose(situations.situation(response=response, turn=turn, seed=3)) for turn in range(1, 9)] for _ in "ab"
    )
    assert once == twice
    assert any(one != other for one, other in pairwise(once))


@pytest.mark.parametrize("seed", range(6))
def test_the_scales_of_each_knob_are_the_likeliest_by_the_whole_covariance(seed: int) -> None:
    """Of a knob's few values the likelihood is told by a small matrix; it is that of all comparisons' covariance."""
    chance = numpy.random.default_rng(seed)
    found = [
        seen(float(chance.integers(0, 14)), float(delta), 0.3, knob, held)
        for knob in ("beta", "warmup")
        for delta in chance.normal(0, 0.6, 12)
        for held in ["parent" if chance.random() < 0.5 else None]
    ]
    response = Response(tuple(found))
    first, second = (("beta", False), ("warmup", False))

    def likelihood(scales: dict[tuple[str, bool], tuple[float, float]]) -> float:
        covariance = Response(tuple(found), scales)._observed
        fit = response._deltas @ numpy.linalg.solve(covariance, response._deltas)
        unusual = sum(math.log(a / b) ** 2 for own in scales.values() for a, b in zip(own, ORDERED, strict=True))
        return float(-0.5 * fit - 0.5 * numpy.linalg.slogdet(covariance)[1] - DRAWN * unusual)

    beta = max(ORDERED_GRID, key=lambda scales: likelihood({first: scales, second: ORDERED}))
    warmup = max(ORDERED_GRID, key=lambda scales: likelihood({first: beta, second: scales}))
    assert response.scales == {first: beta, second: warmup}
