"""The noise of a pair by its design, against scores that are made part by part."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.study.power import AssumedNoise, Design, pair_noise

NOISE = AssumedNoise()


def simulated(design: Design, noise: AssumedNoise, trials: int) -> float:
    """Deviation of a pair's difference of scores that are made part by part."""
    generator = numpy.random.default_rng(5)
    shape = (trials, design.prompts, design.samples)
    prompt = generator.normal(0, noise.answer * noise.correlation**0.5, shape)
    sides = []
    for _ in (0, 1):
        run = generator.normal(0, (noise.run**2 + noise.category_by_run**2) ** 0.5, (trials, 1, 1))
        own = generator.normal(0, noise.answer * (1 - noise.correlation) ** 0.5, shape)
        sides.append((run + prompt + own).mean(axis=(1, 2)))
    return float(numpy.std(sides[0] - sides[1]))


@pytest.mark.parametrize("design", [Design(24, 4), Design(10, 1), Design(6, 8), Design(2, 4)])
def test_what_is_foreseen_is_what_simulated_pairs_show(design: Design) -> None:
    assert pair_noise(design, NOISE).deviation == pytest.approx(simulated(design, NOISE, 3000), rel=0.05)


def test_choices_are_on_a_scale_of_their_own() -> None:
    """The share won minus the share lost, simulated from the scores that decide each choice."""
    noise, generator = AssumedNoise(), numpy.random.default_rng(3)
    run = generator.normal(0, (2 * (noise.run**2 + noise.category_by_run**2)) ** 0.5, (4000, 1, 1))
    answers = generator.normal(0, (2 * (1 - noise.correlation)) ** 0.5 * noise.answer, (4000, 12, 2))
    means = 10 * numpy.sign(run + answers).mean(axis=(1, 2))
    found = pair_noise(Design(12, 2, choices=True), noise)
    assert found.deviation == pytest.approx(float(numpy.std(means)), rel=0.1)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 60), st.integers(1, 16))
def test_more_of_anything_never_raises_the_noise(prompts: int, samples: int) -> None:
    plain = pair_noise(Design(prompts, samples), NOISE)
    for more in (Design(prompts + 1, samples), Design(prompts, samples + 1), Design(prompts, samples, 6)):
        assert pair_noise(more, NOISE).deviation < plain.deviation
    judged = AssumedNoise(judgement=1.0)
    twice = pair_noise(Design(prompts, samples, passes=2), judged)
    assert twice.deviation < pair_noise(Design(prompts, samples), judged).deviation


def test_many_prompts_do_not_make_up_for_the_noise_between_runs() -> None:
    few, many = (pair_noise(Design(prompts, 4), NOISE) for prompts in (24, 100_000))
    assert many.deviation == pytest.approx((2 * (NOISE.run**2 + NOISE.category_by_run**2)) ** 0.5, rel=1e-3)
    assert many.share == pytest.approx(0, abs=1e-3)
    assert few.deviation**2 * (1 - few.share) == pytest.approx(many.deviation**2, rel=1e-3), "the answers' part"
    assert few.reading == pytest.approx(few.deviation / 2**0.5)


def test_without_noise_a_pair_shows_the_difference_itself() -> None:
    assert pair_noise(Design(24, 4), AssumedNoise(run=0, category_by_run=0, answer=0, correlation=0)).deviation == 0
