"""Layer 5: the answer does not loop, in its words or in its lines.

The shares of characters and their usual limits (settings.py) are those of Rae et al. 2021, "Scaling Language Models:
Methods, Analysis & Insights from Training Gopher", table A1: in repeated five-word passages, in the commonest pair of
words, in repeated lines, and the share of repeated lines. They are made for documents of 50 words or more. A shorter
text is measured as if it had SHORTEST characters or lines, so that one phrase used twice is no loop. The compression
ratio, by zlib, is for loops without word breaks; Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision", section 4.5, detect loops in a line of speech so, from 2.4 on.
"""

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Sequence

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest

PASSAGE = 5
SHORTEST = {"characters": 250, "lines": 10}
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def check(answer: AnswerUnderTest) -> Receipt:
    """Counts the characters of words, without spaces and punctuation."""
    words = [word.casefold() for word in _WORD.findall(answer.chosen)]
    lines = [" ".join(_WORD.findall(line)).casefold() for line in answer.chosen.splitlines() if _WORD.search(line)]
    again, (pair, times) = repeated(words, PASSAGE), commonest(words)
    later = [line for line, times in Counter(lines).items() for _ in range(times - 1)]
    figures = {
        "repeated": _share(sum(len(words[place]) for place in again), words),
        "commonest_pair": _share(times * len(pair.replace(" ", "")), words),
        "line_characters": _share(sum(len(line.replace(" ", "")) for line in later), words),
        "lines": len(later) / max(SHORTEST["lines"], len(lines)),
        "compression": _compression(answer.chosen),
    }
    quoted = {"repeated": _passage(words, again), "commonest_pair": pair}
    most = {name: getattr(answer.limits, f"most_{name}") for name in figures}
    failing = [
        f"{figures[name]:.0%} of it is {what} ({quoted.get(name) or later[0]!r}); {most[name]:.0%} is allowed"
        for name, what in _WHAT.items()
        if figures[name] > most[name]
    ]
    if figures["compression"] > most["compression"]:
        failing.append(f"it compresses {figures['compression']:.0f} times; {most['compression']:g} is allowed")
    told = {name: round(one, 4) for name, one in figures.items()} | {f"most_{name}": one for name, one in most.items()}
    return Receipt("repetition", not failing, told, "; ".join(failing[:1]))


_WHAT = {
    "repeated": "repeated passages",
    "commonest_pair": "one pair of words",
    "line_characters": "repeated lines",
    "lines": "repeated lines",
}


def repeated(words: Sequence[str], length: int) -> list[int]:
    """The places of the words of each passage of this length that occurs again."""
    seen: set[tuple[str, ...]] = set()
    places: set[int] = set()
    for start in range(len(words) - length + 1):
        passage = tuple(words[start : start + length])
        if passage in seen:
            places.update(range(start, start + length))
        seen.add(passage)
    return sorted(places)


def commonest(words: Sequence[str]) -> tuple[str, int]:
    """The commonest pair of neighbours and how often it occurs, if more than once."""
    pairs = Counter(itertools.pairwise(words)).most_common(1)
    return (" ".join(pairs[0][0]), pairs[0][1]) if pairs and pairs[0][1] > 1 else ("", 0)


def _compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def _share(characters: int, words: Sequence[str]) -> float:
    return characters / max(SHORTEST["characters"], sum(map(len, words)))


def _passage(words: Sequence[str], places: Sequence[int]) -> str:
    """The first repeated passage, of a dozen words at most."""
    run = [place for offset, place in enumerate(places[:12]) if place == places[0] + offset]
    return " ".join(words[place] for place in run)
