"""Answers of two recipes to the same prompts, pair by pair; both use the same random numbers, except in an A/A test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from common.errors import BadInput
from probes.result.reading import Reading, Score
from probes.run.store import ANSWERS, ProbeStore
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """An answer with its score. ``cut``: whether it was cut at max_new_tokens; None if that is not known."""

    text: str
    score: float
    outcome: str
    cut: bool | None


@dataclass(frozen=True, slots=True)
class ScoredAnswerPair:
    """The scores of two answers to one prompt: the same sample of the two probes of a pair."""

    mine: Reading
    theirs: Reading
    after: Score
    before: Score

    @property
    def change(self) -> float:
        return self.after.value - self.before.value


@dataclass
class AnswerTexts:
    """The rows of answers.jsonl by prompt and sample; each file is read once, when it is first needed."""

    store: ProbeStore
    _read: dict[str, Mapping[tuple[str, int], Mapping[str, Any]]] = field(default_factory=dict)

    def exist(self, reading: Reading) -> bool:
        return (self.store.directory(reading.probe) / ANSWERS).exists()

    def row(self, reading: Reading, score: Score) -> Mapping[str, Any] | None:
        if reading.probe not in self._read:
            rows = self.store.answers(reading.probe)
            self._read[reading.probe] = {(row["prompt"], row["sample"]): row for row in rows}
        return self._read[reading.probe].get((score.prompt, score.sample))


def places_of(pairs: Sequence[tuple[Reading, Reading]]) -> dict[str, list[ScoredAnswerPair]]:
    """The pairs of answers that have a score on both sides, by prompt."""
    found: dict[str, list[ScoredAnswerPair]] = {}
    for mine, theirs in pairs:
        before = {(score.prompt, score.sample): score for score in theirs.scores}
        for after in mine.scores:
            if (after.prompt, after.sample) in before:
                place = ScoredAnswerPair(mine, theirs, after, before[after.prompt, after.sample])
                found.setdefault(after.prompt, []).append(place)
    return found


def mean_change(places: Sequence[ScoredAnswerPair]) -> float:
    return fmean(place.change for place in places)


def shown_answer(row: Mapping[str, Any], score: Score) -> ShownAnswer:
    reason = row.get("finish_reason")
    cut = None if reason is None else reason == "length"
    return ShownAnswer(text=str(row["text"]), score=score.value, outcome=score.outcome, cut=cut)


def wordings(record: SessionRecord, digest: str) -> Mapping[str, str]:
    """The texts of the probe prompts, by id; empty if the study's prompts have changed since the readings."""
    material = record.study.material
    try:
        if material.prompts_digest != digest:
            return {}
        return {prompt.id: prompt.wording for prompt in material.probe_prompts}
    except (BadInput, OSError):
        return {}
