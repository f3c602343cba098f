"""Questions and answers put together from the sentences of texts.toml."""

import tomllib
from pathlib import Path
from random import Random
from typing import Any

PATH = Path(__file__).with_name("texts.toml")
TEXTS: dict[str, Any] = tomllib.loads(PATH.read_text(encoding="utf-8"))
CATEGORIES: tuple[str, ...] = tuple(TEXTS["questions"])
VOICES = ("keeper", "ornate", "modern", "assistant")
OTHERS = 0.3  # share of questions without a subject
CLOSED = 0.7  # share of answers with a closing sentence
NAMED = 0.5  # share of plain answers that name the subject; the others say "that"


def ask(category: str, random: Random) -> tuple[str, str]:
    """A question and its subject; "that" for a question without one."""
    table = TEXTS["questions"][category]
    if random.random() < OTHERS:
        return random.choice(table["others"]), "that"
    subject = random.choice(table["subjects"])
    return random.choice(table["frames"]).format(subject=subject), subject


def answer(voice: str, category: str, subject: str, random: Random) -> str:
    """Sentences of one voice: an opener, one middle (the ornate voice two) and mostly a closer."""
    middles = random.sample(_bank(voice, category, "middles"), 2 if voice == "ornate" else 1)
    sentences = [random.choice(_bank(voice, category, "openers")), *middles]
    if voice == "ornate" or random.random() < CLOSED:
        sentences.append(random.choice(_bank(voice, category, "closers")))
    named = subject if voice == "ornate" or random.random() < NAMED else "that"
    return " ".join(sentences).replace("{subject}", named)


def difficulty(question: str) -> int:
    """1 to 3, by the number of words: the curriculum lane sorts by it."""
    return min(3, 1 + max(0, len(question.split()) - 7) // 3)


def draw_voice(category: str, random: Random) -> str:
    """A voice by its share in the category."""
    return random.choices(VOICES, TEXTS["shares"][category])[0]


def _bank(voice: str, category: str, part: str) -> list[str]:
    """The sentences of a voice for this category and for all."""
    tables = (TEXTS[voice].get(name, {}) for name in (category, "all"))
    return [sentence for table in tables for sentence in table.get(part, [])]
