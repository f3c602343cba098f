"""Rules that end a full-length run: exploding gradients, reward collapse, and answers that collapse. Pure functions.

Each returns the reason in words, or "". NaN and infinity end a run in the trainer (probes/train/trl.py).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy

from evaluation.statistics import mean_interval
from probes.result.proportions import proportion_interval

LogLine = Mapping[str, Any]
"""A line of train.jsonl."""

CONFIDENCE = 0.99
"""The confidence of the rules that end a run."""
WORSE = 0.95
"""The confidence with which a checkpoint is worse than the base, and so not a good one."""
EXPLODED = 100.0
"""Gradients explode when their norms are this many times the median of earlier steps."""
ROW_OF_STEPS = 5
"""The number of steps in a row whose norms must be so large."""
BEFORE = 50
"""The number of earlier steps whose median is taken."""
WINDOW = 50
"""The number of steps over which reward margins are averaged."""
LOST_SHARE, LOST_POINTS = 0.25, 1.0
"""A collapse loses at least a quarter of the base's mean score, and at least one point, with confidence."""
FEWEST = 4
"""Prompts with a score on both sides that a comparison needs."""
SHORTEST_LOOP = 40
"""The fewest characters of an answer that may count as repeating itself."""
COMPRESSED = 0.2
"""An answer that is compressed to this share of its size repeats itself: code and prose keep 0.3 or more."""


@dataclass(frozen=True)
class SpotAnswer:
    """An answer to a holdout prompt. ``score``: 0 to 10; None without one."""

    prompt: str
    category: str
    text: str
    score: float | None

    @property
    def degenerate(self) -> bool:
        """Whether it is empty or repeats itself."""
        text = self.text.strip()
        if len(text) < SHORTEST_LOOP:
            return not text
        content = text.encode(errors="replace")
        return len(zlib.compress(content, 9)) - 8 < COMPRESSED * len(content)


@dataclass(frozen=True)
class SpotCheck:
    """The answers at one step; those of the base have step 0."""

    step: int
    answers: tuple[SpotAnswer, ...]

    @property
    def mean(self) -> float | None:
        scores = [answer.score for answer in self.answers if answer.score is not None]
        return fmean(scores) if scores else None

    @property
    def degenerate(self) -> int:
        return sum(answer.degenerate for answer in self.answers)


def collapse(base: SpotCheck, now: SpotCheck) -> str:
    """Whether the answers have collapsed: they score far below the base's own, or most of them are degenerate."""
    return _score_collapse(base, now) or _degeneration(base, now)


def worse(base: SpotCheck, now: SpotCheck) -> str:
    """Whether the answers score lower than the base's own, with confidence. That ends no run."""
    found = _change(base, now, WORSE)
    return _in_words(found) if found is not None and found.high < 0 else ""


def _score_collapse(base: SpotCheck, now: SpotCheck) -> str:
    found = _change(base, now, CONFIDENCE)
    lost = found is not None and found.high < -max(LOST_POINTS, LOST_SHARE * found.base)
    return _in_words(found) if found is not None and lost else ""


@dataclass(frozen=True)
class _DifferenceFromBase:
    """The mean difference to the base's own scores, prompt by prompt; it is below ``high`` with confidence."""

    prompts: int
    base: float
    change: float
    high: float
    confidence: float


def _change(base: SpotCheck, now: SpotCheck, confidence: float) -> _DifferenceFromBase | None:
    """None where fewer than four prompts have a score on both sides."""
    before = {answer.prompt: answer.score for answer in base.answers}
    pairs = [
        (start, answer.score)
        for answer in now.answers
        if answer.score is not None and (start := before.get(answer.prompt)) is not None
    ]
    if len(pairs) < FEWEST:
        return None
    changes = [score - start for start, score in pairs]
    return _DifferenceFromBase(
        len(pairs), fmean(start for start, _ in pairs), fmean(changes), _bounds(changes, confidence)[1], confidence
    )


def _in_words(found: _DifferenceFromBase) -> str:
    return (
        f"the answers to {found.prompts} holdout prompts score {found.base + found.change:.2f} where the base's own "
        f"score {found.base:.2f} (difference {found.change:+.2f}, below {found.high:+.2f} with {found.confidence:.0%} "
        "confidence)"
    )


def _degeneration(base: SpotCheck, now: SpotCheck) -> str:
    """By the share of answers that are empty or repeat themselves."""
    if not now.answers or not base.answers or 2 * now.degenerate <= len(now.answers):
        return ""
    least, _ = proportion_interval(now.degenerate, len(now.answers), CONFIDENCE, "wilson")
    _, most = proportion_interval(base.degenerate, len(base.answers), CONFIDENCE, "wilson")
    if least <= most:
        return ""
    return (
        f"{now.degenerate} of {len(now.answers)} answers to holdout prompts are empty or repeat themselves, and "
        f"{base.degenerate} of the base's own are"
    )


def explosion(curve: Sequence[LogLine]) -> str:
    """Whether the last steps' gradient norms, before clipping, are far above those of the steps before."""
    norms = [float(line["grad_norm"]) for line in curve[-BEFORE - ROW_OF_STEPS :] if line.get("grad_norm") is not None]
    earlier, last = norms[:-ROW_OF_STEPS], norms[-ROW_OF_STEPS:]
    if len(earlier) < 2 * ROW_OF_STEPS:
        return ""
    usual = median(earlier)
    if usual <= 0 or min(last) <= EXPLODED * usual:
        return ""
    return (
        f"the gradient norms of the last {ROW_OF_STEPS} steps are at least {min(last):.3g}, and their median before "
        f"was {usual:.3g}"
    )


def reward_collapse(curve: Sequence[LogLine]) -> str:
    """Whether a run that preferred the chosen answers now prefers the rejected ones, both by the mean reward margin of
    a window of steps, with confidence. The last window is compared with the first one that shows the preference."""
    margins = [float(line["rewards_margin"]) for line in curve if line.get("rewards_margin") is not None]
    if len(margins) < 2 * WINDOW:
        return ""
    last = margins[-WINDOW:]
    if fmean(last) >= 0 or _bounds(last)[1] >= 0:
        return ""
    windows = range(0, len(margins) - 2 * WINDOW + 1, WINDOW // 2)
    first = next((at for at in windows if _bounds(margins[at : at + WINDOW])[0] > 0), None)
    if first is None:
        return ""
    return (
        f"the margin of the rewards was {fmean(margins[first : first + WINDOW]):.3g} and is {fmean(last):.3g} in the "
        f"last {WINDOW} steps, so the rejected answers are preferred"
    )


def _bounds(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The one-sided bounds of the mean, below and above."""
    return mean_interval(numpy.array([values]), 2 * confidence - 1)
