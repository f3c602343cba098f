"""Answers before and after a KEEP: three prompts, each with an answer of the incumbent and one of the stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from common.errors import BadInput
from probes.result.reading import Reading, Score
from probes.run.store import ANSWERS, ProbeStore
from view.data.search.replicates import measured_pairs
from view.data.search.stacks import Stack, stacks
from view.data.session_record import SessionRecord

MOST_LOOKED_AT = 8
"""Pairs of answers to a prompt among which two different texts are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """``cut``: at max_new_tokens; None where that is not known."""

    text: str
    score: float
    outcome: str
    cut: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerExample:
    """``which``: "best", "typical" (the median) or "worst" change in score. ``change``: the mean over ``answers`` pairs
    of answers to the prompt; shown is one that changed alike, of ``seed`` and ``sample``. ``asked``: None where the
    prompts file is gone or has changed."""

    which: str
    prompt: str
    category: str
    asked: str | None
    change: float
    answers: int
    seed: int
    sample: int
    before: ShownAnswer
    after: ShownAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAnswers:
    """``prompts``: those that the examples were taken from; ``missing``: why there are none, "" if there are some."""

    number: int
    prompts: int
    examples: tuple[AnswerExample, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Two answers to a prompt of one pair of probes and one sample, by their scores."""

    mine: Reading
    theirs: Reading
    after: Score
    before: Score

    @property
    def change(self) -> float:
        return self.after.value - self.before.value


@dataclass
class _Texts:
    """The rows of answers.jsonl by prompt and sample, each file read once, when it is asked for."""

    store: ProbeStore
    _read: dict[str, Mapping[tuple[str, int], Mapping[str, Any]]] = field(default_factory=dict)

    def exist(self, reading: Reading) -> bool:
        return (self.store.directory(reading.probe) / ANSWERS).exists()

    def row(self, reading: Reading, score: Score) -> Mapping[str, Any] | None:
        if reading.probe not in self._read:
            rows = self.store.answers(reading.probe)
            self._read[reading.probe] = {(row["prompt"], row["sample"]): row for row in rows}
        return self._read[reading.probe].get((score.prompt, score.sample))


def answer_examples(record: SessionRecord) -> tuple[StackAnswers, ...]:
    """Of each stack that was kept, oldest first."""
    kept = [stack for stack in stacks(record) if stack.decision and stack.decision.status == "KEEP"]
    return tuple(_of_stack(record, stack) for stack in kept)


def _of_stack(record: SessionRecord, stack: Stack) -> StackAnswers:
    texts, pairs = _Texts(record.store), measured_pairs(record, stack)
    if not pairs:
        return StackAnswers(number=stack.number, prompts=0, examples=(), missing="its probes can no longer be read")
    kept = [(mine, theirs) for mine, theirs in pairs if texts.exist(mine) and texts.exist(theirs)]
    by_prompt = _places(kept)
    ranked = sorted(by_prompt, key=lambda prompt: (_mean_change(by_prompt[prompt]), prompt))
    chosen = {ranked[len(ranked) // 2]: "typical", ranked[0]: "worst", ranked[-1]: "best"} if ranked else {}
    asked = wordings(record, pairs[0][0].key.prompts)
    found = [_example(which, by_prompt[prompt], asked.get(prompt), texts) for prompt, which in chosen.items()]
    order = ("best", "typical", "worst")
    examples = tuple(sorted((one for one in found if one), key=lambda one: order.index(one.which)))
    missing = "" if examples else "its probes have no answers.jsonl that can be read (simulated ones never do)"
    return StackAnswers(number=stack.number, prompts=len(ranked), examples=examples, missing=missing)


def _places(pairs: Sequence[tuple[Reading, Reading]]) -> dict[str, list[_Place]]:
    """By prompt: what both sides have a score for."""
    found: dict[str, list[_Place]] = {}
    for mine, theirs in pairs:
        before = {(score.prompt, score.sample): score for score in theirs.scores}
        for after in mine.scores:
            if (after.prompt, after.sample) in before:
                place = _Place(mine, theirs, after, before[after.prompt, after.sample])
                found.setdefault(after.prompt, []).append(place)
    return found


def _mean_change(places: Sequence[_Place]) -> float:
    return fmean(place.change for place in places)


def _example(which: str, places: Sequence[_Place], asked: str | None, texts: _Texts) -> AnswerExample | None:
    """Two answers that changed as the prompt did, up or down, and as nearly by as much as there are; if possible two
    that differ. None if their texts are gone."""
    mean = _mean_change(places)
    nearest = sorted(places, key=lambda place: (place.change * mean <= 0, abs(place.change - mean)))[:MOST_LOOKED_AT]
    shown = [
        (place, before, after)
        for place in nearest
        if (before := texts.row(place.theirs, place.before)) and (after := texts.row(place.mine, place.after))
    ]
    if not shown:
        return None
    place, before, after = next((one for one in shown if one[1]["text"] != one[2]["text"]), shown[0])
    return AnswerExample(
        which=which,
        prompt=place.after.prompt,
        category=place.after.category,
        asked=asked,
        change=mean,
        answers=len(places),
        seed=place.mine.seed,
        sample=place.after.sample,
        before=_shown(before, place.before),
        after=_shown(after, place.after),
    )


def _shown(row: Mapping[str, Any], score: Score) -> ShownAnswer:
    reason = row.get("finish_reason")
    cut = None if reason is None else reason == "length"
    return ShownAnswer(text=str(row["text"]), score=score.value, outcome=score.outcome, cut=cut)


def wordings(record: SessionRecord, digest: str) -> Mapping[str, str]:
    """The texts of the probe prompts, by id; none where the study's prompts are not those of the readings any more."""
    material = record.study.material
    try:
        if material.prompts_digest != digest:
            return {}
        return {prompt.id: prompt.wording for prompt in material.probe_prompts}
    except (BadInput, OSError):
        return {}
