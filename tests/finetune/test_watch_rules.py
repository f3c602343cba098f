"""What ends a full-length run, as functions of a curve and of answers."""

import random

import pytest

from finetune.watch.rules import SpotAnswer, SpotCheck, collapse, explosion, reward_collapse, worse


def check(*scores: float | None, text: str = "def f(x):\n    return x + 1\n") -> SpotCheck:
    return SpotCheck(1, tuple(SpotAnswer(f"p{n}", "c", text, score) for n, score in enumerate(scores)))


BASE = check(*[10.0, 0.0] * 12)


@pytest.mark.parametrize(
    ("scores", "is_worse", "collapsed"),
    [
        ([10.0, 0.0] * 12, False, False),
        ([10.0, 0.0] * 10 + [0.0] * 4, False, False),
        ([10.0, 0.0] * 7 + [0.0] * 10, True, False),
        ([0.0] * 24, True, True),
        ([None] * 24, False, False),
        ([0.0] * 3, False, False),
    ],
)
def test_a_collapse_is_far_below_the_base_and_what_is_only_worse_ends_no_run(
    scores: list[float | None], is_worse: bool, collapsed: bool
) -> None:
    now = check(*scores)
    assert (bool(worse(BASE, now)), bool(collapse(BASE, now))) == (is_worse, collapsed)


def test_the_sentence_has_the_figures() -> None:
    assert collapse(BASE, check(*[0.0] * 24)).startswith(
        "the answers to 24 holdout prompts score 0.00 where the base's own score 5.00 (difference -5.00, below -2."
    )


@pytest.mark.parametrize(
    ("text", "degenerate"),
    [
        ("", True),
        ("\n \n", True),
        ("a" * 60, True),
        ("def def def " * 20, True),
        ("yes", False),
        ("def add(a, b):\n    return a + b\n", False),
        ("".join(random.Random(1).choices("abcdefghij (),=+\n", k=300)), False),
        ("The quick brown fox jumps over the lazy dog, and then it rests for a while in the shade of a tree.", False),
        (
            "def f(xs):\n    n = 0\n    for x in xs:\n        if x > 0:\n            n += x\n    return n\n",
            False,
        ),
    ],
)
def test_an_answer_is_degenerate_if_it_is_empty_or_repeats_itself(text: str, degenerate: bool) -> None:
    assert check(5.0, text=text).answers[0].degenerate is degenerate


def test_answers_that_become_degenerate_are_a_collapse_also_where_no_score_shows_it() -> None:
    before, after = check(*[0.0] * 12), check(*[0.0] * 12, text="ha " * 40)
    assert (
        "12 of 12 answers to holdout prompts are empty or repeat themselves, and 0 of the base's own are"
        in collapse(before, after)
    )
    assert collapse(after, after) == "", "the base's own do, too"


def norms(*values: float) -> list[dict[str, float]]:
    return [{"step": step, "grad_norm": value} for step, value in enumerate(values, 1)]


def test_gradients_explode_when_they_stay_far_above_what_was_usual() -> None:
    assert explosion(norms(*[1.0] * 50, *[500.0] * 5)).startswith(
        "the gradient norms of the last 5 steps are at least 500"
    )
    assert explosion(norms(*[1.0] * 50, *[500.0] * 4)) == ""
    assert explosion(norms(*[1.0] * 50, 500, 500, 50, 500, 500)) == ""
    assert explosion(norms(*[1.0] * 5, *[500.0] * 5)) == "", "too few steps to know what is usual"
    rising = [1.01**step for step in range(700)]
    assert not any(explosion(norms(*rising[:step])) for step in range(0, 700, 50))


def margins(*values: float) -> list[dict[str, float]]:
    noise = random.Random(3)
    return [{"step": n, "rewards_margin": value + noise.gauss(0, 0.1)} for n, value in enumerate(values, 1)]


def test_rewards_collapse_when_a_preference_for_the_chosen_answers_turns_round() -> None:
    assert "so the rejected answers are preferred" in reward_collapse(margins(*[0.5] * 100, *[-0.5] * 50))
    assert reward_collapse(margins(*[0.5] * 100, *[0.1] * 50)) == ""
    assert reward_collapse(margins(*[-0.5] * 150)) == "", "ORPO may begin there"
    assert reward_collapse(margins(*[-0.5] * 50, *[0.5] * 100)) == ""
    assert reward_collapse([{"step": 1, "loss": 1.0}] * 200) == ""
