"""How small an effect a study can see, before anything is trained, from its design and its noise.

An answer's score is taken as recipe + run + category by run + prompt + answer + judgement; a run is a recipe trained
with one seed. Of both sides' answers a part is common (the prompt, the random numbers) and cancels. A change is kept on
its confirmation, so that is what is predicted: so many fresh pairs, looked at as if the noise were known by then.

That a change helps some prompts and harms others is not in the sum, so it is a lower bound on the error.
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: between runs, of a category in a run, of one answer's score around its
    category's mean, between judgements of one answer. ``correlation``: of the two sides' answers."""

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5
    judgement: float = 0.0


@dataclass(frozen=True, slots=True)
class Design:
    """What a comparison rests on: pairs of training seeds, prompts, answers per prompt, categories among the prompts,
    judgements per answer; and whether it is one of choices between answers, 10 x (share won minus share lost)."""

    seeds: int
    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1
    choices: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """The standard error of a difference, half the width that its interval typically has, and the true effect that
    passes with an even chance."""

    standard_error: float
    half_width: float
    visible: float


def predict(design: Design, noise: Noise, confidence: float, level: float) -> Resolution:
    """What a comparison of this design will show under this noise; ``level``: the one-sided level it must pass."""
    by_seed, by_answer = _deviations(design, noise)
    error = math.sqrt((by_seed**2 + by_answer**2 / (design.prompts * design.samples)) / design.seeds)
    normal = NormalDist()
    return Resolution(error, normal.inv_cdf((1 + confidence) / 2) * error, -normal.inv_cdf(level) * error)


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


def remedies(design: Design, noise: Noise, level: float) -> dict[str, float]:
    """The visible effect with twice the seeds, the prompts, the answers or the judgements, the best first."""
    twice = {
        f"confirming_seeds to {2 * design.seeds}": replace(design, seeds=2 * design.seeds),
        f"prompts to {2 * design.prompts}": replace(design, prompts=2 * design.prompts),
        f"samples to {2 * design.samples}": replace(design, samples=2 * design.samples),
    }
    if noise.judgement and not design.choices:
        twice[f"passes to {2 * design.passes}"] = replace(design, passes=2 * design.passes)
    found = {name: predict(other, noise, 0.95, level).visible for name, other in twice.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))
