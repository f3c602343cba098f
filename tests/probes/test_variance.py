"""Where noise comes from: from readings whose noise is known."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.reading import ProbeKey, Reading, Score, Timing, Unscored
from probes.variance import sources

KEY = ProbeKey(1, "b", "d", "p", "s", 1, "e")


def reading(seed: int, values: numpy.ndarray) -> Reading:  # type: ignore[type-arg]
    """values: [prompts, samples]."""
    scores = tuple(
        Score(f"p{prompt}", sample, "all", float(value), {})
        for prompt, row in enumerate(values)
        for sample, value in enumerate(row)
    )
    return Reading("probe", "recipe", KEY, seed, scores, {}, Timing(1, 1, 1, 3), 1, 0.1)


def readings(seed: float, cell: float, answer: float, shape: tuple[int, int, int]) -> list[Reading]:
    chance = numpy.random.default_rng(7)
    seeds, prompts, _ = shape
    values = (
        5 + chance.normal(0, 2, (1, prompts, 1)) + chance.normal(0, seed, (seeds, 1, 1))
        + chance.normal(0, cell, (seeds, prompts, 1)) + chance.normal(0, answer, shape)
    )  # fmt: skip
    return [reading(number, own) for number, own in enumerate(values)]


def test_each_source_is_found_again() -> None:
    found = sources(readings(0.5, 0.8, 1.6, (60, 80, 5)), "overall", 0.6, 2)
    assert found is not None
    assert found.seed == pytest.approx(0.5, rel=0.25)
    assert found.prompt_by_seed == pytest.approx(0.8, rel=0.1)
    assert found.answer == pytest.approx((1.6**2 - 0.6**2 / 2) ** 0.5, rel=0.05)
    assert (found.seeds, found.prompts, found.samples, found.passes) == (60, 80, 5, 2)


def test_one_more_of_what_makes_the_noise_buys_most() -> None:
    found = sources(readings(0.0, 0.0, 2.0, (3, 20, 2)), "overall", 1.9, 1)
    assert found is not None
    more = found.with_one_more()
    assert all(error <= found.standard_error for error in more.values())
    assert more["judgement"] < more["prompt by seed"]
    assert found.parts["judgement"] > found.parts["answer"]


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(1, 4), st.floats(0, 3), st.integers(1, 3))
def test_parts_are_never_negative_and_add_up(seeds: int, prompts: int, samples: int, judged: float, n: int) -> None:
    found = sources(readings(0.3, 0.3, 1.0, (seeds, prompts, samples)), "overall", judged, n)
    assert found is not None
    assert min(found.parts.values()) >= 0
    assert found.standard_error**2 == pytest.approx(sum(found.parts.values()))


def test_a_missing_score_another_category_or_a_single_reading_give_none() -> None:
    many = readings(0.1, 0.1, 1.0, (3, 4, 2))
    assert sources(many[:1], "overall", None, 1) is None
    assert sources(many, "elsewhere", None, 1) is None
    lacking = Reading(**{**vars(many[0]), "missing": (Unscored("p9", 0, "all", "cut off"),)})
    assert sources([lacking, *many[1:]], "overall", None, 1) is None
