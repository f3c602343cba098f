"""How near each answer of a set is to its own prompt and to the nearest other one: did it leak from there?

An answer may have leaked where another prompt is nearer to it than its own by the margin, that one at least as near as
the floor and its own at most `far` (the Bounds in vectors.py). Other prompts that are nearly the same as its own do
not count, nor does one that an answer to a third prompt is nearer to. Where the same answer stands with two prompts,
the nearer one keeps it.

In a set whose answers hardly name what was asked, many are nearer to some other prompt than to their own, yet few are
the nearest that this prompt has: the same few prompts attract them all. There nothing is called a leak, since nothing
tells leaks from the rest. In a set whose answers are all mixed up, though, answers and prompts find each other.

The bounds of words were chosen on the forty everyday prompts of tests/preferences/test_text_gate_topic.py, so that 95 %
of their good answers pass, which comes first. Those of embedders come from averaged vectors of words on the same
prompts; they are not measured with a transformer.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preferences.store.annotations import AnnotatedRow
from preferences.text_gate.text_vectors import Array, Embed, Places, Space, by_embedder, by_words
from probes.inputs.turns import plain

FEWEST = 3
SAME = 0.75
"""From where on, by the cosine of their vectors, two prompts ask nearly the same."""
MANY, MUTUAL = 0.2, 0.4
"""With a larger share of answers nearer to another prompt, and a smaller share of these that are the nearest to it, a
set does not tell its prompts apart."""
RIVALS = 1000
_CANDIDATES = 8
_BLOCK, _MOST = 1 << 23, 1 << 12  # similarities and answers held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """own, other: how near, a cosine by an embedder; by words up to 2, since a profile is a prompt and the mean of its
    rejected sides. prompt, row: the nearest other prompt, and a row that asks it. prompts: how
    many the set has; with fewer than FEWEST, nothing is measured. told_apart: whether its answers tell them apart."""

    own: float
    other: float
    prompt: str
    row: str
    prompts: int
    told_apart: bool
    leaked: bool


@dataclass(frozen=True, slots=True)
class _Best:
    """Of each answer: the nearest other prompt, and how near its own and that one are. mutual: whether no answer to a
    third prompt is nearer to that one, among a sample of RIVALS."""

    other: Places
    own_near: Array
    other_near: Array
    mutual: NDArray[np.bool_]


def nearness(rows: Sequence[AnnotatedRow], embed: Embed | None = None) -> Mapping[str, Nearness]:
    """By the id of the row. Time grows with answers times prompts, a matrix product; memory with their sum."""
    asked = [plain(one.row.prompt) for one in rows]
    first: dict[str, int] = {}
    for place, prompt in enumerate(asked):
        first.setdefault(prompt, place)
    if len(first) < FEWEST:
        unmeasured = Nearness(own=0.0, other=0.0, prompt="", row="", prompts=len(first), told_apart=True, leaked=False)
        return {one.id: unmeasured for one in rows}
    prompts = list(first)
    places = {prompt: place for place, prompt in enumerate(prompts)}
    mine = np.array([places[prompt] for prompt in asked], dtype=np.intp)
    chosen, rejected = ([plain(one.texts[side]) for one in rows] for side in (0, 1))
    space = by_embedder(embed, prompts, chosen, rejected) if embed else by_words(mine, prompts, chosen, rejected)
    best = _best(space, mine)
    called = _called(best, space)
    apart = bool(called.mean() <= MANY or best.mutual[called].mean() >= MUTUAL)
    called &= best.mutual
    for place, other, near in _twins(chosen, space, mine):
        called[place], best.other[place], best.other_near[place] = True, other, near
    return {
        one.id: Nearness(
            own=float(best.own_near[k]),
            other=float(best.other_near[k]),
            prompt=prompts[best.other[k]],
            row=rows[first[prompts[best.other[k]]]].id,
            prompts=len(prompts),
            told_apart=apart,
            leaked=apart and bool(called[k]),
        )
        for k, one in enumerate(rows)
    }


def _best(space: Space, asked: Places) -> _Best:
    """In blocks of answers, so that memory stays bounded."""
    other, near, own = np.zeros(len(asked), np.intp), np.zeros(len(asked), np.float32), np.zeros(len(asked), np.float32)
    step = max(1, min(_MOST, _BLOCK // space.prompts.shape[0]))
    for start in range(0, len(asked), step):
        block = slice(start, start + step)
        found, mine = space.near(block), asked[block]
        lines = np.arange(len(mine))
        own[block] = found[lines, mine]
        found[lines, mine] = -2
        other[block] = _other(found, space, mine)
        same = space.alike(mine, other[block]) >= SAME
        near[block] = np.where(same, -1, found[lines, other[block]])
    return _Best(other, own, near, _mutual(space, asked, other, near))


def _mutual(space: Space, asked: Places, other: Places, near: Array) -> NDArray[np.bool_]:
    """Held against as many rivals in a large set as in a small one: the more there are, the nearer the nearest is."""
    sample = np.random.default_rng(0).permutation(len(asked))[:RIVALS]
    best, winner = np.full(space.prompts.shape[0], -2, np.float32), np.zeros(space.prompts.shape[0], np.intp)
    step = max(1, _BLOCK // space.prompts.shape[0])
    for start in range(0, len(sample), step):
        block = sample[start : start + step]
        found = space.near(block)
        found[np.arange(len(block)), asked[block]] = -2
        nearer = found.max(0) > best
        winner[nearer] = block[found.argmax(0)[nearer]]
        best = np.maximum(best, found.max(0))
    return np.asarray((asked[winner[other]] == asked) | (near >= best[other]), dtype=np.bool_)


def _other(found: Array, space: Space, asked: Places) -> Places:
    """The nearest prompt that is not nearly the answer's own, among the first few; the nearest where they all are."""
    most = min(_CANDIDATES, found.shape[1] - 1)
    some = np.argpartition(-found, most - 1, axis=1)[:, :most]
    some = np.take_along_axis(some, np.argsort(-np.take_along_axis(found, some, 1), axis=1), 1)
    alike = space.alike(np.repeat(asked, most), some.ravel()).reshape(some.shape) >= SAME
    first = np.where(alike.all(1), 0, (~alike).argmax(1))
    return np.asarray(some[np.arange(len(asked)), first], dtype=np.intp)


def _twins(texts: Sequence[str], space: Space, asked: Places) -> Iterator[tuple[int, int, float]]:
    """The places of answers that stand word for word with a nearer prompt, too, that prompt, and how near it is."""
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
            mine = asked[place : place + 1]
            if near[nearest] > near[mine[0]] and space.alike(np.array([nearest]), mine)[0] < SAME:
                yield place, int(nearest), float(near[nearest])


def _called(best: _Best, space: Space) -> NDArray[np.bool_]:
    bounds = space.bounds
    gap = best.other_near - best.own_near
    return (gap >= bounds.margin) & (best.other_near >= bounds.floor) & (best.own_near <= bounds.far)
