"""Rows of a set that repeat an earlier one. Texts are compared as in probes/inputs/duplicates.py.

An answer to two different prompts is boilerplate, or belongs to only one of them. Answers of fewer than FEWEST words
("Yes.", "Paris") may be right for many prompts. The same prompt may have the same answer twice, against different
rejected sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preferences.store.annotations import AnnotatedRow
from probes.inputs.duplicates import FEWEST, NEAR, Wording, Wordings
from probes.inputs.rows.turns import plain


@dataclass(frozen=True, slots=True)
class Repeat:
    """The earlier row. whole: prompt and both sides are equal; else only the chosen sides are similar."""

    row: str
    similarity: float
    whole: bool


@dataclass(frozen=True, slots=True)
class _AnswerText:
    row: str
    prompt: Wording
    chosen: Wording


def repeats(rows: Sequence[AnnotatedRow], near: float = NEAR) -> Mapping[str, Repeat]:
    """The rows that repeat an earlier one, by id; about linear in their number. ``near``: the least similarity of two
    answers, NEAR or more."""
    first: dict[tuple[Wording, ...], str] = {}
    answers: list[tuple[str, _AnswerText]] = []
    repeat_of: dict[str, Repeat] = {}
    for row in rows:
        prompt, chosen, rejected = (Wording.of(plain(text)) for text in (row.row.prompt, *row.texts))
        earlier_id = first.setdefault((prompt, chosen, rejected), row.id)
        if earlier_id != row.id:
            repeat_of[row.id] = Repeat(earlier_id, 1.0, True)
        if len(chosen.words) >= FEWEST:
            answers.append((plain(row.texts[0]), _AnswerText(row.id, prompt, chosen)))
    for answer, earlier, _ in Wordings(answers).repeats():
        similarity = shingle_similarity(answer.chosen, earlier.chosen)
        if similarity >= near and answer.prompt.similarity(earlier.prompt) < NEAR:
            repeat_of.setdefault(answer.row, Repeat(earlier.row, similarity, False))
    return repeat_of


def shingle_similarity(text: Wording, other: Wording) -> float:
    """Like `Wording.similarity`, but a text that contains the other does not count as equal to it."""
    if text.words == other.words:
        return 1.0
    if text.names != other.names or not (text.shingles and other.shingles):
        return 0.0
    return len(text.shingles & other.shingles) / len(text.shingles | other.shingles)
