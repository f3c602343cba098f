"""How small an effect a study can see, before anything is trained. Pure functions of its design and its noise.

The score of an answer is taken as recipe + run + category by run + prompt + answer + judgement. A run is a recipe
trained with one seed. What the sides share cancels in the difference; S seeds, P prompts, K answers to each and N
judgements of each answer give

    variance of the mean difference = 2 (run^2 + category^2 / categories) / S
                                      + (2 (1 - correlation) answer^2 + 2 judgement^2 / N) / (S P K)

Half the interval's width is Student's t times the root as a comparison estimates it, typically: with f degrees of
freedom the median estimate is the root times sqrt(median of chi-squared(f) / f). f is Satterthwaite's for the crossed
design, from expected mean squares (Searle, Casella & McCulloch 1992, ch. 4), limited as in probes/comparison.py.
That a change helps some prompts and harms others is not in the sum, so it is a lower bound on the error.
"""

import math
from dataclasses import dataclass, replace

from probes.comparison import t_quantile


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: between runs, of a category in a run, of one answer's score around its
    category's mean, between judgements of one answer; and the correlation of the two sides' answers, which is what a
    prompt gives to both."""

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5
    judgement: float = 0.0


@dataclass(frozen=True, slots=True)
class Design:
    """What a comparison rests on: training seeds, prompts, answers per prompt, categories among the prompts, and
    judgements per answer."""

    seeds: int
    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1


@dataclass(frozen=True, slots=True)
class Sight:
    """The standard error of a difference, and half the width that its interval typically has."""

    standard_error: float
    half_width: float


def foreseen(design: Design, noise: Noise, confidence: float) -> Sight:
    """What a comparison of this design will show under this noise."""
    by_seed = 2 * (noise.run**2 + noise.category_by_run**2 / design.categories)
    judged = noise.judgement**2 / design.passes
    rest = 2 * ((1 - noise.correlation) * noise.answer**2 + judged) / design.samples
    error = math.sqrt(by_seed / design.seeds + rest / (design.seeds * design.prompts))
    freedom = max(1.0, _freedom(design, by_seed, rest))
    return Sight(error, t_quantile(confidence, freedom) * error * _typical(freedom))


def _typical(freedom: float) -> float:
    """The median of an estimated deviation, relative to the true one."""
    from scipy.stats import chi2  # it takes a while

    return math.sqrt(float(chi2.median(freedom)) / freedom)


def _freedom(design: Design, by_seed: float, rest: float) -> float:
    """Of the standard error, from the mean squares to be expected: of seeds rest + P by_seed, of prompts rest."""
    seeds, prompts = design.seeds, design.prompts
    total = rest + prompts * by_seed
    if total == 0 or prompts == 1:
        return seeds - 1.0
    spread = total**2 / (seeds - 1) + rest**2 / (prompts - 1) + rest**2 / ((seeds - 1) * (prompts - 1))
    return min(total**2 / spread, 4.0 * (seeds - 1))


def remedies(design: Design, noise: Noise, confidence: float) -> dict[str, float]:
    """Half the interval's width with twice the seeds, the prompts, the answers or the judgements, the best first."""
    twice = {
        f"seeds to {2 * design.seeds}": replace(design, seeds=2 * design.seeds),
        f"prompts to {2 * design.prompts}": replace(design, prompts=2 * design.prompts),
        f"samples to {2 * design.samples}": replace(design, samples=2 * design.samples),
    }
    if noise.judgement:
        twice[f"passes to {2 * design.passes}"] = replace(design, passes=2 * design.passes)
    found = {name: foreseen(other, noise, confidence).half_width for name, other in twice.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))
