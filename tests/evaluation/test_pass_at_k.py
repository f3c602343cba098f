"""pass@k against counting every draw, its intervals against known tables and simulation, and paired differences."""

import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from statistics import fmean, stdev

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.results import ScoredSample, from_json, to_json
from evaluation.statistics import crossed_standard_error, pass_at_k, pass_difference, pass_rates
from probes.result.comparison import quantile


def results(seed: int, problems: dict[str, str]) -> list[ScoredSample]:
    """One answer per letter: "+" passes, "-" does not."""
    return [
        ScoredSample(
            problem=name,
            category="humaneval",
            seed=seed,
            sample=number,
            answer="",
            passed=sign == "+",
            failure_class="PASS" if sign == "+" else "X",
            score=0.0,
            note="",
            format_only=False,
        )
        for name, signs in problems.items()
        for number, sign in enumerate(signs)
    ]


def table(rows: Mapping[int, Sequence[str]]) -> list[ScoredSample]:
    """Per seed, the answers of problems p0, p1 ..."""
    return [r for seed, row in rows.items() for r in results(seed, {f"p{i}": signs for i, signs in enumerate(row)})]


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_passing_answer(drawn: tuple[int, int, int]) -> None:
    n, c, k = drawn
    draws = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == float(Fraction(sum(map(any, draws)), len(draws)))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_1_is_the_share_that_passes(drawn: tuple[int, int]) -> None:
    n, c = drawn
    assert pass_at_k(n, c, 1) == c / n


def test_pass_at_k_is_exact_where_a_product_of_floats_or_a_ratio_of_floats_is_not() -> None:
    assert pass_at_k(10_000, 1, 5_000) == 0.5
    assert pass_at_k(5_000, 2_500, 2_000) == 1.0
    assert pass_at_k(1_000_000, 1, 1) == 1e-6
    assert pass_at_k(1_000_000, 0, 10) == 0.0
    assert pass_at_k(200, 199, 2) == 1.0


@pytest.mark.parametrize(
    ("n", "c", "k"), [(5, 2, 6), (5, 6, 1), (5, -1, 1), (-5, -6, -7), (5, 2, -1), (5, 2, 0), (0, 0, 1)]
)
def test_what_cannot_be_estimated_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}, c={c}, k={k}"):
        pass_at_k(n, c, k)


def test_means_are_over_problems_then_seeds_with_the_deviation_between_seeds() -> None:
    (rate,) = pass_rates(table({42: ["+-", "--"], 7: ["++", "+-"], 123: ["+-", "+-"]}), [1])
    assert list(rate.seeds.items()) == [(7, 0.75), (42, 0.25), (123, 0.5)]
    assert rate.mean == 0.5
    assert rate.deviation == pytest.approx(stdev([0.75, 0.25, 0.5]))
    assert (rate.k, rate.problems) == (1, 2)


def test_a_k_that_one_problem_of_one_seed_has_too_few_answers_for_is_left_out() -> None:
    found = table({1: ["+--", "---"], 2: ["+--", "--"]})
    assert [rate.k for rate in pass_rates(found, [3, 2, 1, 2, 10])] == [1, 2]
    assert pass_rates(found, [2])[0].seeds[1] == pytest.approx((2 / 3 + 0) / 2)
    assert pass_rates([], [1]) == ()


def test_the_interval_of_several_seeds_is_the_crossed_one_of_the_comparison() -> None:
    rows = {1: ["+", "-", "+", "+", "-"], 2: ["+", "-", "-", "+", "+"], 3: ["+", "-", "+", "+", "+"]}
    (rate,) = pass_rates(table(rows), [1])
    cells = numpy.array([[signs == "+" for signs in row] for row in rows.values()], float)
    error, freedom = crossed_standard_error(cells)
    half = quantile(0.025, freedom) * error
    assert rate.low == pytest.approx(max(0.0, cells.mean() - half))
    assert rate.high == pytest.approx(min(1.0, cells.mean() + half))


def test_the_interval_of_one_seed_is_students_over_problems() -> None:
    signs = ["+"] * 30 + ["-"] * 10
    (rate,) = pass_rates(table({5: signs}), [1], confidence=0.9)
    values = [float(s == "+") for s in signs]
    half = quantile(0.05, 39) * stdev(values) / math.sqrt(40)
    assert rate.deviation is None
    assert (rate.low, rate.high) == (pytest.approx(0.75 - half), pytest.approx(0.75 + half))


def test_an_interval_stays_between_0_and_1() -> None:
    (rate,) = pass_rates(table({1: ["+"] * 9 + ["-"]}), [1])
    assert rate.high == 1.0
    (rate,) = pass_rates(table({1: ["-"] * 9 + ["+"]}), [1])
    assert rate.low == 0.0


