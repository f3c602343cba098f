"""The kinds of parameters of a task: their names, edge inputs and random inputs.

A template has `{"xs": "ints"}`; the kind decides the parameter's name and its inputs in a task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sandbox import Value


@dataclass(frozen=True)
class Kind:
    names: tuple[str, ...]
    edges: tuple[Value, ...]
    random: Callable[[Random], Value]


_NUMBER_NAMES = ("n", "m", "a", "b", "size")
_LIST_NAMES = ("xs", "values", "nums", "items")
_TEXT_NAMES = ("s", "text", "line", "name")
_WORDS_NAMES = ("words", "names", "parts", "tags")
_LETTERS = "aaabcdeeghiimnoorstuABEOT"
_TEXT_CHARACTERS = "aabeeiorstuAEKT  0127-,."


def _ints(random: Random, shortest: int = 0) -> list[int]:
    return [random.randint(-9, 12) for _ in range(random.randint(max(shortest, 1), 7))]


def _word(random: Random) -> str:
    return "".join(random.choice(_LETTERS) for _ in range(random.randint(1, 9)))


def _text(random: Random) -> str:
    return "".join(random.choice(_TEXT_CHARACTERS) for _ in range(random.randint(3, 14)))


def _words(random: Random) -> list[str]:
    return [_word(random) for _ in range(random.randint(1, 5))]


def _table(random: Random) -> dict[str, int]:
    return {random.choice("abcde"): random.randint(-5, 30) for _ in range(random.randint(1, 4))}


KINDS: dict[str, Kind] = {
    "int": Kind(_NUMBER_NAMES, (0, 1, -1, 7, -12), lambda random: random.randint(-30, 40)),
    "natural": Kind(_NUMBER_NAMES, (0, 1, 2, 12), lambda random: random.randint(0, 30)),
    "small": Kind(_NUMBER_NAMES, (0, 1, 2), lambda random: random.randint(0, 9)),
    "positive": Kind(_NUMBER_NAMES, (1, 2, 12), lambda random: random.randint(1, 40)),
    "ints": Kind(_LIST_NAMES, ([], [0], [5], [-3, 3], [4, 4, -1, 4]), _ints),
    "some_ints": Kind(_LIST_NAMES, ([0], [5], [-3, -8], [4, 4, -1, 4]), _ints),
    "two_ints": Kind(_LIST_NAMES, ([0, 6], [5, 5], [-3, -8]), lambda random: _ints(random, 2)),
    "word": Kind(_TEXT_NAMES, ("", "a", "Ab", "level", "Noon"), _word),
    "some_word": Kind(_TEXT_NAMES, ("a", "Ab", "level"), _word),
    "left_word": Kind(("s", "text"), ("", "a", "Ab"), _word),
    "right_word": Kind(("t", "other"), ("", "b", "Abc"), _word),
    "text": Kind(_TEXT_NAMES, ("", "a", "one two", "  B 2-1", "Anna, no."), _text),
    "words": Kind(_WORDS_NAMES, ([], ["a"], ["be", "Be", "be"]), _words),
    "some_words": Kind(_WORDS_NAMES, (["a"], ["be", "Be", "be"]), _words),
    "maybe_int": Kind(_NUMBER_NAMES, (None, 0, 3, -4), lambda random: random.randint(-30, 40)),
    "maybe_ints": Kind(_LIST_NAMES, (None, [], [7], [-2, 2]), _ints),
    "maybe_text": Kind(_TEXT_NAMES, (None, "", "a", "Hi 5"), _text),
    "holes": Kind(
        _LIST_NAMES,
        ([], [None], [3, None, 4]),
        lambda random: [random.choice((None, random.randint(-9, 12))) for _ in range(random.randint(1, 6))],
    ),
    "digits": Kind(_TEXT_NAMES, ("", "7", "x1", "-2", "40"), lambda random: str(random.randint(0, 300))),
    "table": Kind(("table", "stock"), ({}, {"a": 0}), _table),
    "key": Kind(("key",), ("a", "z"), lambda random: random.choice("abcdez")),
}
