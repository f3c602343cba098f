"""Where noise comes from: from readings whose noise is known."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.result.reading import ProbeKey, Reading, Score, Timing, Unscored
from probes.result.variance_components import estimate_components

KEY = ProbeKey(steps=1, base="b", data="d", prompts="p", scorer="s", samples=1, environment="e")


def reading(seed: int, values: numpy.ndarray) -> Reading:
    """values: [prompts, samples]."""
    scores = tuple(
        Score(f"p{prompt}", sample, "all", float(value), {})
        for prompt, row in enumerate(values)
        for sample, value in enumerate(row)
    )
    return Reading(
        probe="probe",
        recipe="recipe",
        key=KEY,
        seed=seed,
        scores=scores,
        final={},
        timing=Timing(1, 1, 1, 3),
        tokens=1,
        peak_gb=0.1,
    )


def readings(seed: float, cell: float, answer: float, shape: tuple[int, int, int], rng: int = 7) -> list[Reading]:
    chance = numpy.random.default_rng(rng)
    seeds, prompts, _ = shape
    values = (
        5
        + chance.normal(0, 2, (1, prompts, 1))
        + chance.normal(0, seed, (seeds, 1, 1))
        + chance.normal(0, cell, (seeds, prompts, 1))
        + chance.normal(0, answer, shape)
    )
    return [reading(number, own) for number, own in enumerate(values)]


def test_each_source_is_found_again() -> None:
    found = estimate_components(readings(0.5, 0.8, 1.0, (60, 80, 5)), "overall", 0.6, 2)
    assert found is not None
    assert found.seed == pytest.approx(0.5, rel=0.25)
    assert found.prompt_by_seed == pytest.approx(0.8, rel=0.1)
    assert found.answers == pytest.approx(1.0, rel=0.05)
    assert found.answer == pytest.approx((1.0**2 - 0.6**2 / 2) ** 0.5, rel=0.05)
    assert (found.seeds, found.prompts, found.samples, found.passes) == (60, 80, 5, 2)


@pytest.mark.parametrize("sizes", [(0.3, 0.5, 1.5), (0.1, 0.6, 2.0), (0.6, 0.1, 2.0)])
def test_the_standard_error_is_that_of_repeated_studies(sizes: tuple[float, float, float]) -> None:
    """The mean over many repetitions varies as is told."""
    nights = [readings(*sizes, (3, 30, 4), rng) for rng in range(200)]
    told = [found.standard_error**2 for night in nights if (found := estimate_components(night, "overall", None, 1))]
    # The prompts' own levels are the same in every repetition of a study; here they are drawn anew, so taken out.
    means = [numpy.mean([r.mean() for r in night]) - prompt_part(rng) for rng, night in enumerate(nights)]
    assert numpy.mean(told) ** 0.5 == pytest.approx(float(numpy.std(means)), rel=0.25)  # negative parts are 0


def prompt_part(rng: int) -> float:
    """The mean of the prompts' levels in ``readings``."""
    return float(numpy.random.default_rng(rng).normal(0, 2, (1, 30, 1)).mean())


def test_one_more_of_what_makes_the_noise_buys_most() -> None:
    found = estimate_components(readings(0.0, 0.0, 2.0, (3, 20, 2)), "overall", 1.9, 1)
    assert found is not None
    more = found.with_one_more()
    assert all(error <= found.standard_error for error in more.values())
    assert more["judgement"] < more["prompt by seed"]
    assert found.parts["judgement"] > found.parts["answer"]


def test_a_judge_that_explains_more_than_there_is_explains_all_of_it() -> None:
    found = estimate_components(readings(0.0, 0.0, 0.5, (3, 20, 2)), "overall", 3.0, 1)
    plain = estimate_components(readings(0.0, 0.0, 0.5, (3, 20, 2)), "overall", None, 1)
    assert found is not None
    assert plain is not None
    assert found.standard_error == pytest.approx(plain.standard_error)
    assert found.parts["answer"] == 0


def test_with_one_answer_the_judges_part_is_not_counted_twice() -> None:
    many = [readings(0.0, 0.0, 1.5, (3, 30, 1), rng) for rng in range(100)]
    told = [found.standard_error**2 for night in many if (found := estimate_components(night, "overall", 1.0, 1))]
    assert numpy.mean(told) ** 0.5 == pytest.approx(1.5 / 90**0.5, rel=0.2)  # negative parts are 0


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(1, 4), st.floats(0, 3), st.integers(1, 3))
def test_parts_are_never_negative_and_add_up(seeds: int, prompts: int, samples: int, judged: float, n: int) -> None:
    found = estimate_components(readings(0.3, 0.3, 1.0, (seeds, prompts, samples)), "overall", judged, n)
    assert found is not None
    assert min(found.parts.values()) >= -1e-12
    assert found.standard_error**2 == pytest.approx(sum(found.parts.values()))


def test_a_prompt_that_lacks_a_score_is_left_out() -> None:
    many = readings(0.1, 0.1, 1.0, (3, 4, 2))
    lacking = Reading(**{**vars(many[0]), "scores": many[0].scores[1:], "missing": (Unscored("p0", 0, "all", "cut"),)})
    found = estimate_components([lacking, *many[1:]], "overall", None, 1)
    assert found is not None
    assert found.prompts == 3


def test_another_category_or_a_single_reading_give_none() -> None:
    many = readings(0.1, 0.1, 1.0, (3, 4, 2))
    assert estimate_components(many[:1], "overall", None, 1) is None
    assert estimate_components(many, "elsewhere", None, 1) is None
