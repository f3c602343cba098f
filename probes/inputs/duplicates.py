"""Near duplicates: texts that ask the same in nearly the same words, found by shingles of three words.

Normalisation folds case, white space and punctuation; words, numbers, identifiers and operators stay. Similarity is
the Jaccard index of the sets of three-word shingles (Broder 1997, "On the resemblance and containment of documents").
Two texts are near duplicates if their similarity is at least ``NEAR`` and they have the same numbers and identifiers: a
template with another number or name is another task. A text that contains the other one word for word is a near
duplicate, too. Texts of fewer than ``FEWEST`` words are only compared for equality.

Two texts of 16 words that differ in the last word have the similarity NEAR, and so have two of 22 words that differ in
one in the middle. With a lower NEAR, "the largest item of xs" and "the smallest item of xs" would be one task.
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

# A word or an operator, because 3 - 4 is not 3 + 4. In scripts without spaces, each character is a word.
_SCRIPTS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_SCRIPTS}]|[^\W{_SCRIPTS}]+|[+*/%<>=^&|~$€£]|(?<!\w)-(?!-)")
_NAME = re.compile(r"[\d_]")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Wording:
    """The words of a text. Texts that differ only in case, spacing and punctuation have the same wording."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Wording":
        """A text without words, such as a row of emoji, counts as one word."""
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
        """The words, each between two blanks, for a search of whole words."""
        return f" {' '.join(self.words)} "

    def contains(self, other: "Wording") -> bool:
        """Whether this text contains the other one, of FEWEST words or more, word for word."""
        return len(other.words) >= FEWEST and other.line in self.line

    def similarity(self, other: "Wording") -> float:
        """1 if the wordings are equal or one contains the other, 0 if numbers or identifiers differ, else the Jaccard
        index of the shingles."""
        if self.words == other.words or self.contains(other) or other.contains(self):
            return 1.0
        if self.names != other.names or not (self.shingles and other.shingles):
            return 0.0
        return len(self.shingles & other.shingles) / len(self.shingles | other.shingles)


class Wordings(Generic[Item]):
    """An index of items by the wording of their texts, which finds near duplicates.

    It uses prefix filtering (Chaudhuri, Ganti & Kaushik 2006): if two sets have a Jaccard index of t or more, then the
    rarest |s| - ceil(t |s|) + 1 shingles of both have one in common, and few items share a rare shingle. If more than
    ``MOST`` texts have such a shingle, as with a preamble that all prompts share, only the first of them are compared.
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
        """The most similar item and the similarity; None if that is below NEAR."""
        return self._near(Wording.of(text), len(self._all))

    def repeats(self) -> list[tuple[Item, Item, float]]:
        """(item, earlier item, similarity) for each item that is a near duplicate of an earlier one."""
        found = ((item, self._near(wording, place)) for place, (wording, item) in enumerate(self._all))
        return [(item, *near) for item, near in found if near is not None]

    def _near(self, wording: Wording, end: int) -> tuple[Item, float] | None:
        """``near`` among the items before the place ``end``."""
        if (first := self._first.get(wording, end)) < end:
            return self._all[first][1], 1.0
        if (contained := self._contained(wording, end)) is not None:
            return contained, 1.0
        hits = (self._places.get((wording.names, shingle), ()) for shingle in self._rarest(wording))
        places = {place for found in hits for place in found if place < end}
        similarity, place = max(((wording.similarity(self._all[p][0]), -p) for p in places), default=(0.0, 0))
        return (self._all[-place][1], similarity) if similarity >= NEAR else None

    def _contained(self, wording: Wording, end: int) -> Item | None:
        """The first item whose whole text this wording contains."""
        places = {place for shingle in wording.shingles for place in self._rarest_of.get(shingle, ()) if place < end}
        return next((self._all[place][1] for place in sorted(places) if wording.contains(self._all[place][0])), None)

    def _rarest(self, wording: Wording) -> list[str]:
        size = len(wording.shingles)
        kept = size - ceil(NEAR * size) + 1 if size else 0
        return sorted(wording.shingles, key=lambda shingle: (self._frequency[shingle], shingle))[:kept]
