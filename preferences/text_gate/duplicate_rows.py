"""Which rows of a set say what an earlier one says. Texts are compared as in probes/inputs/duplicates.py.

An answer that is given to two different prompts is boilerplate, or belongs to one of them only. Answers of fewer than
FEWEST words ("Yes.", "Paris") may be right for many. The same prompt may have the same answer twice, against another
rejected side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preferences.store.annotations import AnnotatedRow
from probes.inputs.duplicates import FEWEST, NEAR, Wording, Wordings
from probes.inputs.turns import plain


@dataclass(frozen=True, slots=True)
class Repeat:
    """An earlier row. whole: prompt and both sides are the same; else the chosen side is near, the prompt another."""

    row: str
    similarity: float
    whole: bool


@dataclass(frozen=True, slots=True)
class _Said:
    row: str
    prompt: Wording
    chosen: Wording


def repeats(rows: Sequence[AnnotatedRow]) -> Mapping[str, Repeat]:
    """The rows that repeat an earlier one, by id; about linear in their number."""
    first: dict[tuple[Wording, ...], str] = {}
    texts: list[tuple[str, _Said]] = []
    found: dict[str, Repeat] = {}
    for one in rows:
        row = tuple(Wording.of(plain(text)) for text in (one.row.prompt, *one.texts))
        if (other := first.setdefault(row, one.id)) != one.id:
            found[one.id] = Repeat(other, 1.0, True)
        if len(row[1].words) >= FEWEST:
            texts.append((plain(one.texts[0]), _Said(one.id, row[0], row[1])))
    for said, earlier, _ in Wordings(texts).repeats():
        similarity = alike(said.chosen, earlier.chosen)
        if similarity >= NEAR and said.prompt.similarity(earlier.prompt) < NEAR:
            found.setdefault(said.row, Repeat(earlier.row, similarity, False))
    return found


def alike(text: Wording, other: Wording) -> float:
    """The similarity of two wordings; of a text that the other holds, too, as far as their shingles are the same."""
    if text.words == other.words:
        return 1.0
    if text.names != other.names or not (text.shingles and other.shingles):
        return 0.0
    return len(text.shingles & other.shingles) / len(text.shingles | other.shingles)
