"""Differences between a side and the base, paired by prompt, sample and sampling seed. Pure functions of answers.

Each sampling seed draws random numbers of its own for each answer, so further seeds are further answers to the same
prompts: the unit of an interval is the prompt, with its mean over samples and seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy

from evaluation.own_study.stored import StoredAnswer
from evaluation.statistics import Table, mean_interval
from probes.result.comparison import OVERALL

Answers: TypeAlias = Mapping[int, Sequence[StoredAnswer]]
"""The answers of one side by sampling seed."""
Place: TypeAlias = tuple[int, str, int]
"""Sampling seed, prompt and sample of an answer."""

MOST = 10.0
WHICH: tuple[Literal["best", "typical", "worst"], ...] = ("best", "typical", "worst")


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryLevel:
    """The mean score of one side in a category, from 0 to 10, with its interval; None with one prompt."""

    category: str
    prompts: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFromBase:
    """A side's mean minus the base's in a category, over the ``prompts`` that have paired scores. The interval covers
    prompts and sampling; None with one prompt."""

    category: str
    prompts: int
    base: float
    mean: float
    delta: float
    low: float | None
    high: float | None

    def verdict(self, margin: float | None) -> str:
        """What the interval shows. ``margin``: of a guard; None for another category."""
        if self.low is None or self.high is None:
            return "one prompt has no interval"
        if self.low == self.high == 0:
            return "no score changed"
        if margin is None:
            return "better" if self.low > 0 else "worse" if self.high < 0 else "no change shown"
        if self.low > -margin:
            return "within its margin"
        return "below its margin" if self.high < -margin else "its margin is not shown to hold"


@dataclass(frozen=True, slots=True)
class Example:
    """An answer of the base and the side's answer to the same prompt, seed and sample."""

    which: Literal["best", "typical", "worst"]
    seed: int
    base: StoredAnswer
    answer: StoredAnswer

    @property
    def delta(self) -> float:
        return (self.answer.score or 0.0) - (self.base.score or 0.0)


def levels(answers: Answers, confidence: float) -> tuple[CategoryLevel, ...]:
    """The means of one side: overall, then by category in alphabetical order."""
    scores = _scores(answers)
    return tuple(_level(name, own, scores, confidence) for name, own in _categories(answers).items())


def changes(base: Answers, side: Answers, confidence: float) -> tuple[ChangeFromBase, ...]:
    """The differences from the base: overall, then by category in alphabetical order. An answer without a score on one
    side counts on neither; a prompt without a paired answer for a seed is left out."""
    before, after = paired_scores(base, side)
    return tuple(_change(name, own, before, after, confidence) for name, own in _categories(base).items())


def examples(base: Answers, side: Answers) -> tuple[Example, ...]:
    """The largest rise, the answer whose change is nearest to the mean change, and the largest fall; fewer where no
    score rose or fell."""
    pairs = [
        (seed, one, other)
        for seed, own in base.items()
        for one, other in zip(own, side[seed], strict=True)
        if one.score is not None and other.score is not None
    ]
    if not pairs:
        return ()
    found = [Example("typical", *pair) for pair in pairs]
    mean = sum(example.delta for example in found) / len(found)
    best, worst = max(found, key=lambda example: example.delta), min(found, key=lambda example: example.delta)
    others = [example for example in found if example not in (best, worst)] or found
    typical = min(others, key=lambda one: (abs(one.delta - mean), one.base.text == one.answer.text))
    shown = {"best": best if best.delta > 0 else None, "typical": typical, "worst": worst if worst.delta < 0 else None}
    return tuple(Example(which, one.seed, one.base, one.answer) for which in WHICH if (one := shown[which]) is not None)


def _categories(answers: Answers) -> dict[str, list[str]]:
    """Category -> its prompts in their order, overall first."""
    first = next(iter(answers.values()))
    prompts = {answer.prompt: answer.category for answer in first}
    groups = {OVERALL: list(prompts)}
    for name in sorted(set(prompts.values())):
        groups[name] = [prompt for prompt, category in prompts.items() if category == name]
    return groups


def _scores(answers: Answers) -> dict[Place, float]:
    return {
        (seed, answer.prompt, answer.sample): answer.score
        for seed, own in answers.items()
        for answer in own
        if answer.score is not None
    }


def _table(prompts: Sequence[str], scores: Mapping[Place, float]) -> Table:
    """Means over samples, shape [seeds, prompts], of the prompts that have a score with every seed."""
    return whole_table(prompts, scores)[1]


def paired_scores(one: Answers, other: Answers) -> tuple[dict[Place, float], dict[Place, float]]:
    """The scores of both, without an answer that lacks a score on either side."""
    before, after = _scores(one), _scores(other)
    both = before.keys() & after.keys()
    return {place: before[place] for place in before if place in both}, {
        place: after[place] for place in after if place in both
    }


def whole_table(prompts: Sequence[str], scores: Mapping[Place, float]) -> tuple[list[str], Table]:
    """The prompts that have a score with every seed, and the means over samples, shape [seeds, prompts]."""
    values: dict[tuple[int, str], list[float]] = {}
    for (seed, prompt, _), score in scores.items():
        values.setdefault((seed, prompt), []).append(score)
    seeds = sorted({seed for seed, _ in values})
    whole = [prompt for prompt in prompts if all((seed, prompt) in values for seed in seeds)]
    rows = [[sum(values[seed, prompt]) / len(values[seed, prompt]) for prompt in whole] for seed in seeds]
    return whole, numpy.array(rows, dtype=numpy.float64).reshape(len(seeds), len(whole))


def _interval(table: Table, confidence: float, least: float) -> tuple[float | None, float | None]:
    if table.shape[1] < 2:
        return None, None
    low, high = mean_interval(table.mean(axis=0, keepdims=True), confidence)
    return max(least, low), min(MOST, high)


def _level(category: str, prompts: Sequence[str], scores: Mapping[Place, float], confidence: float) -> CategoryLevel:
    table = _table(prompts, scores)
    low, high = _interval(table, confidence, 0.0)
    mean = float(table.mean()) if table.size else 0.0
    return CategoryLevel(category=category, prompts=table.shape[1], mean=mean, low=low, high=high)


def _change(
    category: str,
    prompts: Sequence[str],
    before: Mapping[Place, float],
    after: Mapping[Place, float],
    confidence: float,
) -> ChangeFromBase:
    base, side = _table(prompts, before), _table(prompts, after)
    low, high = _interval(side - base, confidence, -MOST)
    means = [float(table.mean()) if table.size else 0.0 for table in (base, side)]
    return ChangeFromBase(
        category=category,
        prompts=base.shape[1],
        base=means[0],
        mean=means[1],
        delta=means[1] - means[0],
        low=low,
        high=high,
    )
