"""How small an effect a study can see, before anything is trained: simulated from its design and its noise.

An answer's score is taken as recipe + run + category by run + prompt + answer + judgement; a run is a recipe trained
with one seed. Of both sides' answers a part is common (the prompt, the random numbers) and cancels; of what is left a
part is common to all training seeds, which share the random numbers of an answer. Tables of such differences are given
to the very interval that decides (probes/comparison.py), with a fixed seed, so that equal designs give equal figures.

That a change helps some prompts and harms others is not in the sum, so it is a lower bound on the error.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist

import numpy

from probes.comparison import crossed_standard_error, t_quantile

SIMULATIONS = 400
MOST_PROMPTS = 200  # that are simulated; more of them are simulated by answers that differ less


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: between runs, of a category in a run, of one answer's score around its
    category's mean, between judgements of one answer. ``correlation``: of the two sides' answers. ``shared``: the part
    of the variance of an answer's difference that all training seeds have in common."""

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5
    judgement: float = 0.0
    shared: float = 0.5


@dataclass(frozen=True, slots=True)
class Design:
    """What a comparison rests on: training seeds, prompts, answers per prompt, categories among the prompts, judgements
    per answer; and whether it is one of choices between answers, 10 x (share won minus share lost)."""

    seeds: int
    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1
    choices: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """The standard error of a difference, half the width that its interval typically has, and the true effect whose
    lower bound is above 0 with an even chance."""

    standard_error: float
    half_width: float
    visible: float


@cache
def foreseen(design: Design, noise: Noise, confidence: float) -> Sight:
    """What a comparison of this design will show under this noise."""
    chance = numpy.random.default_rng(0)
    by_seed, by_answer = _deviations(design, noise)
    prompts = min(design.prompts, MOST_PROMPTS)
    each = by_answer * math.sqrt(prompts / design.prompts / design.samples)
    own = chance.normal(0, each * math.sqrt(1 - noise.shared), (SIMULATIONS, design.seeds, prompts))
    common = chance.normal(0, each * math.sqrt(noise.shared), (SIMULATIONS, 1, prompts))
    tables = own + common + chance.normal(0, by_seed, (SIMULATIONS, design.seeds, 1))
    half = [t_quantile(confidence, freedom) * error for error, freedom in map(crossed_standard_error, tables)]
    means = tables.mean(axis=(1, 2))
    visible = float(numpy.median(numpy.array(half) - means))
    return Sight(_error(design, noise), float(numpy.median(half)), max(0.0, visible))


def _error(design: Design, noise: Noise) -> float:
    """Standard deviation of the mean difference."""
    by_seed, by_answer = _deviations(design, noise)
    asked = design.prompts * design.samples
    answers = by_answer**2 * (noise.shared / asked + (1 - noise.shared) / (asked * design.seeds))
    return math.sqrt(by_seed**2 / design.seeds + answers)


def _deviations(design: Design, noise: Noise) -> tuple[float, float]:
    """Of a difference: between seeds, and of one answer.

    A choice is won where the difference of the scores is above 0: near none, a point of difference wins it more often
    by twice the normal density over the difference's deviation. Without ties it is +10 or -10 with deviation 10.
    """
    by_seed = math.sqrt(2 * (noise.run**2 + noise.category_by_run**2 / design.categories))
    by_answer = math.sqrt(2 * ((1 - noise.correlation) * noise.answer**2 + noise.judgement**2 / design.passes))
    if not design.choices or by_answer == 0:
        return by_seed, by_answer
    return by_seed * 10 * 2 * NormalDist().pdf(0) / by_answer, 10.0


def remedies(design: Design, noise: Noise, confidence: float) -> dict[str, float]:
    """The visible effect with twice the seeds, the prompts, the answers or the judgements, the best first."""
    twice = {
        f"seeds to {2 * design.seeds}": replace(design, seeds=2 * design.seeds),
        f"prompts to {2 * design.prompts}": replace(design, prompts=2 * design.prompts),
        f"samples to {2 * design.samples}": replace(design, samples=2 * design.samples),
    }
    if noise.judgement and not design.choices:
        twice[f"passes to {2 * design.passes}"] = replace(design, passes=2 * design.passes)
    found = {name: foreseen(other, noise, confidence).visible for name, other in twice.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))
