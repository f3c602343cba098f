"""Answers before and after a KEEP: three prompts, each with an answer of the incumbent and one of the stack."""

from collections.abc import Sequence
from dataclasses import dataclass

from view.data.answers.pairs import (
    AnswerTexts,
    ScoredAnswerPair,
    ShownAnswer,
    mean_change,
    places_of,
    shown_answer,
    wordings,
)
from view.data.search.replicates import measured_pairs
from view.data.search.stacks import ConfirmedStack, stacks
from view.data.session_record import SessionRecord

MOST_LOOKED_AT = 8
"""The most pairs of answers to a prompt that are searched for two different texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerExample:
    """``which``: "best", "typical" (the median) or "worst" change in score. ``change``: the mean over ``answers`` pairs
    of answers to the prompt; ``before`` and ``after`` are one of these pairs, which changed in the same direction.
    ``asked``: the prompt's text; None if the prompts file is gone or has changed."""

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
    """``prompts``: how many prompts the examples were chosen from; ``missing``: why there are no examples, or ""."""

    number: int
    prompts: int
    examples: tuple[AnswerExample, ...]
    missing: str = ""


def answer_examples(record: SessionRecord) -> tuple[StackAnswers, ...]:
    """The examples of each stack that was kept, oldest first."""
    kept = [stack for stack in stacks(record) if stack.decision and stack.decision.status == "KEEP"]
    return tuple(_of_stack(record, stack) for stack in kept)


def _of_stack(record: SessionRecord, stack: ConfirmedStack) -> StackAnswers:
    texts, pairs = AnswerTexts(record.store), measured_pairs(record, stack)
    if not pairs:
        return StackAnswers(number=stack.number, prompts=0, examples=(), missing="its probes can no longer be read")
    kept = [(mine, theirs) for mine, theirs in pairs if texts.exist(mine) and texts.exist(theirs)]
    by_prompt = places_of(kept)
    ranked = sorted(by_prompt, key=lambda prompt: (mean_change(by_prompt[prompt]), prompt))
    chosen = {ranked[len(ranked) // 2]: "typical", ranked[0]: "worst", ranked[-1]: "best"} if ranked else {}
    asked = wordings(record, pairs[0][0].key.prompts)
    found = [_example(which, by_prompt[prompt], asked.get(prompt), texts) for prompt, which in chosen.items()]
    order = ("best", "typical", "worst")
    examples = tuple(sorted((one for one in found if one), key=lambda one: order.index(one.which)))
    missing = "" if examples else "its probes have no answers.jsonl that can be read (simulated ones never do)"
    return StackAnswers(number=stack.number, prompts=len(ranked), examples=examples, missing=missing)


def _example(
    which: str, places: Sequence[ScoredAnswerPair], asked: str | None, texts: AnswerTexts
) -> AnswerExample | None:
    """The pair of answers whose change has the sign of the prompt's mean change and is nearest to it; if possible one
    whose texts differ. None if the texts are gone."""
    mean = mean_change(places)
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
        before=shown_answer(before, place.before),
        after=shown_answer(after, place.after),
    )
