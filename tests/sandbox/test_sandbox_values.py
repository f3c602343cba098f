"""The codec: everything in the list survives, nothing else gets in or out."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.values import MAX_DEPTH, TooLarge, Unrepresentable, canonical, decode, encode

texts = st.text(st.characters(codec=None)) | st.text(st.sampled_from("\ud83d\ude00\x00a$é"), max_size=6)
wide = st.integers() | st.integers(min_value=-(10**40), max_value=10**40)
hashable = st.recursive(
    st.none() | st.booleans() | wide | st.floats(allow_nan=False) | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
plain = st.recursive(
    hashable | st.floats() | st.sets(hashable, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=20,
)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["$tuple", "$set", "$dict", "$bytes", "$float", "$int", "$str", "$", "a"]), inner
        )
    ),
    max_leaves=10,
)


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type, all the way down; nan is nan and -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set):
        return same(sorted(map(repr, left)), sorted(map(repr, right)))
    return bool(left == right)


@given(plain)
def test_a_value_survives_encoding_json_and_decoding(value: Any) -> None:
    assert same(decode(json.loads(json.dumps(encode(value), allow_nan=False))), value)


@given(json_like)
def test_decode_gives_a_value_or_a_value_error(form: Any) -> None:
    try:
        value = decode(form)
    except ValueError:
        return
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1, 1),
        (True, True),
        (1.0, 1.0),
        ([1, "a"], [1, "a"]),
        ({"a": 1}, {"a": 1}),
        ((1, 2), {"$tuple": [1, 2]}),
        ({2, 1}, {"$set": [1, 2]}),
        ({1: 2}, {"$dict": [[1, 2]]}),
        ({"$tuple": 1}, {"$dict": [["$tuple", 1]]}),
        (b"\0", {"$bytes": "AA=="}),
        (math.inf, {"$float": "inf"}),
        (2**64, {"$int": "0x10000000000000000"}),
    ],
)
def test_data_files_look_as_documented(value: Any, form: Any) -> None:
    assert encode(value) == form
    assert same(decode(form), value)


def test_an_integer_beyond_pythons_digit_limit_survives() -> None:
    huge = -(7**20000)
    assert decode(json.loads(json.dumps(encode(huge)))) == huge


class Number(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 3


class Text(str):
    pass


class Liar:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int


@pytest.mark.parametrize(
    "value",
    [Number(3), [Number(3)], {Number(3): 1}, {Text("a"): 1}, (Text(),), Liar(), frozenset(), 1j, object, range(3)],
    ids=lambda value: type(value).__name__,
)
def test_anything_but_the_exact_types_is_refused(value: Any) -> None:
    with pytest.raises(Unrepresentable):
        encode(value)


def test_a_cycle_and_a_deep_value_are_refused_and_the_deepest_allowed_one_survives() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(Unrepresentable):
        encode(cycle)
    deep: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert decode(encode(deep)) == deep
    with pytest.raises(Unrepresentable):
        encode([deep])


@pytest.mark.parametrize("value", ["x" * 1000, b"x" * 1000, [0] * 1000, 1 << 9000, {"x" * 999: 1}])
def test_a_value_over_the_size_is_refused(value: Any) -> None:
    encode(value)
    with pytest.raises(TooLarge):
        encode(value, max_bytes=500)


@pytest.mark.parametrize(
    "form",
    [
        {"$tuple": [], "a": 1},
        {"$tuple": 1},
        {"$tuple": {}},
        {"$set": [[]]},
        {"$set": [1, True]},
        {"$dict": [[1]]},
        {"$dict": [[[], 1]]},
        {"$dict": [[1, 1], [1, 2]]},
        {"$bytes": "?"},
        {"$bytes": 1},
        {"$float": "1.0"},
        {"$int": "0x"},
        {"$int": "0x_1"},
        {"$int": "12"},
        {"$str": "gA=="},
        {"$unknown": 1},
        math.nan,
        math.inf,
        (1,),
        {1: 1},
        b"",
    ],
)
def test_malformed_input_is_refused(form: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  decode promises no more than that
        decode(form)


def colliding(number: int) -> list[int]:
    """Numbers of one hash."""
    return [k * (2**61 - 1) for k in range(5, 5 + number)]


@pytest.mark.parametrize(
    "form",
    [
        {"$set": [{"$int": hex(key)} for key in colliding(25_000)]},
        {"$dict": [[{"$int": hex(key)}, 0] for key in colliding(25_000)]},
        {"$set": [{"$tuple": [{"$int": hex(key)}, "a"]} for key in colliding(20_000)]},
        [{"$set": [{"$int": hex(key)} for key in colliding(3_000)]}] * 40,
    ],
    ids=["set", "dict", "tuples", "many sets"],
)
def test_keys_of_one_hash_are_refused_before_they_take_long(form: Any) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError, match="to tell apart"):
        decode(form)
    assert time.process_time() - begun < 4.0


def test_a_hundred_thousand_honest_keys_are_no_trouble() -> None:
    numbers = set(range(0, 10**9, 10**4))
    assert decode(encode(numbers)) == numbers
    assert decode(encode(dict.fromkeys(map(float, numbers)))) == dict.fromkeys(map(float, numbers))


def test_canonical_texts_are_those_of_equal_values_of_equal_types() -> None:
    alike = [
        (0.0, -0.0),
        (math.nan, float("nan")),
        ((1, "a"), (1, "a")),
        ({1, 2}, {2, 1}),
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
    ]
    unlike = [(1, 1.0), (1, True), ("1", 1), (b"a", "a"), ((1,), [1]), ({1}, {1.0}), ("\ud800", "?"), (0, None)]
    assert all(canonical(a) == canonical(b) for a, b in alike)
    assert all(canonical(a) != canonical(b) for a, b in unlike)
