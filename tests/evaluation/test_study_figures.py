"""Differences of a study's sides: what is paired, the intervals, and the examples."""

import math
from statistics import fmean, stdev

import pytest
from scipy.stats import t

from evaluation.own_study.figures import Answers, changes, examples, levels
from evaluation.own_study.stored import StoredAnswer


def answer(prompt: str, sample: int, score: float | None, text: str = "") -> StoredAnswer:
    return StoredAnswer(
        prompt=prompt,
        sample=sample,
        category=prompt[0],
        text=text or f"{prompt} {score}",
        score=score,
        critical=(),
        outcome="",
        note="",
    )


def side(scores: dict[str, list[list[float | None]]]) -> Answers:
    """Scores by prompt, [seed][sample]."""
    seeds = range(len(next(iter(scores.values()))))
    return {
        seed: [answer(p, n, score) for p, own in scores.items() for n, score in enumerate(own[seed])] for seed in seeds
    }


BASE = side({"a1": [[1, 3], [2, 2]], "a2": [[5, 5], [5, 7]], "b1": [[0, 0], [0, 0]]})
OTHER = side({"a1": [[3, 5], [2, 6]], "a2": [[5, 6], [5, 8]], "b1": [[0, 0], [0, 0]]})


def test_the_interval_is_that_of_the_paired_differences_by_prompt() -> None:
    overall, a, b = changes(BASE, OTHER, 0.95)
    by_prompt = [2.0, 0.5, 0.0]
    half = float(t.ppf(0.975, 2)) * stdev(by_prompt) / math.sqrt(3)
    assert overall.delta == pytest.approx(fmean(by_prompt))
    assert (overall.low, overall.high) == pytest.approx((fmean(by_prompt) - half, fmean(by_prompt) + half))
    assert (a.category, a.prompts, a.base, a.mean) == ("a", 2, pytest.approx(3.75), pytest.approx(5.0))
    assert (b.prompts, b.delta, b.low) == (1, 0, None)
    assert b.verdict(None) == "one prompt has no interval"


def test_further_seeds_are_further_answers_and_narrow_the_interval() -> None:
    base, other = ({**own, **{seed + 2: own[seed] for seed in own}} for own in (BASE, OTHER))
    assert changes(base, other, 0.95) == changes(BASE, OTHER, 0.95), (
        "the same answers again say nothing new of the prompts"
    )
    noisy = side({f"a{n}": [[0, 10], [10, 0]] for n in range(9)})
    one = {0: noisy[0]}
    assert levels(noisy, 0.95)[0].mean == levels(one, 0.95)[0].mean == 5


def test_an_answer_without_a_score_counts_on_neither_side() -> None:
    other = side({"a1": [[None, 5], [2, 6]], "a2": [[5, 6], [5, 8]], "b1": [[None, None], [0, 0]]})
    overall, a, *_ = changes(BASE, other, 0.95)
    assert a.base == pytest.approx(fmean([fmean([3, 2]), fmean([5, 6])]))
    assert overall.prompts == 2, "a prompt without a pair for a seed is left out"


def test_verdicts_name_what_the_interval_shows() -> None:
    up = side({f"a{n}": [[5 + n % 2]] for n in range(20)})
    low = side({f"a{n}": [[1 + n % 3]] for n in range(20)})
    better, worse, same = changes(low, up, 0.95)[0], changes(up, low, 0.95)[0], changes(up, up, 0.95)[0]
    assert [one.verdict(None) for one in (better, worse, same)] == ["better", "worse", "no score changed"]
    assert (better.verdict(0.5), worse.verdict(0.5)) == ("within its margin", "below its margin")
    close = side({f"a{n}": [[4.0 if n else 9.9]] for n in range(20)})
    assert changes(up, close, 0.95)[0].verdict(1.3) == "its margin is not shown to hold"


def test_the_examples_are_the_largest_rise_a_typical_change_and_the_largest_fall() -> None:
    other = side({"a1": [[9, 3], [2, 2]], "a2": [[5, 5], [5, 1]], "b1": [[0, 1], [0, 0]]})
    best, typical, worst = examples(BASE, other)
    assert (best.which, best.base.prompt, best.delta) == ("best", "a1", 8)
    assert (worst.which, worst.seed, worst.delta) == ("worst", 1, -6)
    assert typical.which == "typical"
    assert abs(typical.delta) < 2
    assert [one.which for one in examples(BASE, BASE)] == ["typical"]
