"""Compares full-length runs of two recipes by their answers to the holdout prompts. Pure functions of answers.

A seed here is a training seed; its sampling random numbers are its own, and the same on both sides.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from evaluation.own_study.figures import Answers, paired_scores, whole_table
from evaluation.own_study.stored import StoredAnswer
from probes.result.comparison import OVERALL, Difference, Table, differences
from probes.result.variance_pooling import Spread, pooled

PASSES = 5.0
"""A prompt passes when its answers have this mean or more: half of them pass, where answers score 0 or 10."""


@dataclass(frozen=True, slots=True)
class SideLevel:
    """The mean of one side in a category, and the standard deviation between its seeds."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Flip:
    """A prompt that only one side passes, with an answer of each. ``kind``: "format" if the code of most answers that
    failed was right, and only its format was wrong."""

    prompt: str
    category: str
    kind: Literal["algorithmic", "format"]
    before: StoredAnswer
    after: StoredAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionComparison:
    """``before``, ``after``: the levels of the two sides by category; ``differences``: after minus before, overall
    included. Counts of answers of each side: ``failures``: below full marks, by outcome; ``format_only``: those that
    fail only by their format; ``critical``: with a critical failure; ``missing``: without a score."""

    seeds: tuple[int, ...]
    before: Mapping[str, SideLevel]
    after: Mapping[str, SideLevel]
    differences: Mapping[str, Difference]
    failures: Mapping[str, tuple[int, int]]
    format_only: tuple[int, int]
    critical: tuple[int, int]
    missing: tuple[int, int]
    newly_passing: tuple[Flip, ...]
    newly_failing: tuple[Flip, ...]


def outcomes(before: Answers, after: Answers, confidence: float) -> PromotionComparison:
    """Compare two sides, paired by seed, prompt and sample. Both have the same seeds, two or more."""
    category = {answer.prompt: answer.category for own in before.values() for answer in own}
    one, other = paired_scores(before, after)
    prompts, theirs = whole_table(list(category), one)
    _, mine = whole_table(list(category), other)
    categories = [category[prompt] for prompt in prompts]
    places = {OVERALL: list(range(len(prompts)))} | {
        name: [place for place, own in enumerate(categories) if own == name] for name in sorted(set(categories))
    }
    levels = [
        {
            name: SideLevel(float(table[:, own].mean()), float(table[:, own].mean(axis=1).std(ddof=1)))
            for name, own in places.items()
        }
        for table in (theirs, mine)
    ]
    both = [[answer for own in side.values() for answer in own] for side in (before, after)]
    rose, fell = _flips(before, after), _flips(after, before)
    return PromotionComparison(
        seeds=tuple(sorted(before)),
        before=levels[0],
        after=levels[1],
        differences=differences(mine, theirs, categories, confidence, _spreads(mine, theirs, categories)),
        failures=_failures(*both),
        format_only=_counts(both, lambda answer: answer.format_only),
        critical=_counts(both, lambda answer: bool(answer.critical)),
        missing=_counts(both, lambda answer: answer.score is None),
        newly_passing=rose,
        newly_failing=tuple(Flip(f.prompt, f.category, f.kind, f.after, f.before) for f in fell),
    )


def _spreads(mine: Table, theirs: Table, categories: Sequence[str]) -> dict[str, Spread]:
    """The variance between seeds of each category, as the other categories suggest it: three seeds hardly show it."""
    own = {
        name: Spread(found.variance, len(mine) - 1)
        for name, found in differences(mine, theirs, categories).items()
        if name != OVERALL
    }
    return {name: pooled(spread for other, spread in own.items() if other != name) for name in own}


def _counts(sides: Sequence[Sequence[StoredAnswer]], counted: Callable[[StoredAnswer], bool]) -> tuple[int, int]:
    one, other = (sum(map(counted, side)) for side in sides)
    return one, other


def _failures(before: Sequence[StoredAnswer], after: Sequence[StoredAnswer]) -> dict[str, tuple[int, int]]:
    """Outcomes of answers below full marks, the most frequent first."""
    counts = [
        Counter(answer.outcome or "no outcome" for answer in side if answer.score is not None and answer.score < 10)
        for side in (before, after)
    ]
    names = sorted({*counts[0], *counts[1]}, key=lambda name: (-counts[0][name] - counts[1][name], name))
    return {name: (counts[0][name], counts[1][name]) for name in names}


def _flips(failing: Answers, passing: Answers) -> tuple[Flip, ...]:
    """The prompts that the second side passes and the first one does not, with the worst answer of the first and the
    best of the second."""
    before, after = _by_prompt(failing), _by_prompt(passing)
    found = []
    for prompt, own in before.items():
        other = after.get(prompt, [])
        if not own or not other or _mean(own) >= PASSES or _mean(other) < PASSES:
            continue
        failed = [answer for answer in own if _score(answer) < PASSES]
        by_format = 2 * sum(answer.format_only for answer in failed) >= len(failed)
        typical = [answer for answer in failed if answer.format_only == by_format]
        kind: Literal["algorithmic", "format"] = "format" if by_format else "algorithmic"
        found.append(Flip(prompt, own[0].category, kind, min(typical, key=_score), max(other, key=_score)))
    return tuple(found)


def _by_prompt(answers: Answers) -> dict[str, list[StoredAnswer]]:
    """The answers with a score by prompt."""
    found: dict[str, list[StoredAnswer]] = {}
    for own in answers.values():
        for answer in own:
            if answer.score is not None:
                found.setdefault(answer.prompt, []).append(answer)
    return found


def _mean(answers: Sequence[StoredAnswer]) -> float:
    return fmean(map(_score, answers))


def _score(answer: StoredAnswer) -> float:
    return answer.score or 0.0
