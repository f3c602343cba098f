"""What a session says that it can see, from repeats of its starting recipe."""

import math

import pytest

from agent.loop.noise_floor import NoiseFloor, visible_effect
from agent.policy.settings import Policy
from probes.result.reading import ProbeKey, Reading, Score, Timing
from probes.result.variance_components import estimate_components

KEY = ProbeKey(1, "b", "d", "p", "s", 1, "e")


def reading(seed: int, values: list[float]) -> Reading:
    """One answer to each prompt."""
    scores = tuple(Score(f"p{prompt}", 0, "advice", value, {}) for prompt, value in enumerate(values))
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


def visible(*readings: Reading) -> float:
    found = estimate_components(readings, "advice", None, 1)
    assert found is not None
    return visible_effect(readings, found, "advice", NoiseFloor(1, 3, 0, ""), Policy())


def test_two_means_that_agree_by_chance_promise_no_more_than_their_answers_can_show() -> None:
    agreeing = [reading(1, [2, 8, 2, 8, 2, 8, 2, 8]), reading(2, [8, 2, 8, 2, 8, 2, 8, 2])]
    assert agreeing[0].mean("advice") == agreeing[1].mean("advice")
    found = estimate_components(agreeing, "advice", None, 1)
    assert found is not None
    error = math.sqrt(found.prompt_by_seed**2 / 8 / 3)  # of a mean difference of three pairs, half cancelled
    assert visible(*agreeing) > 2 * error > 1


def test_means_that_differ_by_seed_say_what_is_seen() -> None:
    apart = [reading(1, [4.0] * 8), reading(2, [6.0] * 8)]
    near = [reading(1, [4.9] * 8), reading(2, [5.1] * 8)]
    assert visible(*apart) == pytest.approx(10 * visible(*near))
