"""Which texts ask the same thing in nearly the same words: equal after normalisation, or by shingles of three words.

Normalisation folds case, white space and punctuation; words, numbers, identifiers and operators stay. Similarity is
the Jaccard index of the sets of three-word shingles (Broder 1997, "On the resemblance and containment of documents").
Two texts are near duplicates from ``NEAR`` on, when the same numbers and identifiers occur in both: a template filled
with another number or name is another task. A text that stands in another word for word is a near duplicate, too,
whatever is around it. A text below ``FEWEST`` words is only compared for equality.

NEAR is met by two texts of 16 words that differ in the last, or of 22 that differ in one in the middle. Lower, and
templates that are filled with other words ("the largest item of xs", "the smallest") would be one task.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Generic, TypeVar

NEAR = 0.72
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
        shown = "".join(char for char in text if unicodedata.category(char) != "Cf")  # soft hyphens and the like
        folded = unicodedata.normalize("NFKC", shown).casefold()
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

    @cached_property
    def line(self) -> str:
        """The words with a blank on each side, so that whole words are found in it."""
        return f" {' '.join(self.words)} "

    def holds(self, other: "Wording") -> bool:
        """Does the other text, of FEWEST words or more, stand in this one word for word?"""
        return len(other.words) >= FEWEST and other.line in self.line

    def similarity(self, other: "Wording") -> float:
        """1 for equal wordings or one that holds the other, else the Jaccard index of the shingles; 0 where numbers or
        identifiers differ."""
        if self.words == other.words or self.holds(other) or other.holds(self):
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
        self._first = {wording: place for place, (wording, _) in reversed(list(enumerate(self._all)))}
        self._frequency = Counter(shingle for wording, _ in self._all for shingle in wording.shingles)
        self._places: dict[tuple[frozenset[str], str], list[int]] = defaultdict(list)
        self._rarest_of: dict[str, list[int]] = defaultdict(list)
        for place, (wording, _) in enumerate(self._all):
            for shingle in self._rarest(wording)[:1]:
                self._rarest_of[shingle].append(place)
            for shingle in self._rarest(wording):
                if len(places := self._places[wording.names, shingle]) < MOST:
                    places.append(place)

    def near(self, text: str) -> tuple[Item, float] | None:
        """The item most similar to the text and the similarity, where that is NEAR or more."""
        return self._near(Wording.of(text), len(self._all))

    def repeats(self) -> list[tuple[Item, Item, float]]:
        """Each item that is near an earlier one, that one, and their similarity."""
        found = ((item, self._near(wording, place)) for place, (wording, item) in enumerate(self._all))
        return [(item, *near) for item, near in found if near is not None]

    def _near(self, wording: Wording, end: int) -> tuple[Item, float] | None:
        """Among the items before the place ``end``."""
        if (first := self._first.get(wording, end)) < end:
            return self._all[first][1], 1.0
        if (held := self._held(wording, end)) is not None:
            return held, 1.0
        hits = (self._places.get((wording.names, shingle), ()) for shingle in self._rarest(wording))
        places = {place for found in hits for place in found if place < end}
        similarity, place = max(((wording.similarity(self._all[p][0]), -p) for p in places), default=(0.0, 0))
        return (self._all[-place][1], similarity) if similarity >= NEAR else None

    def _held(self, wording: Wording, end: int) -> Item | None:
        """The first item whose whole text stands in this one."""
        places = {place for shingle in wording.shingles for place in self._rarest_of.get(shingle, ()) if place < end}
        return next((self._all[place][1] for place in sorted(places) if wording.holds(self._all[place][0])), None)

    def _rarest(self, wording: Wording) -> list[str]:
        size = len(wording.shingles)
        kept = size - ceil(NEAR * size) + 1 if size else 0
        return sorted(wording.shingles, key=lambda shingle: (self._frequency[shingle], shingle))[:kept]
