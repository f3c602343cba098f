"""Figures of recipes: the noise of the starting recipe, scores by difficulty, outcomes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from probes.result.variance_components import VarianceComponents


@dataclass(frozen=True, slots=True)
class RepeatedScores:
    """The starting recipe in one category: its mean score with each training seed, and their spread."""

    category: str
    prompts: int
    by_seed: Mapping[str, float]
    mean: float
    deviation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMeans:
    """The mean score of the starting recipe and of the incumbent in one category. ``role``: "target", "guard" or "".
    ``after``: None where the starting recipe still stands, or no reading of the incumbent is left."""

    category: str
    role: str
    prompts: int
    before: float
    after: float | None


@dataclass(frozen=True, slots=True)
class DifficultyLevel:
    """A recipe's mean score on the prompts of one category and difficulty, over its training seeds."""

    category: str
    difficulty: int
    prompts: int
    mean: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A recipe by category and difficulty; its critical failures, and its answers without a score, over all seeds."""

    recipe: str
    levels: tuple[DifficultyLevel, ...]
    answers: int
    critical: int
    missing: int


@dataclass(frozen=True, slots=True)
class DifficultyMeans:
    """The mean score of each recipe on the prompts of one category and difficulty; None without a reading."""

    category: str
    difficulty: int
    prompts: int
    means: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePart:
    """One source of noise. ``share``: its share of the variance of the mean; ``drawn``: how many samples of it there
    are; ``setting``: what to raise for one more; ``with_one_more``: the standard error of the mean after that."""

    source: str
    deviation: float
    share: float | None
    drawn: int
    setting: str
    with_one_more: float | None


def noise_parts(found: VarianceComponents) -> list[NoisePart]:
    sources = {
        "training seed": (found.seed, found.seeds, "seeds"),
        "prompt by seed": (found.prompt_by_seed, found.prompts, "prompts in the target"),
        "answer": (found.answer if found.samples > 1 else None, found.samples, "samples"),
        "judgement": (found.judgement, found.passes, "passes"),
    }
    whole, more = sum(found.parts.values()), found.with_one_more()
    return [
        NoisePart(
            source=name,
            deviation=deviation,
            share=found.parts[name] / whole if whole else None,
            drawn=drawn,
            setting=setting,
            with_one_more=None if math.isnan(more[name]) else more[name],
        )
        for name, (deviation, drawn, setting) in sources.items()
        if deviation is not None
    ]


@dataclass(frozen=True, slots=True)
class KnobDifference:
    knob: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AnswerOutcomes:
    """The outcomes of a recipe's answers, in the scorer's words, and their critical failures, each with its number."""

    recipe: str
    answers: int
    words: Mapping[str, int]
    critical: Mapping[str, int]
