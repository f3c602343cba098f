"""The words in which two texts differ, for showing them side by side."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; ``differs``: whether the other text lacks it at this place."""

    text: str
    differs: bool


def differing_words(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts as pieces, which joined give the text. White space alone does not count as equal, so a changed phrase
    is one piece. The time grows with the product of the lengths, so cut long texts."""
    mine, theirs = _WORDS.findall(before), _WORDS.findall(after)
    left, right = list[Piece](), list[Piece]()
    for kind, a, b, c, d in SequenceMatcher(_is_blank, mine, theirs, autojunk=False).get_opcodes():
        if b > a:
            left.append(Piece("".join(mine[a:b]), kind != "equal"))
        if d > c:
            right.append(Piece("".join(theirs[c:d]), kind != "equal"))
    return tuple(left), tuple(right)


def _is_blank(word: str) -> bool:
    return word.isspace() and "\n" not in word
