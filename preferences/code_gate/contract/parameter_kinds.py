"""The kinds of parameters. `KINDS` has an entry for each, with its values for the layers of the gate.

    draw        an ordinary value from a seeded generator, for the invariant, differential and coverage layers
    strategy    the same domain for hypothesis, which shrinks failing inputs in it: a function of its `strategies`
    plain       its value while another parameter has an extreme one
    edges       the ends of the domain (empty, huge, negative, nan, inf, unicode), for the edge_cases layer
    catalogue   adversarial values that are still legal, never drawn, for the fuzz layer
    near        the values around a number that is written in the program or in the reference

A function cannot be sent into the sandbox: the values of a function-valued kind are the names of its `functions`,
Python expressions that are evaluated next to the program. They may use `nightlane_math`, `nightlane_first` (the number,
or the first of a list) and `nightlane_square` (its square, or the sum of squares).

Values are small enough for a loop, or a recursion of one level per item.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from sandbox import Value

Strategy: TypeAlias = Callable[[Any], Any]
"""A function of the module hypothesis.strategies, so that this file does not import hypothesis."""
LONG = 200


@dataclass(frozen=True, kw_only=True)
class ParameterKind:
    draw: Callable[[Random], Value]
    strategy: Strategy
    plain: Value
    edges: tuple[Value, ...]
    catalogue: tuple[Value, ...]
    near: Callable[[float], Sequence[Value]] = lambda _: ()
    functions: Mapping[str, str] = field(default_factory=dict)


def _whole(low: int, high: int, widest: Strategy, edges: Sequence[int], catalogue: Sequence[int]) -> ParameterKind:
    least, most = min(edges), max(edges)
    return ParameterKind(
        draw=lambda random: random.randint(low, high),
        strategy=widest,
        plain=min(5, high),
        edges=tuple(edges),
        catalogue=tuple(catalogue),
        near=lambda number: [n for n in (int(number) - 1, int(number), int(number) + 1) if least <= n <= most],
    )


def _real(low: int, high: int, edges: Sequence[float], catalogue: Sequence[float]) -> ParameterKind:
    """Multiples of 1/8: their sums are exact, so the order of additions makes no difference."""
    return ParameterKind(
        draw=lambda random: random.randint(8 * low, 8 * high) / 8,
        strategy=lambda st: st.integers(8 * low, 8 * high).map(lambda eighths: eighths / 8),
        plain=1.5 if low < 1 < high else (low + high) / 2,
        edges=tuple(edges),
        catalogue=tuple(catalogue),
        near=lambda number: [n for n in (number - 0.125, float(number), number + 0.125) if low <= n <= high],
    )


def _text(
    characters: str, low: int, high: int, strategy: Strategy, edges: Sequence[str], catalogue: Sequence[str]
) -> ParameterKind:
    def draw(random: Random) -> str:
        text = "".join(random.choice(characters) for _ in range(random.randint(low, high)))
        return text if random.random() < 0.75 else text[: high // 2] + text[: high // 2][::-1].swapcase()

    return ParameterKind(draw=draw, strategy=strategy, plain="Abc a", edges=tuple(edges), catalogue=tuple(catalogue))


def _joined(characters: str, most: int, least: int = 0) -> Strategy:
    """Texts of these characters; st.text() would keep a table of all of Unicode in the working directory."""
    return lambda st: st.lists(st.sampled_from(characters), min_size=least, max_size=most).map("".join)


def _list(
    item: ParameterKind, least: int = 0, edges: Sequence[Value] = (), catalogue: Sequence[Value] = ()
) -> ParameterKind:
    """Lists of a kind with at least that many items. The shortest are edges; very long ones are in the catalogue."""

    def draw(random: Random) -> list[Value]:
        if random.random() < 0.25:  # with repeats
            return random.choices([item.draw(random) for _ in range(3)], k=random.randint(max(least, 3), 8))
        return [item.draw(random) for _ in range(random.randint(max(least, 1), 7))]

    def strategy(st: Any) -> Any:
        one = item.strategy(st)
        repeated = st.lists(one, min_size=1, max_size=3).flatmap(
            lambda some: st.lists(st.sampled_from(some), min_size=max(least, 2), max_size=8)
        )
        return st.lists(one, min_size=least, max_size=8) | repeated

    few = max(least, 2)
    return ParameterKind(
        draw=draw,
        strategy=strategy,
        plain=[item.plain, *item.catalogue[:2], item.plain],
        edges=(*([[]] if least == 0 else []), *([edge] * max(least, 1) for edge in item.edges), *edges),
        catalogue=(
            *([value] * few for value in item.catalogue),
            list(item.catalogue) * few,
            list(reversed(item.catalogue)) * few,
            [item.plain] * LONG,
            *catalogue,
        ),
        near=lambda number: [list(item.near(number))] if len(item.near(number)) >= max(least, 1) else [],
    )


def _maybe(kind: ParameterKind, rare: float = 0.2) -> ParameterKind:
    return ParameterKind(
        draw=lambda random: None if random.random() < rare else kind.draw(random),
        strategy=lambda st: st.none() | kind.strategy(st),
        plain=kind.plain,
        edges=(None, *kind.edges),
        catalogue=(None, *kind.catalogue),
        near=kind.near,
    )


def _function(ordinary: Mapping[str, str], unusual: Mapping[str, str], extreme: Mapping[str, str]) -> ParameterKind:
    """A function-valued kind: ordinary functions are drawn, unusual ones are its catalogue, extreme ones its edges."""
    names = sorted(ordinary)
    return ParameterKind(
        draw=lambda random: random.choice(names),
        strategy=lambda st: st.sampled_from(names),
        plain=names[0],
        edges=tuple(extreme),
        catalogue=tuple(unusual),
        functions={**ordinary, **unusual, **extreme},
    )


def _small_ints(st: Any) -> Any:
    return st.integers(-40, 50)


_INT = _whole(
    -30, 40, lambda st: _small_ints(st) | st.integers(-(10**6), 10**6), (0, 1, -1, 2**50, -(2**50)), (2, -7, 255, 10**9)
)
_NATURAL = _whole(0, 30, lambda st: st.integers(0, 60), (0, 1, LONG), (2, 3, 64, 97, 100, 365))
_SMALL = _whole(0, 9, lambda st: st.integers(0, 12), (0, 1, 40), (2, 3, 10, 20))
_POSITIVE = _whole(1, 40, lambda st: st.integers(1, 60), (1, LONG), (2, 12, 64, 97, 360))
_FLOAT = _real(-50, 50, (0.0, -0.0, 1e9, -1e9, 1e308, -1e308, 5e-324), (-1.5, 0.1, 1e-9, 99.9))
_ANY_FLOAT = ParameterKind(
    draw=_FLOAT.draw,
    strategy=lambda st: st.floats(-1e6, 1e6),
    plain=_FLOAT.plain,
    edges=(*_FLOAT.edges, math.nan, math.inf, -math.inf),
    catalogue=_FLOAT.catalogue,
)
_LETTERS = "aaabcdeeghiimnoorstuABEOT"
_WORD = _text(
    characters=_LETTERS,
    low=1,
    high=9,
    strategy=_joined("abceioxzABENSZ", 9),
    edges=("", "a", "a" * LONG, "é", "ß", "İ", "日本", "👩‍🚀", "e\u0301"),
    catalogue=("Ab", "level", "Noon", "aA", "z" * 80),
)
_SOME_WORD = _text(
    characters=_LETTERS,
    low=1,
    high=9,
    strategy=_joined("abceioxzABENSZ", 9, 1),
    edges=("a", "a" * LONG, "é", "ß", "İ", "👩‍🚀"),
    catalogue=("Ab", "level", "Noon", "aA", "z" * 80),
)
_TEXT = _text(
    characters="aabeeiorstuAEKT  0127-,.",
    low=3,
    high=14,
    strategy=_joined("abeioEIKT  0179-,.", 14),
    edges=("", " ", "ab " * 130, "é ß", "İ", "日本 語", "👩‍🚀", "\x00", "\u2028"),
    catalogue=("a", "one two", "  B 2-1", "Anna, no.", "\t\n", "%s {} \\1", "'\"", "12 007", "...", "A" * 90),
)
_SCRIPTS = "aB 0\t\n\x00éßİıſΣςЖ日語ی٣²½\u0301\u200d\u2028\ufeff👩🚀"
_DIGITS = ParameterKind(
    draw=lambda random: random.choice(
        (str(random.randint(0, 300)), str(random.randint(0, 300)), "x1", "-2", "", "4 2")
    ),
    strategy=lambda st: st.integers(0, 999).map(str) | _joined("0123456789x- ", 4)(st),
    plain="40",
    edges=("", "0", "9" * 30, "-2", "²", "٣", "é"),
    catalogue=("7", "007", "x1", " 5", "1.5", "1e3", "+3"),
)
_TABLE = ParameterKind(
    draw=lambda random: {random.choice("abcde"): random.randint(-5, 30) for _ in range(random.randint(1, 4))},
    strategy=lambda st: st.dictionaries(st.sampled_from("abcdez"), st.integers(-5, 30), max_size=4),
    plain={"a": 5, "b": 0},
    edges=({}, {"a": 0}, {"": 1}, {"é": -1}),
    catalogue=({"a": 10**9}, dict.fromkeys("abcdefz", 3)),
)
_HOLES = _list(_maybe(_INT, 0.3))
_PAIRS = ParameterKind(
    draw=lambda random: [(random.randint(-9, 12), random.randint(-9, 12)) for _ in range(random.randint(1, 6))],
    strategy=lambda st: st.lists(st.tuples(_small_ints(st), _small_ints(st)), max_size=6),
    plain=[(1, 2), (3, 1)],
    edges=([], [(0, 0)], [(2**50, -(2**50))]),
    catalogue=([(1, 1)] * 3, [(2, 1), (1, 2)], [(0, 1)] * LONG),
)
_MATRIX = ParameterKind(
    draw=lambda random: _rows(random, random.randint(1, 4), random.randint(1, 4)),
    strategy=lambda st: st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(_small_ints(st), min_size=width, max_size=width), min_size=1, max_size=4)
    ),
    plain=[[1, 2], [3, 4]],
    edges=([[0]], [[2**50]], [[-1, 0, 1]], [[1], [2]]),
    catalogue=([[1, 1], [1, 1]], [[0] * 40] * 40),
)


def _rows(random: Random, height: int, width: int) -> list[list[int]]:
    return [[random.randint(-9, 12) for _ in range(width)] for _ in range(height)]


KINDS: dict[str, ParameterKind] = {
    "int": _INT,
    "natural": _NATURAL,
    "small": _SMALL,
    "positive": _POSITIVE,
    "bool": ParameterKind(
        draw=lambda random: random.random() < 0.5,
        strategy=lambda st: st.booleans(),
        plain=True,
        edges=(False, True),
        catalogue=(False, True),
    ),
    "float": _FLOAT,
    "any_float": _ANY_FLOAT,
    "positive_float": _real(1, 6, (1e-12, 1e12), (0.1, 1.0, 100.0)),
    "unit": _real(0, 1, (0.0, 1.0, 5e-324), (0.1, 0.5, 1 / 3)),
    "ints": _list(_INT, edges=([-3, 3], [4, 4, -1, 4]), catalogue=(list(range(LONG)), list(range(LONG, 0, -1)))),
    "some_ints": _list(_INT, 1, ([-3, -8], [4, 4, -1, 4]), (list(range(LONG)), list(range(LONG, 0, -1)))),
    "two_ints": _list(_INT, 2, ([0, 6], [5, 5], [-3, -8])),
    "floats": _list(_FLOAT),
    "some_floats": _list(_FLOAT, 1),
    "any_floats": _list(_ANY_FLOAT),
    "word": _WORD,
    "some_word": _SOME_WORD,
    "left_word": _WORD,
    "right_word": _WORD,
    "text": _TEXT,
    "unicode": ParameterKind(
        draw=_TEXT.draw,
        strategy=_joined(_SCRIPTS, 12),
        plain=_TEXT.plain,
        edges=(*_TEXT.edges, "\ud83d"),
        catalogue=_TEXT.catalogue,
    ),
    "words": _list(_SOME_WORD, edges=(["be", "Be", "be"],)),
    "some_words": _list(_SOME_WORD, 1, (["be", "Be", "be"],)),
    "maybe_int": _maybe(_INT),
    "maybe_ints": _maybe(_list(_INT)),
    "maybe_text": _maybe(_TEXT),
    "holes": _HOLES,
    "digits": _DIGITS,
    "table": _TABLE,
    "key": ParameterKind(
        draw=lambda random: random.choice("abcdez"),
        strategy=lambda st: st.sampled_from("abcdez"),
        plain="a",
        edges=("z", "", "é"),
        catalogue=("a", "b"),
    ),
    "pairs": _PAIRS,
    "matrix": _MATRIX,
    "log_density": _function(
        {
            "normal": "lambda x: -0.5 * nightlane_square(x)",
            "wide": "lambda x: -0.005 * nightlane_square(x)",
            "tilted": "lambda x: 0.1 * nightlane_first(x) - 0.5 * nightlane_square(x)",
        },
        {
            "flat": "lambda x: 0.0",
            "box": "lambda x: 0.0 if nightlane_square(x) <= 25 else -nightlane_math.inf",
        },
        {  # differences far above 700, where exp() has no value, and densities that are 0
            "steep": "lambda x: -1e6 * nightlane_square(x)",
            "rising": "lambda x: 1e5 * nightlane_first(x)",
            "falling": "lambda x: -1e5 * nightlane_first(x)",
            "half_line": "lambda x: -nightlane_first(x) if nightlane_first(x) >= 0 else -nightlane_math.inf",
            "nowhere": "lambda x: -nightlane_math.inf",
        },
    ),
    "real_function": _function(
        {"square": "lambda x: x * x", "line": "lambda x: 2.0 * x - 1.0", "sine": "lambda x: nightlane_math.sin(x)"},
        {"constant": "lambda x: 3.0", "step": "lambda x: 1.0 if x >= 0 else -1.0", "absolute": "lambda x: abs(x)"},
        {"zero": "lambda x: 0.0", "huge": "lambda x: 1e300 * x", "tiny": "lambda x: 1e-300 * x"},
    ),
}
