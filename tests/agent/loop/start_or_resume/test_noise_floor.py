"""How many answers per prompt a session chooses, from repeats of its starting recipe."""

import random

import pytest

from agent.loop.start_or_resume.baseline import settle_noise_floor
from agent.policy.settings import PolicySettings
from probes.result.reading import ProbeKey, Reading, Score, Timing
from probes.result.variance_components import VarianceComponents, estimate_components

SAMPLES = 4


def reading(seed: int, by_answer: float, by_training: float, timing: Timing) -> Reading:
    """Twelve prompts, whose answers and trainings have these standard deviations."""
    chance = random.Random(seed)
    level = 5 + chance.gauss(0, by_training)
    scores = tuple(
        Score(f"p{prompt}", sample, "advice", level + chance.gauss(0, by_answer), {})
        for prompt in range(12)
        for sample in range(SAMPLES)
    )
    return Reading(
        probe=f"probe{seed}",
        recipe="recipe",
        key=ProbeKey(steps=1, base="b", data="d", prompts="p", scorer="s", samples=SAMPLES, environment="e"),
        seed=seed,
        scores=scores,
        final={},
        timing=timing,
        tokens=1,
        peak_gb=0.1,
    )


def components(readings: list[Reading]) -> VarianceComponents:
    found = estimate_components(readings, "advice", None, 1)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("by_answer", "by_training", "timing", "samples"),
    [
        (1.5, 0.0, Timing(100.0, 0.4, 0.0, 100.4), 16),  # answers are noisy, and cheap beside a training
        (0.1, 1.0, Timing(1.0, 40.0, 0.0, 41.0), 1),  # trainings are noisy, and an answer costs more than one
        (1.5, 0.0, Timing(0.0, 0.4, 0.0, 0.4), SAMPLES),  # nothing is known of the cost of a training
    ],
)
def test_the_session_buys_answers_where_they_make_the_noise_and_are_cheap(
    by_answer: float, by_training: float, timing: Timing, samples: int
) -> None:
    readings = [reading(seed, by_answer, by_training, timing) for seed in range(3)]
    floor = settle_noise_floor(readings, components(readings), PolicySettings(most_samples=16), None)
    assert floor.samples == samples


def test_without_most_samples_the_studys_own_number_stays_and_an_earlier_sessions_choice_stands() -> None:
    readings = [reading(seed, 1.5, 0.0, Timing(100.0, 0.4, 0.0, 100.4)) for seed in range(3)]
    found = components(readings)
    assert settle_noise_floor(readings, found, PolicySettings(), None).samples == SAMPLES
    assert settle_noise_floor(readings, found, PolicySettings(most_samples=16), 9).samples == 9
