"""Variance components of a recipe's score: what its noise comes from. Pure functions of its readings.

The model of an answer's score is prompt + seed + prompt by seed + answer, all random but the prompt. With S seeds, P
prompts and K answers to each, the mean has

    variance = seed / S + prompt_by_seed / (S P) + answer / (S P K)

from the expected mean squares of that design (Searle, Casella & McCulloch 1992, ch. 4). A negative component is set to
0. The variance between judgements is a part of that between answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
from numpy.typing import NDArray

from probes.result.comparison import OVERALL
from probes.result.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComponents:
    """Standard deviations on the 0 to 10 scale, and the size of the design.

    ``judgement``: between judgements of one answer; None if it was not measured. With one answer per prompt,
    ``answers`` cannot be separated from prompt by seed and is 0.
    """

    seed: float
    prompt_by_seed: float
    answers: float
    judgement: float | None
    seeds: int
    prompts: int
    samples: int
    passes: int

    @property
    def parts(self) -> dict[str, float]:
        """Each source's part of the variance of the mean."""
        cells = self.prompt_by_seed**2 / (self.seeds * self.prompts)
        answers = self.answers**2 / (self.seeds * self.prompts * self.samples)
        judged = self._judged_share()
        of_judge = judged * (answers if self.samples > 1 else cells)
        return {
            "training seed": self.seed**2 / self.seeds,
            "prompt by seed": cells - (of_judge if self.samples == 1 else 0.0),
            "answer": answers - (of_judge if self.samples > 1 else 0.0),
            "judgement": of_judge,
        }

    @property
    def answer(self) -> float:
        """Standard deviation of an answer's score given its prompt and seed, without the judge's part."""
        return math.sqrt(self.answers**2 * (1 - self._judged_share()))

    def _judged_share(self) -> float:
        """The judge's share of the variance between answers (with one answer each: of prompt by seed)."""
        whole = self.answers**2 if self.samples > 1 else self.prompt_by_seed**2
        return min(1.0, (self.judgement or 0.0) ** 2 / self.passes / whole) if whole else 0.0

    @property
    def standard_error(self) -> float:
        return math.sqrt(sum(self.parts.values()))

    def with_one_more(self) -> dict[str, float]:
        """The standard error with one more seed, prompt, answer or judgement, by source."""
        judged = self.parts["judgement"]
        fewer = judged * (1 - self.passes / (self.passes + 1))
        return {
            "training seed": replace(self, seeds=self.seeds + 1).standard_error,
            "prompt by seed": replace(self, prompts=self.prompts + 1).standard_error,
            "answer": replace(self, samples=self.samples + 1).standard_error if self.samples > 1 else math.nan,
            "judgement": math.sqrt(sum(self.parts.values()) - fewer),
        }


def estimate_components(
    readings: Sequence[Reading], category: str, judgement: float | None, passes: int
) -> VarianceComponents | None:
    """The components from two or more readings of one recipe, in one category or overall, on the prompts that have all
    scores. None with fewer than two readings or prompts. ``judgement``: the standard deviation between judgements of
    one answer, which scores alone do not show.
    """
    scores = _table(readings, category)
    if scores is None:
        return None
    seeds, prompts, samples = scores.shape
    cells = scores.mean(axis=2)
    by_seed, by_prompt, grand = cells.mean(axis=1), cells.mean(axis=0), cells.mean()
    of_seeds = prompts * samples * float(((by_seed - grand) ** 2).sum()) / (seeds - 1)
    residue = cells - by_seed[:, None] - by_prompt[None, :] + grand
    of_cells = samples * float((residue**2).sum()) / ((seeds - 1) * (prompts - 1))
    within = float(((scores - cells[:, :, None]) ** 2).sum())
    of_answers = within / (seeds * prompts * (samples - 1)) if samples > 1 else 0.0
    return VarianceComponents(
        seed=_root((of_seeds - of_cells) / (prompts * samples)),
        prompt_by_seed=_root((of_cells - of_answers) / samples),
        answers=_root(of_answers),
        judgement=judgement,
        seeds=seeds,
        prompts=prompts,
        samples=samples,
        passes=passes,
    )


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))


def _table(readings: Sequence[Reading], category: str) -> NDArray[numpy.float64] | None:
    """Scores, [seeds, prompts, samples], of the prompts with all scores; None with fewer than two of either."""
    found = [
        {(score.prompt, score.sample): score.value for score in reading.scores if category in (OVERALL, score.category)}
        for reading in readings
    ]
    places = {place for own in found for place in own}
    samples = sorted({sample for _, sample in places})
    prompts = [
        prompt
        for prompt in sorted({prompt for prompt, _ in places})
        if all((prompt, sample) in own for own in found for sample in samples)
    ]
    if len(readings) < 2 or len(prompts) < 2:
        return None
    return numpy.array([[[own[prompt, sample] for sample in samples] for prompt in prompts] for own in found])
