"""Where the noise of a recipe's score comes from. Pure functions of its readings.

An answer's score is taken as prompt + seed + prompt by seed + answer + judgement, all random but the prompt. With S
training seeds, P prompts, K answers to each and N judgements of each answer, the mean has

    variance = seed / S + prompt_by_seed / (S P) + answer / (S P K) + judgement / (S P K N)

Components from expected mean squares of the nested, crossed design (Searle, Casella & McCulloch 1992, ch. 4); one that
comes out negative is 0. Differences between recipes share seeds and random numbers, so their error is smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
from numpy.typing import NDArray

from probes.comparison import OVERALL
from probes.reading import Reading


@dataclass(frozen=True, slots=True)
class Sources:
    """Standard deviations on the 0 to 10 scale, and how often each source was drawn. ``judgement`` is None where no
    answer is judged, or nobody measured how judgements of one answer differ."""

    seed: float
    prompt_by_seed: float
    answer: float
    judgement: float | None
    seeds: int
    prompts: int
    samples: int
    passes: int

    @property
    def parts(self) -> dict[str, float]:
        """Each source's part of the variance of the mean."""
        runs, asked = self.seeds, self.seeds * self.prompts
        drawn = asked * self.samples
        return {
            "training seed": self.seed**2 / runs,
            "prompt by seed": self.prompt_by_seed**2 / asked,
            "answer": self.answer**2 / drawn,
            "judgement": (self.judgement or 0.0) ** 2 / (drawn * self.passes),
        }

    @property
    def standard_error(self) -> float:
        return math.sqrt(sum(self.parts.values()))

    def with_one_more(self) -> dict[str, float]:
        """The standard error with one more of what can be raised, by its name in the study."""
        more = {
            "training seed": replace(self, seeds=self.seeds + 1),
            "prompt by seed": replace(self, prompts=self.prompts + 1),
            "answer": replace(self, samples=self.samples + 1),
            "judgement": replace(self, passes=self.passes + 1),
        }
        return {name: other.standard_error for name, other in more.items()}


def sources(readings: Sequence[Reading], category: str, judgement: float | None, passes: int) -> Sources | None:
    """Of two or more readings of one recipe in one category or overall; None for fewer, or where a score is missing.

    ``judgement``: the standard deviation between judgements of one answer, which its scores alone do not tell.
    """
    values = [table for reading in readings if (table := _table(reading, category)) is not None]
    if len(values) < max(2, len(readings)) or values[0].size == 0 or len({table.shape for table in values}) > 1:
        return None
    scores = numpy.stack(values)
    seeds, prompts, samples = scores.shape
    if prompts < 2:
        return None
    cells = scores.mean(axis=2)
    by_seed, by_prompt, grand = cells.mean(axis=1), cells.mean(axis=0), cells.mean()
    of_seeds = prompts * float(((by_seed - grand) ** 2).sum()) / (seeds - 1)
    rest = cells - by_seed[:, None] - by_prompt[None, :] + grand
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (prompts - 1))
    within = float(scores.var(axis=2, ddof=1).mean()) if samples > 1 else 0.0
    judged = min(within, (judgement or 0.0) ** 2 / passes)
    return Sources(
        _root((of_seeds - of_rest) / prompts),
        _root(of_rest - within / samples),
        _root(within - judged),
        judgement, seeds, prompts, samples, passes,
    )  # fmt: skip


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))


def _table(reading: Reading, category: str) -> NDArray[numpy.float64] | None:
    """Scores by prompt and sample; None where one is missing."""
    scores = [score for score in reading.scores if category in (OVERALL, score.category)]
    prompts, samples = sorted({score.prompt for score in scores}), sorted({score.sample for score in scores})
    found = {(score.prompt, score.sample): score.value for score in scores}
    if reading.missing or len(found) != len(prompts) * len(samples):
        return None
    return numpy.array([[found[prompt, sample] for sample in samples] for prompt in prompts])
