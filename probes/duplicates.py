"""Which texts ask the same thing in nearly the same words: equal after normalisation, or by shingles of three words.

Normalisation folds case, white space and punctuation; words, numbers, identifiers and operators stay. Similarity is
the Jaccard index of the sets of three-word shingles (Broder 1997, "On the resemblance and containment of documents").
Two texts are near duplicates from ``NEAR`` on, when the same numbers and identifiers occur in both: a template filled
with another number or name is another task. A text below ``FEWEST`` words is only compared for equality.

At NEAR a three-word instruction ("Keep it short.") added to a task of 14 words or more makes no other task of it.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Generic, TypeVar

NEAR = 0.8
WORDS = 3
FEWEST = 6
MOST = 50

# A word, or a sign that is part of what is asked: 3 - 4 is not 3 + 4. Scripts without spaces give a word a character.
_SCRIPTS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_SCRIPTS}]|[^\W{_SCRIPTS}]+|[+*/%<>=^&|~$€£]|(?<!\w)-(?!-)")
_NAME = re.compile(r"[\d_]")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Wording:
    """A text by its words: equal for texts that differ in case, spacing and punctuation alone."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Wording":
        """A text without a word, a row of emoji say, is one word."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        return cls(tuple(_TOKEN.findall(folded)) or (text.strip(),))

    @cached_property
    def names(self) -> frozenset[str]:
        """The numbers and identifiers: words with a digit or an underscore."""
        return frozenset(word for word in self.words if _NAME.search(word))

    @cached_property
    def shingles(self) -> frozenset[str]:
        if len(self.words) < FEWEST:
            return frozenset()
        return frozenset(map(" ".join, zip(*(self.words[start:] for start in range(WORDS)), strict=False)))

    def similarity(self, other: "Wording") -> float:
        """1 for equal wordings, else the Jaccard index of the shingles; 0 where numbers or identifiers differ."""
        if self.words == other.words:
            return 1.0
        if self.names != other.names or not (self.shingles and other.shingles):
            return 0.0
        return len(self.shingles & other.shingles) / len(self.shingles | other.shingles)


class Wordings(Generic[Item]):
    """Items by the wording of a text, for finding one that is near another text.

    Quick by prefix filtering (Chaudhuri, Ganti & Kaushik 2006): of two sets with a Jaccard index of t or more, the
    rarest |s| - ceil(t |s|) + 1 shingles of each have one in common, and rare shingles lead to few items. A shingle
    that more than ``MOST`` texts have there, a preamble that all prompts share, leads to the first of them only.
    """

    def __init__(self, texts: Iterable[tuple[str, Item]]) -> None:
        self._all = [(Wording.of(text), item) for text, item in texts]
        self._equal = {wording: item for wording, item in reversed(self._all)}
        self._frequency = Counter(shingle for wording, _ in self._all for shingle in wording.shingles)
        self._places: dict[tuple[frozenset[str], str], list[int]] = defaultdict(list)
        for place, (wording, _) in enumerate(self._all):
            for shingle in self._rarest(wording):
                if len(places := self._places[wording.names, shingle]) < MOST:
                    places.append(place)

    def near(self, text: str) -> tuple[Item, float] | None:
        """The item most similar to the text and the similarity, where that is NEAR or more."""
        wording = Wording.of(text)
        if wording in self._equal:
            return self._equal[wording], 1.0
        hits = (self._places.get((wording.names, shingle), ()) for shingle in self._rarest(wording))
        found = [(wording.similarity(self._all[place][0]), -place) for place in {p for places in hits for p in places}]
        similarity, place = max(found, default=(0.0, 0))
        return (self._all[-place][1], similarity) if similarity >= NEAR else None

    def _rarest(self, wording: Wording) -> list[str]:
        size = len(wording.shingles)
        kept = size - ceil(NEAR * size) + 1 if size else 0
        return sorted(wording.shingles, key=lambda shingle: (self._frequency[shingle], shingle))[:kept]
