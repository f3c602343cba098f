"""Rows whose answers belong to other prompts, and how many of them the topic layer catches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from some_answers import Text, standing

from preferences.text_gate.text_vectors import Embed
from preferences.text_gate.topic_similarity import nearness


@dataclass(frozen=True)
class Caught:
    """caught: the share of misplaced answers that are refused. passed: the share of the other answers that are not
    refused; 1.0 if there are none."""

    caught: float
    passed: float


def given(text: Text, other: Text, both: bool) -> Text:
    """The row with the chosen answer of another row; ``both``: with its rejected answer too."""
    return replace(text, chosen=other.chosen, rejected=other.rejected if both else text.rejected)


def leaks(texts: Sequence[Text], embed: Embed | None = None) -> list[bool]:
    """Whether the topic layer refuses each row of a set."""
    rows = [standing(text, number) for number, text in enumerate(texts)]
    found = nearness(rows, embed)
    return [found[row.id].leaked for row in rows]


def passing(texts: Sequence[Text], embed: Embed | None = None) -> float:
    return 1 - float(np.mean(leaks(texts, embed)))


def copied(texts: Sequence[Text], both: bool = False, embed: Embed | None = None) -> Caught:
    """In each set, one answer is copied to another prompt, so that it stands with two prompts."""
    sets = []
    for place, text in enumerate(texts):
        for step in (7, 19):
            found = list(texts)
            found[place] = given(text, texts[(place + step) % len(texts)], both)
            sets.append((found, (place,), (place + step) % len(texts)))
    return _caught([(found, places, {*places, source}) for found, places, source in sets], embed)


def swapped(texts: Sequence[Text], both: bool = False, embed: Embed | None = None) -> Caught:
    """In each set, two prompts have swapped their answers."""
    sets = []
    for place, text in enumerate(texts):
        found, other = list(texts), (place + 7) % len(texts)
        found[place], found[other] = given(text, texts[other], both), given(texts[other], text, both)
        sets.append((found, (place, other), {place, other}))
    return _caught(sets, embed)


def one_row_off(texts: Sequence[Text], both: bool = False, embed: Embed | None = None) -> Caught:
    """Every answer is moved to the prompt before its own."""
    off = [given(text, other, both) for text, other in zip(texts, [*texts[1:], texts[0]], strict=True)]
    return _caught([(off, tuple(range(len(off))), set(range(len(off))))], embed)


def _caught(sets: Sequence[tuple[list[Text], tuple[int, ...], set[int]]], embed: Embed | None) -> Caught:
    """``sets``: rows, the places of misplaced answers, and the places that do not count as correctly placed."""
    caught, passed = [], []
    for texts, wrong, left_out in sets:
        found = leaks(texts, embed)
        caught += [found[place] for place in wrong]
        passed += [not leaked for place, leaked in enumerate(found) if place not in left_out]
    return Caught(float(np.mean(caught)), float(np.mean(passed or [True])))
