"""Vectors of the answers and prompts of a set: of the words that they share, or of an embedder.

By words: TF-IDF of words and of the 3 to 5 characters within them, in place of stems (Salton & Buckley 1988,
"Term-weighting approaches in automatic text retrieval"), with the square of the inverse document frequency, so that a
rare word that answer and prompt share counts and "what should I" does not; a document is a row. A prompt's profile is
its own vector plus the mean of its rejected sides, which name the thing where the prompt only hints at it.

By an embedder: its vectors, centred on the set (Arora, Liang & Ma 2017, "A simple but tough-to-beat baseline for
sentence embeddings", remove what all have in common). A prompt's profile is its own vector.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 20_000
COMMON, SMALL = 0.2, 500
"""Terms in more than this share of the rows of a set larger than SMALL are left out: they weigh little and take
most of the time."""

Array = NDArray[np.float32]
Indices = NDArray[np.intp]
Embed = Callable[[Sequence[str]], Array]
"""Returns one vector per text."""
Matrix = Any
"""One vector per row: scipy's sparse rows, or an Array."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An answer leaked if another prompt is nearer than its own by `margin`, that one at least `floor` near and its own
    at most `far`."""

    margin: float
    floor: float
    far: float


BY_WORDS = Bounds(0.1, 0.12, 0.2)
BY_EMBEDDER = Bounds(0.11, 0.12, 0.2)
"""These bounds were chosen with averaged word vectors, before a transformer was tried (topic_similarity.py)."""


@dataclass(frozen=True)
class Space:
    """Vectors of the same dimensions. answers: of the rows. prompts, profiles: of the distinct prompts."""

    answers: Matrix
    prompts: Matrix
    profiles: Matrix
    bounds: Bounds

    def near(self, rows: slice | Indices) -> Array:
        """How near these answers are to each prompt of the set; a new array."""
        return _dense(self.answers[rows] @ self.profiles.T)

    def likenesses(self, prompts: Indices) -> Array:
        """[prompts, all prompts] The cosines of these prompts with each prompt of the set; a new array."""
        return _dense(self.prompts[prompts] @ self.prompts.T)

    def alike(self, prompts: Indices, others: Indices) -> Array:
        """The cosines of prompts with as many others."""
        some, other = self.prompts[prompts], self.prompts[others]
        product = some * other if isinstance(some, np.ndarray) else some.multiply(other)
        return np.asarray(product.sum(axis=1), dtype=np.float32).ravel()


def _dense(product: Matrix) -> Array:
    return np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), dtype=np.float32)


def by_words(asked: Indices, prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Space:
    """asked: the place of each row's prompt among the prompts."""
    from scipy import sparse

    kinds = [[_words(text) for text in texts] for texts in (prompts, chosen, rejected)]
    prompt_vectors, answers, rejected_vectors = _tfidf(asked, kinds)
    count = np.bincount(asked, minlength=len(prompts))
    shares = sparse.csr_array((1 / count[asked].astype(np.float32), (asked, np.arange(len(asked)))))
    return Space(answers, prompt_vectors, (prompt_vectors + shares @ rejected_vectors).tocsr(), BY_WORDS)


def by_embedder(embed: Embed, prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Space:
    prompt_vectors, answers, others = (unit(embed(texts)) for texts in (prompts, chosen, rejected))
    prompt_vectors = unit(prompt_vectors - prompt_vectors.mean(0))
    answers = unit(answers - (answers.mean(0) + others.mean(0)) / 2)
    return Space(answers, prompt_vectors, prompt_vectors, BY_EMBEDDER)


def unit(rows: Array) -> Array:
    """Each row of length 1, or zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 1e-6, lengths, np.inf), dtype=np.float32)


def _tfidf(asked: Indices, kinds: Sequence[Sequence[str]]) -> list[Matrix]:
    """The vectors of prompts, chosen and rejected sides. The terms of each text are counted once; a document is a
    row, whose terms are those of its three texts."""
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    texts = [text for kind in kinds for text in kind]
    if not any(texts):
        return [sparse.csr_array((len(kind), 1), dtype=np.float32) for kind in kinds]
    ends = np.cumsum([len(kind) for kind in kinds])
    parts = []
    for options in ({"token_pattern": r"\w+"}, {"analyzer": "char_wb", "ngram_range": (3, 5)}):
        counts = CountVectorizer(lowercase=False, dtype=np.float32, **options).fit_transform(texts)
        counts.sort_indices()  # so that sums are taken in one order
        prompts, chosen, rejected = (counts[end - len(kind) : end] for end, kind in zip(ends, kinds, strict=True))
        weighting = TfidfTransformer(sublinear_tf=True).fit(prompts[asked] + chosen + rejected)
        weights = (weighting.idf_ - 1) ** 2
        if len(asked) > SMALL:
            weights = np.where(weights < np.log(1 / COMMON) ** 2, 0, weights)
        weighting.idf_ = weights
        parts.append([weighting.transform(kind) for kind in (prompts, chosen, rejected)])
    return [_joined(kind) for kind in zip(*parts, strict=True)]


def _joined(parts: Sequence[Matrix]) -> Matrix:
    from scipy import sparse
    from sklearn.preprocessing import normalize

    joined = sparse.hstack([normalize(part) for part in parts], format="csr")
    joined.eliminate_zeros()
    return normalize(joined)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text[:LONGEST].lower()))