def test_all_passing_is_no_certainty() -> None:
    """Clopper and Pearson: 0.975 ** ... of 10 of 10 is 0.6915."""
    for rows in ({1: ["+"] * 10}, {1: ["+"] * 10, 2: ["+"] * 10}):
        (rate,) = pass_rates(table(rows), [1])
        assert (rate.low, rate.high) == (pytest.approx(0.69150, abs=1e-5), 1.0)
    (rate,) = pass_rates(table({1: ["-"] * 10}), [1])
    assert (rate.low, rate.high) == (0.0, pytest.approx(0.30850, abs=1e-5))


def test_one_problem_and_seeds_with_unlike_problems_have_no_interval() -> None:
    unlike = [*results(1, {"a": "+", "b": "-"}), *results(2, {"a": "+", "c": "+"})]
    for found in (table({1: ["+-"], 2: ["++"]}), unlike):
        (rate,) = pass_rates(found, [1])
        assert (rate.low, rate.high) == (None, None)
        assert rate.mean == 0.75


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_holds_the_true_rate_about_as_often_as_it_says(seeds: int) -> None:
    generator = numpy.random.default_rng(5)
    held = 0
    for _ in range(200):
        chances = generator.beta(2, 2, 60)
        drawn = generator.random((seeds, 60, 2)) < chances[None, :, None]
        rows = {s: ["".join("+" if x else "-" for x in pair) for pair in drawn[s]] for s in range(seeds)}
        (rate,) = pass_rates(table(rows), [1])
        assert rate.low is not None
        assert rate.high is not None
        held += rate.low <= 0.5 <= rate.high
    assert 178 <= held <= 200


def test_a_difference_is_paired_so_that_what_both_sides_share_does_not_widen_it() -> None:
    before = table({1: ["+"] * 20 + ["-"] * 20, 2: ["+"] * 20 + ["-"] * 20})
    after = table({1: ["+"] * 22 + ["-"] * 18, 2: ["+"] * 22 + ["-"] * 18})
    found = pass_difference(before, after)
    assert found is not None
    assert found.delta == pytest.approx(0.05)
    assert (found.problems, found.seeds) == (40, 2)
    assert found.low is not None
    assert found.high is not None
    (alone,) = pass_rates(before, [1])
    assert alone.low is not None
    assert alone.high is not None
    assert found.high - found.low < 0.6 * (alone.high - alone.low)
    back = pass_difference(after, before)
    assert back is not None
    assert (back.delta, back.low, back.high) == (-found.delta, -found.high, -found.low)


def test_seeds_are_paired_where_both_sides_have_them_or_one_has_only_one() -> None:
    three = table({1: ["+", "-", "-"], 2: ["+", "+", "-"], 3: ["+", "-", "+"]})
    cells = numpy.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]]) - numpy.array([[0, 0, 1]])
    error, freedom = crossed_standard_error(cells.astype(float))
    found = pass_difference(table({9: ["-", "-", "+"]}), three)
    assert found is not None
    assert found.seeds == 3
    assert found.delta == pytest.approx(cells.mean())
    assert found.low == pytest.approx(max(-1.0, cells.mean() - quantile(0.025, freedom) * error))
    back = pass_difference(three, table({9: ["-", "-", "+"]}))
    assert back is not None
    assert (back.seeds, back.delta) == (3, -found.delta)
    other = pass_difference(table({1: ["-"] * 3, 4: ["+", "-", "-"]}), three)
    assert other is not None
    assert other.seeds == 0
    means = [1 - 0.5, 1 / 3, 1 / 3]
    assert other.delta == pytest.approx(fmean(means))
    assert other.high == pytest.approx(fmean(means) + quantile(0.025, 2) * stdev(means) / math.sqrt(3))


def test_a_difference_is_over_the_problems_that_both_sides_answered() -> None:
    found = pass_difference(results(1, {"a": "-", "b": "-", "c": "+"}), results(1, {"b": "+", "c": "+", "d": "-"}))
    assert found is not None
    assert (found.problems, found.delta) == (2, 0.5)
    single = pass_difference(results(1, {"a": "-"}), results(1, {"a": "+"}))
    assert single is not None
    assert (single.delta, single.low, single.high) == (1.0, None, None)
    assert pass_difference(results(1, {"a": "-"}), results(1, {"b": "+"})) is None
    assert pass_difference([], []) is None


def test_an_answer_missing_in_one_seed_is_no_zero() -> None:
    before = [*results(1, {"a": "+", "b": "-"}), *results(2, {"a": "+"})]
    after = [*results(1, {"a": "+", "b": "+"}), *results(2, {"a": "+", "b": "+"})]
    found = pass_difference(before, after)
    assert found is not None
    assert (found.delta, found.seeds) == (0.5, 0)


@given(st.text(), st.booleans(), st.floats(0, 10), st.integers(0, 2**31))
def test_a_result_comes_back_from_json(text: str, flag: bool, score: float, seed: int) -> None:
    result = ScoredSample(
        problem=text,
        category="mbpp",
        seed=seed,
        sample=3,
        answer=text,
        passed=flag,
        failure_class=text,
        score=score,
        note=text,
        format_only=not flag,
    )
    assert from_json(json.loads(json.dumps(to_json(result)))) == result
    with pytest.raises(TypeError):
        from_json({**to_json(result), "more": 1})
