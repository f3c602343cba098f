"""Where the answers and prompts of a set lie: by the words that they share, or by the vectors of an embedder.

By words: TF-IDF of words and of the 3 to 5 characters within them, which stand in for stems (Salton & Buckley 1988,
"Term-weighting approaches in automatic text retrieval"), with the square of the inverse document frequency, so that a
rare word that answer and prompt share counts and "what should I" does not; a document is a row. A prompt's profile is
what it asks, and the mean of its rejected sides, which name the thing where the prompt only hints at it.

By an embedder: its vectors, centred on the set (Arora, Liang & Ma 2017, "A simple but tough-to-beat baseline for
sentence embeddings", remove what all have in common), and a prompt's profile is what it asks.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 20_000
COMMON, SMALL = 0.2, 500
"""Terms in a larger share of more than SMALL rows are left out: they weigh next to nothing and take most time."""

Array = NDArray[np.float32]
Places = NDArray[np.intp]
Embed = Callable[[Sequence[str]], Array]
"""One vector a text."""
Matrix = Any
"""One vector a row: scipy's sparse rows, or an Array."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a leak: how much nearer another prompt is at least, how near that one at least, its own at most."""

    margin: float
    floor: float
    far: float


BY_WORDS = Bounds(0.1, 0.12, 0.2)
BY_EMBEDDER = Bounds(0.11, 0.12, 0.2)
"""Chosen with averaged vectors of words; not measured with a model that reads whole texts. See the docstring of
nearness.py."""


@dataclass(frozen=True)
class Space:
    """answers: of the rows. prompts, profiles: of the distinct prompts. All lie in one space."""

    answers: Matrix
    prompts: Matrix
    profiles: Matrix
    bounds: Bounds

    def near(self, rows: slice | Places) -> Array:
        """How near these answers are to each prompt of the set; a new array."""
        found = self.answers[rows] @ self.profiles.T
        return np.asarray(found if isinstance(found, np.ndarray) else found.toarray(), dtype=np.float32)

    def alike(self, prompts: Places, others: Places) -> Array:
        """The cosines of prompts with as many others."""
        some, other = self.prompts[prompts], self.prompts[others]
        product = some * other if isinstance(some, np.ndarray) else some.multiply(other)
        return np.asarray(product.sum(axis=1), dtype=np.float32).ravel()


def by_words(asked: Places, prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Space:
    """asked: the place of each row's prompt among the prompts."""
    from scipy import sparse

    kinds = [[_words(text) for text in texts] for texts in (prompts, chosen, rejected)]
    rows = [" ".join((kinds[0][place], *sides)) for place, *sides in zip(asked, *kinds[1:], strict=True)]
    about, answers, others = _weighed(rows, kinds)
    count = np.bincount(asked, minlength=len(prompts))
    shares = sparse.csr_array((1 / count[asked].astype(np.float32), (asked, np.arange(len(asked)))))
    return Space(answers, about, (about + shares @ others).tocsr(), BY_WORDS)


def by_embedder(embed: Embed, prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Space:
    about, answers, others = (unit(embed(texts)) for texts in (prompts, chosen, rejected))
    about, answers = unit(about - about.mean(0)), unit(answers - (answers.mean(0) + others.mean(0)) / 2)
    return Space(answers, about, about, BY_EMBEDDER)


def unit(rows: Array) -> Array:
    """Each row of length 1, or zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 1e-6, lengths, np.inf), dtype=np.float32)


def _weighed(rows: Sequence[str], kinds: Sequence[Sequence[str]]) -> list[Matrix]:
    """Words and characters weigh the same."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(row.strip() for row in rows):
        return [sparse.csr_array((len(kind), 1), dtype=np.float32) for kind in kinds]
    parts = [
        TfidfVectorizer(lowercase=False, sublinear_tf=True, dtype=np.float32, **options).fit(rows)
        for options in ({"token_pattern": r"\w+"}, {"analyzer": "char_wb", "ngram_range": (3, 5)})
    ]
    for part in parts:
        weights = (part.idf_ - 1) ** 2
        part.idf_ = np.where(weights < np.log(1 / COMMON) ** 2, 0, weights) if len(rows) > SMALL else weights
    return [_joined([part.transform(kind) for part in parts]) for kind in kinds]


def _joined(parts: Sequence[Matrix]) -> Matrix:
    from scipy import sparse
    from sklearn.preprocessing import normalize

    found = sparse.hstack([normalize(part) for part in parts], format="csr")
    found.eliminate_zeros()
    return normalize(found)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text[:LONGEST].lower()))
