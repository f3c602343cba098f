"""Readings of four knobs with known effects, in the form that the model of a night takes."""

import numpy

from agent.policy.knob_effects import Axis, Observed, Places
from agent.policy.wave_design import spread_wave

LADDER = tuple(float(place) for place in range(-4, 5))
RATE, BETA, IDLE = (Axis(name, 0.0, LADDER) for name in ("learning_rate", "beta", "idle"))
ORDER = Axis("curriculum", "shuffled", ("shuffled", "easy_first", "hard_first"))
AXES = (RATE, BETA, IDLE, ORDER)
INCUMBENT: Places = {axis.knob: axis.start for axis in AXES}
MARGINS = {"safety": 0.3}


def anything(_: Places) -> bool:
    return True


def truth(places: Places) -> float:
    """The true effect: learning rate +2 gains 0.6, beta -2 gains 0.3, easy_first gains 0.4; the rest loses or does
    nothing."""
    rate = 0.6 * (1 - (1 - float(places["learning_rate"]) / 2) ** 2)
    beta = 0.3 * (1 - (1 + float(places["beta"]) / 2) ** 2)
    return rate + beta + {"shuffled": 0.0, "easy_first": 0.4, "hard_first": -0.4}[str(places["curriculum"])]


def readings(noise: float, waves: int = 4, noisy_side: float = 1.0) -> list[Observed]:
    random = numpy.random.default_rng(5)
    found = []
    for seed in range(waves):
        level = 6 + 0.3 * random.standard_normal()
        for places in [INCUMBENT, *spread_wave(AXES, 11, INCUMBENT, anything, random)]:
            factor = noisy_side if float(places["idle"]) > 0 else 1.0
            value = level + truth(places) + factor * noise * random.standard_normal()
            found.append(Observed(places, seed, (value,)))
    return found
