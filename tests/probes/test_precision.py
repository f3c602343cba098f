"""The smallest effect a design can see, against scores that are made part by part."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.comparison import crossed_standard_error, t_quantile
from probes.precision import Design, Noise, foreseen, remedies

NOISE = Noise()


def simulated(design: Design, noise: Noise, trials: int = 3000) -> tuple[float, float, float]:
    """Deviation of the mean difference, the median half-width of its interval, and the effect whose lower bound is
    above 0 with an even chance: of scores made part by part."""
    generator = numpy.random.default_rng(5)
    shape = (design.seeds, design.prompts, design.samples)
    means, halves = [], []
    for _ in range(trials):
        prompt = generator.normal(0, noise.answer * noise.correlation**0.5, (1, *shape[1:]))
        sides = []
        for _ in (0, 1):
            run = generator.normal(0, noise.run, (design.seeds, 1, 1))
            category = generator.normal(0, noise.category_by_run, (design.seeds, 1, 1))
            own = noise.answer * (1 - noise.correlation) ** 0.5
            drawn = generator.normal(0, own * noise.shared**0.5, (1, *shape[1:]))
            rest = generator.normal(0, own * (1 - noise.shared) ** 0.5, shape)
            sides.append((run + category + prompt + drawn + rest).mean(axis=2))
        difference = sides[0] - sides[1]
        error, freedom = crossed_standard_error(difference)
        means.append(float(difference.mean()))
        halves.append(t_quantile(0.95, freedom) * error)
    visible = numpy.median(numpy.array(halves) - numpy.array(means))
    return float(numpy.std(means)), float(numpy.median(halves)), float(visible)


@pytest.mark.parametrize("design", [Design(3, 24, 4), Design(5, 10, 1), Design(2, 6, 8), Design(3, 2, 4)])
def test_what_is_foreseen_is_what_simulated_comparisons_show(design: Design) -> None:
    error, half, visible = simulated(design, NOISE, 1500)
    sight = foreseen(design, NOISE, 0.95)
    assert sight.standard_error == pytest.approx(error, rel=0.08)
    assert sight.half_width == pytest.approx(half, rel=0.2)
    assert sight.visible == pytest.approx(visible, rel=0.25)


def test_choices_are_on_a_scale_of_their_own() -> None:
    """The share won minus the share lost, simulated from the scores that decide each choice."""
    design, noise = Design(3, 12, 2, choices=True), Noise(shared=0.0)
    generator = numpy.random.default_rng(3)
    means = []
    for _ in range(4000):
        run = generator.normal(0, (2 * (noise.run**2 + noise.category_by_run**2)) ** 0.5, (3, 1, 1))
        answers = generator.normal(0, (2 * (1 - noise.correlation)) ** 0.5 * noise.answer, (3, 12, 2))
        means.append(10 * float(numpy.sign(run + answers).mean()))
    assert foreseen(design, noise, 0.95).standard_error == pytest.approx(float(numpy.std(means)), rel=0.1)


SEEDS, PROMPTS, SAMPLES = st.integers(2, 5), st.integers(2, 60), st.integers(1, 16)


@settings(max_examples=15, deadline=None)
@given(SEEDS, PROMPTS, SAMPLES)
def test_more_of_anything_never_raises_the_standard_error(seeds: int, prompts: int, samples: int) -> None:
    plain = foreseen(Design(seeds, prompts, samples), NOISE, 0.95)
    for more in (
        Design(seeds + 1, prompts, samples), Design(seeds, prompts + 1, samples), Design(seeds, prompts, samples + 1)
    ):  # fmt: skip
        assert foreseen(more, NOISE, 0.95).standard_error < plain.standard_error
    assert foreseen(Design(seeds, prompts, samples, 6), NOISE, 0.95).standard_error < plain.standard_error
    assert foreseen(Design(seeds, prompts, samples), NOISE, 0.99).half_width > plain.half_width > 0


def test_many_prompts_do_not_make_up_for_the_noise_between_runs() -> None:
    few, many = (foreseen(Design(3, prompts, 4), NOISE, 0.95) for prompts in (24, 100_000))
    floor = (2 * (NOISE.run**2 + NOISE.category_by_run**2) / 3) ** 0.5
    assert many.standard_error == pytest.approx(floor, rel=1e-3)
    assert few.standard_error < 1.2 * floor
    assert next(iter(remedies(Design(3, 24, 4), NOISE, 0.95))) == "seeds to 6"


def test_without_noise_everything_is_seen() -> None:
    sight = foreseen(Design(3, 24, 4), Noise(0, 0, 0, 0), 0.95)
    assert (sight.standard_error, sight.half_width) == (0, 0)
