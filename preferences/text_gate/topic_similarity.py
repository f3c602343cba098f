"""Finds answers that leaked from another prompt: how near each is to its own prompt and to the nearest other one.

An answer counts as leaked if another prompt is nearer to it than its own by the `margin`, that one is at least `floor`
near, and its own at most `far` (Bounds in text_vectors.py). Other prompts that are nearly the same as its own do not
count, nor does a prompt to which an answer to a third prompt is nearer, unless these two are about the same thing. An
answer that two prompts share belongs to the nearer one.

In a set whose answers hardly name what was asked, many answers are nearer to another prompt than to their own, but few
of them are the nearest to that prompt: the same few prompts attract them all. In such a set leaks cannot be told apart
from other answers, so none is reported. (In a set whose answers are all mixed up, answers and prompts do match.)

The bounds of words were chosen on the forty everyday prompts of tests/preferences/text_gate/test_text_gate_topic.py, so
that 95 % of their good answers pass. Those of embedders come from averaged vectors of words on the same prompts;
docs/pairs.md has what all-MiniLM-L6-v2 catches with them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preferences.store.annotations import AnnotatedRow
from preferences.text_gate.text_vectors import Array, Embed, Indices, Space, by_embedder, by_words
from probes.inputs.rows.turns import plain

FEWEST = 3
SAME = 0.75
"""Two prompts ask nearly the same if the cosine of their vectors is this or more."""
MANY, MUTUAL = 0.2, 0.4
"""A set does not tell its prompts apart if more than the share MANY of its answers are nearer to another prompt than to
their own, and of these less than the share MUTUAL are the nearest answer to that prompt."""
RELATED = 0.5
"""Two prompts are about the same thing if the cosine of their vectors is this or more; then an answer to one does not
compete with an answer to the other."""
RIVALS = 1000
_CANDIDATES = 8
_BLOCK, _MOST = 1 << 23, 1 << 12  # similarities and answers in memory at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """own, other: how near its own prompt and the nearest other one are, as a cosine by an embedder; by words up to 2,
    since a profile is a prompt and the mean of its rejected sides. prompt, row: that other prompt, and a row that asks
    it. prompts: of the set; with fewer than FEWEST, nothing is measured. told_apart: whether the answers of the set
    tell its prompts apart."""

    own: float
    other: float
    prompt: str
    row: str
    prompts: int
    told_apart: bool
    leaked: bool


@dataclass(frozen=True, slots=True)
class _Best:
    """For each answer: the nearest other prompt, and how near its own and that one are. mutual: whether no answer to a
    third prompt is nearer to that one, in a sample of RIVALS answers."""

    other: Indices
    own_near: Array
    other_near: Array
    mutual: NDArray[np.bool_]


def nearness(rows: Sequence[AnnotatedRow], embed: Embed | None = None) -> Mapping[str, Nearness]:
    """The nearness of each answer to the prompts, by the id of its row. Takes time in answers times prompts (a matrix
    product), and memory in their sum."""
    asked = [plain(row.row.prompt) for row in rows]
    first: dict[str, int] = {}
    for place, prompt in enumerate(asked):
        first.setdefault(prompt, place)
    if len(first) < FEWEST:
        unmeasured = Nearness(own=0.0, other=0.0, prompt="", row="", prompts=len(first), told_apart=True, leaked=False)
        return {row.id: unmeasured for row in rows}
    prompts = list(first)
    places = {prompt: place for place, prompt in enumerate(prompts)}
    own = np.array([places[prompt] for prompt in asked], dtype=np.intp)
    chosen, rejected = ([plain(row.texts[side]) for row in rows] for side in (0, 1))
    space = by_embedder(embed, prompts, chosen, rejected) if embed else by_words(own, prompts, chosen, rejected)
    best = _best(space, own)
    leaked = _nearer_to_another(best, space)
    told_apart = bool(leaked.mean() <= MANY or best.mutual[leaked].mean() >= MUTUAL)
    leaked &= best.mutual
    for place, other, near in _shared_answers(chosen, space, own):
        leaked[place], best.other[place], best.other_near[place] = True, other, near
    return {
        row.id: Nearness(
            own=float(best.own_near[place]),
            other=float(best.other_near[place]),
            prompt=prompts[best.other[place]],
            row=rows[first[prompts[best.other[place]]]].id,
            prompts=len(prompts),
            told_apart=told_apart,
            leaked=told_apart and bool(leaked[place]),
        )
        for place, row in enumerate(rows)
    }


def _best(space: Space, asked: Indices) -> _Best:
    """In blocks of answers, to bound the memory."""
    other = np.zeros(len(asked), np.intp)
    other_near, own_near = np.zeros(len(asked), np.float32), np.zeros(len(asked), np.float32)
    step = max(1, min(_MOST, _BLOCK // space.prompts.shape[0]))
    for start in range(0, len(asked), step):
        block = slice(start, start + step)
        near, own = space.near(block), asked[block]
        lines = np.arange(len(own))
        own_near[block] = near[lines, own]
        near[lines, own] = -2
        other[block] = _nearest_other(near, space, own)
        same = space.alike(own, other[block]) >= SAME
        other_near[block] = np.where(same, -1, near[lines, other[block]])
    return _Best(other, own_near, other_near, _mutual(space, asked, other, other_near))


def _mutual(space: Space, asked: Indices, other: Indices, other_near: Array) -> NDArray[np.bool_]:
    """Compares with a sample of equal size in large and small sets: the more rivals, the nearer the nearest of them."""
    sample = np.random.default_rng(0).permutation(len(asked))[:RIVALS]
    best, winner = np.full(space.prompts.shape[0], -2, np.float32), np.zeros(space.prompts.shape[0], np.intp)
    step = max(1, _BLOCK // space.prompts.shape[0])
    for start in range(0, len(sample), step):
        block = sample[start : start + step]
        near = space.near(block)
        near[space.likenesses(asked[block]) >= RELATED] = -2
        nearer = near.max(0) > best
        winner[nearer] = block[near.argmax(0)[nearer]]
        best = np.maximum(best, near.max(0))
    return np.asarray((asked[winner[other]] == asked) | (other_near >= best[other]), dtype=np.bool_)


def _nearest_other(near: Array, space: Space, asked: Indices) -> Indices:
    """The nearest prompt that does not ask nearly the same as the answer's own, among a few candidates; the nearest of
    all if each of them does."""
    most = min(_CANDIDATES, near.shape[1] - 1)
    candidates = np.argpartition(-near, most - 1, axis=1)[:, :most]
    by_nearness = np.argsort(-np.take_along_axis(near, candidates, 1), axis=1)
    candidates = np.take_along_axis(candidates, by_nearness, 1)
    alike = space.alike(np.repeat(asked, most), candidates.ravel()).reshape(candidates.shape) >= SAME
    first = np.where(alike.all(1), 0, (~alike).argmax(1))
    return np.asarray(candidates[np.arange(len(asked)), first], dtype=np.intp)


def _shared_answers(texts: Sequence[str], space: Space, asked: Indices) -> Iterator[tuple[int, int, float]]:
    """The places of answers that a nearer prompt has, too, word for word; that prompt, and how near it is."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        groups[text].append(place)
    for places in groups.values():
        prompts = np.unique(asked[places])
        if len(prompts) == 1:
            continue
        near = space.near(np.array(places[:1], dtype=np.intp))[0]
        nearest = prompts[near[prompts].argmax()]
        for place in places:
            own = asked[place : place + 1]
            if near[nearest] > near[own[0]] and space.alike(np.array([nearest]), own)[0] < SAME:
                yield place, int(nearest), float(near[nearest])


def _nearer_to_another(best: _Best, space: Space) -> NDArray[np.bool_]:
    bounds = space.bounds
    gap = best.other_near - best.own_near
    return (gap >= bounds.margin) & (best.other_near >= bounds.floor) & (best.own_near <= bounds.far)
