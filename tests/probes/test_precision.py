"""The smallest effect a design can see: its formula against simulation through the interval that decides."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.comparison import crossed_standard_error, t_quantile
from probes.precision import Design, Noise, foreseen, remedies

NOISE = Noise()


def simulated(design: Design, noise: Noise, trials: int = 3000) -> tuple[float, float]:
    """Deviation of the mean difference, and the median half-width of its interval."""
    generator = numpy.random.default_rng(5)
    shape = (design.seeds, design.prompts)
    means, halves = [], []
    for _ in range(trials):
        run = generator.normal(0, noise.run, (2, design.seeds, 1)) + generator.normal(
            0, noise.category_by_run, (2, design.seeds, 1)
        )
        prompt = generator.normal(0, noise.answer * noise.correlation**0.5, (1, design.prompts))
        own = noise.answer * (1 - noise.correlation) ** 0.5 / design.samples**0.5
        sides = [run[side] + prompt + generator.normal(0, own, shape) for side in (0, 1)]
        difference = sides[0] - sides[1]
        error, freedom = crossed_standard_error(difference)
        means.append(float(difference.mean()))
        halves.append(t_quantile(0.95, freedom) * error)
    return float(numpy.std(means)), float(numpy.median(halves))


@pytest.mark.parametrize("design", [Design(3, 24, 4), Design(5, 10, 1), Design(2, 6, 8)])
def test_the_formula_gives_what_simulated_comparisons_show(design: Design) -> None:
    error, half = simulated(design, NOISE, 1500)
    sight = foreseen(design, NOISE, 0.95)
    assert sight.standard_error == pytest.approx(error, rel=0.08)
    assert sight.half_width == pytest.approx(half, rel=0.35)


SEEDS, PROMPTS, SAMPLES = st.integers(2, 9), st.integers(2, 200), st.integers(1, 16)


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
    assert few.standard_error < 1.1 * floor
    assert next(iter(remedies(Design(3, 24, 4), NOISE, 0.95))) == "seeds to 6"


def test_without_noise_everything_is_seen() -> None:
    sight = foreseen(Design(3, 24, 4), Noise(0, 0, 0, 0), 0.95)
    assert (sight.standard_error, sight.half_width) == (0, 0)
