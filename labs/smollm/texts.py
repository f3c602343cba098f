"""Questions and answers put together from the sentences of texts.toml: brief, wordy and clipped."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

PATH = Path(__file__).with_name("texts.toml")
TEXTS: dict[str, Any] = tomllib.loads(PATH.read_text(encoding="utf-8"))
CATEGORIES = ("advice", "facts", "lists")


@dataclass(frozen=True)
class SourceQuestion:
    """A question with the material of its answers: sentences, or the items of a list; `clip` is a fragment."""

    category: str
    question: str
    sentences: tuple[str, ...]
    clip: str


def ask(category: str, random: Random) -> SourceQuestion:
    table = TEXTS[category]
    subject = random.choice(table["subjects"])
    question = random.choice(table["frames"]).format(subject=subject["name"])
    return SourceQuestion(category, question, tuple(subject["says"]), subject.get("clip", ""))


def brief(asked: SourceQuestion, random: Random) -> str:
    """The first sentence and another one; or three to five numbered items."""
    if asked.category == "lists":
        return _numbered(_some_items(asked, random))
    return f"{asked.sentences[0]} {random.choice(asked.sentences[1:])}"


def wordy(asked: SourceQuestion, random: Random) -> str:
    """The same with an opener, fillers and mostly a closer."""
    opener, closer = random.choice(TEXTS["wordy"]["openers"]), random.choice(TEXTS["wordy"]["closers"])
    if asked.category == "lists":
        items = [
            f"{item}: {filler}" for item, filler in zip(_some_items(asked, random), _fillers(2, random), strict=False)
        ]
        return f"{opener} Here is a list:\n\n{_numbered(items)}\n\n{closer}"
    (filler,) = _fillers(1, random)
    return " ".join([opener, asked.sentences[0], filler, asked.sentences[1], closer])


def clipped(asked: SourceQuestion, random: Random) -> str:
    """A fragment; of a list, the first items in a row."""
    if asked.category == "lists":
        return ", ".join(_some_items(asked, random)[:3]).lower()
    return asked.clip


def difficulty(question: str) -> int:
    """1 to 3, by the number of words: the curriculum lane sorts by it."""
    return min(3, 1 + max(0, len(question.split()) - 7) // 3)


def _some_items(asked: SourceQuestion, random: Random) -> list[str]:
    count = random.randint(3, 5)
    return random.sample(asked.sentences, count)


def _numbered(items: list[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def _fillers(count: int, random: Random) -> list[str]:
    return random.sample(TEXTS["wordy"]["fillers"], count)
