"""Compares a rendered answer with the text of its token ids."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

from probes.inputs.rows.turns import Turns


def contents(text: Turns) -> list[str]:
    """The contents of the turns, or the text itself."""
    return [text] if isinstance(text, str) else [turn.content for turn in text]


def difference(
    first: tuple[str, str], whole: tuple[str, str], row: Sequence[str], split_pattern: re.Pattern[str]
) -> tuple[str, str] | None:
    """Where a rendered answer and the text of its ids differ, both texts; None if they are the same.

    Characters are compared up to Unicode's canonical equivalence, and white space beside special tokens only if the row
    has it. ``first``: the content of the first turn, rendered and from the ids; ``whole``: the whole answer, likewise;
    ``row``: the contents of the row; ``split_pattern`` matches special tokens.
    """
    rendered_first, decoded_first, rendered, decoded = map(_composed, (*first, *whole))
    parts = list(map(_composed, row))
    if decoded_first != parts[0] and _edges(decoded_first) != _edges(rendered_first):
        return rendered_first, decoded_first
    pieces = zip_longest(split_pattern.split(rendered), split_pattern.split(decoded), fillvalue="")
    for one, other in pieces:
        if one.strip() != other.strip() or _lacks(other, parts, one):
            return one, other
    return (rendered, decoded) if _lacks(decoded, parts, rendered) else None


def _lacks(decoded: str, parts: Sequence[str], rendered: str) -> bool:
    return any(part in rendered and part not in decoded for part in parts)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _edges(text: str) -> tuple[str, str]:
    """The white space at the beginning and at the end."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def excerpts(one: str, other: str) -> tuple[str, str]:
    """Both texts around the first place where they differ, quoted."""
    pairs = enumerate(zip(one, other, strict=False))
    at = next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
    return repr(one[max(0, at - 60) : at + 60]), repr(other[max(0, at - 60) : at + 60])


def text_changes(answer: str, decoded: str) -> str:
    """The message for an answer whose ids have another text, with both texts."""
    written, trained = excerpts(answer, decoded)
    return (
        f"the tokenizer changes its answer: ...{written}... would be trained as ...{trained}...; write the answer as "
        "the tokenizer keeps it, or take the row out"
    )
