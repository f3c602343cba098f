"""How near two questions are: Jaccard similarity of their shingles of three words."""

import re
from collections.abc import Iterable

NEAR = 0.5
WORDS = 3

Shingles = frozenset[tuple[str, ...]]


def shingles(text: str) -> Shingles:
    """Every run of three words in lower case; a text of fewer words is one shingle."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    return frozenset(tuple(words[start : start + WORDS]) for start in range(max(1, len(words) - WORDS + 1)))


def jaccard(one: Shingles, other: Shingles) -> float:
    return len(one & other) / len(one | other)


class Reserved:
    """Questions that nothing may come near: those of the probe and holdout splits."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._shingles = [shingles(text) for text in texts]

    def is_near(self, text: str) -> bool:
        own = shingles(text)
        return any(jaccard(own, other) >= NEAR for other in self._shingles)
