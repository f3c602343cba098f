"""The smallest effect a design can see, against scores that are made part by part."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.study.power import Design, Noise, improvements, predict_resolution

NOISE = Noise()


def simulated(design: Design, noise: Noise, trials: int) -> float:
    """Deviation of the mean difference of scores that are made part by part."""
    generator = numpy.random.default_rng(5)
    shape = (design.seeds, design.prompts, design.samples)
    means = []
    for _ in range(trials):
        prompt = generator.normal(0, noise.answer * noise.correlation**0.5, (1, *shape[1:]))
        sides = []
        for _ in (0, 1):
            run = generator.normal(0, noise.run, (design.seeds, 1, 1))
            category = generator.normal(0, noise.category_by_run, (design.seeds, 1, 1))
            own = generator.normal(0, noise.answer * (1 - noise.correlation) ** 0.5, shape)
            sides.append((run + category + prompt + own).mean())
        means.append(sides[0] - sides[1])
    return float(numpy.std(means))


@pytest.mark.parametrize("design", [Design(3, 24, 4), Design(5, 10, 1), Design(2, 6, 8), Design(3, 2, 4)])
def test_what_is_foreseen_is_what_simulated_comparisons_show(design: Design) -> None:
    sight = predict_resolution(design, NOISE, 0.95, 0.01)
    assert sight.standard_error == pytest.approx(simulated(design, NOISE, 1500), rel=0.08)
    assert sight.half_width == pytest.approx(1.96 * sight.standard_error, rel=1e-3)
    assert sight.detectable == pytest.approx(2.326 * sight.standard_error, rel=1e-3)


def test_choices_are_on_a_scale_of_their_own() -> None:
    """The share won minus the share lost, simulated from the scores that decide each choice."""
    design, noise = Design(3, 12, 2, choices=True), Noise()
    generator = numpy.random.default_rng(3)
    means = []
    for _ in range(4000):
        run = generator.normal(0, (2 * (noise.run**2 + noise.category_by_run**2)) ** 0.5, (3, 1, 1))
        answers = generator.normal(0, (2 * (1 - noise.correlation)) ** 0.5 * noise.answer, (3, 12, 2))
        means.append(10 * float(numpy.sign(run + answers).mean()))
    assert predict_resolution(design, noise, 0.95, 0.01).standard_error == pytest.approx(
        float(numpy.std(means)), rel=0.1
    )


SEEDS, PROMPTS, SAMPLES = st.integers(2, 5), st.integers(2, 60), st.integers(1, 16)


@settings(max_examples=15, deadline=None)
@given(SEEDS, PROMPTS, SAMPLES)
def test_more_of_anything_never_raises_the_standard_error(seeds: int, prompts: int, samples: int) -> None:
    plain = predict_resolution(Design(seeds, prompts, samples), NOISE, 0.95, 0.01)
    for more in (
        Design(seeds + 1, prompts, samples),
        Design(seeds, prompts + 1, samples),
        Design(seeds, prompts, samples + 1),
    ):
        assert predict_resolution(more, NOISE, 0.95, 0.01).standard_error < plain.standard_error
    assert (
        predict_resolution(Design(seeds, prompts, samples, 6), NOISE, 0.95, 0.01).standard_error < plain.standard_error
    )
    assert predict_resolution(Design(seeds, prompts, samples), NOISE, 0.99, 0.01).half_width > plain.half_width > 0


def test_many_prompts_do_not_make_up_for_the_noise_between_runs() -> None:
    few, many = (predict_resolution(Design(3, prompts, 4), NOISE, 0.95, 0.01) for prompts in (24, 100_000))
    floor = (2 * (NOISE.run**2 + NOISE.category_by_run**2) / 3) ** 0.5
    assert many.standard_error == pytest.approx(floor, rel=1e-3)
    assert few.standard_error < 1.2 * floor
    assert next(iter(improvements(Design(3, 24, 4), NOISE, 0.01))) == "confirming_seeds to 6"


def test_without_noise_everything_is_seen() -> None:
    sight = predict_resolution(Design(3, 24, 4), Noise(0, 0, 0, 0), 0.95, 0.01)
    assert (sight.standard_error, sight.half_width) == (0, 0)
