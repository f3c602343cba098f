"""Sets keep their order from one process in the jail to another, as a test's author saw it (MBPP/341)."""

import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jailed import LIMITS

import sandbox as api
from sandbox.set_order import SetLayout, laid_out, rebuilt
from sandbox.values import decode

MADE = {
    "a literal": lambda items: eval("{" + ", ".join(map(repr, items)) + "}"),
    "a list": set,
    "one by one": lambda items: {item for item in items},
    "a union": lambda items: set(items[::2]) | set(items[1::2]),
    "from a dict": lambda items: set(dict.fromkeys(items)),
    "what others leave": lambda items: set(items) - set(items[::3]),
    "either but not both": lambda items: set(items) ^ set(items[::2]),
    "removals": lambda items: without(set(items), items[::3]),
    "removals and additions": lambda items: changed(items),
}


def without(made: set[Any], others: list[Any]) -> set[Any]:
    for other in others:
        made.discard(other)
    return made


def changed(items: list[Any]) -> set[Any]:
    """CPython puts an item into the slot of a removed one, so that two may each stand where the other belongs."""
    made: set[Any] = set()
    for place, item in enumerate(items):
        made.add(item)
        made ^= set(items[place // 2 : place : 3])
    return made


DRAWN = {
    "small numbers": lambda draw: draw.randrange(60),
    "wide numbers": lambda draw: draw.randrange(-(10**12), 10**12),
    "texts": lambda draw: "".join(draw.choices("abcd", k=3)),
    "floats": lambda draw: draw.uniform(-9, 9),
    "pairs": lambda draw: (draw.randrange(8), "ab"[draw.randrange(2)]),
    "pairs of numbers": lambda draw: (draw.randrange(8), draw.randrange(6)),  # whose hashes have no seed
}


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("what", DRAWN)
def test_a_set_is_rebuilt_in_its_order(how: str, what: str) -> None:
    generator = random.Random(f"{how}/{what}")
    for size in (*range(40), 70, 76, 300):
        made: set[Any] = MADE[how]([DRAWN[what](generator) for _ in range(size)]) if size else set()
        found = laid_out(made)
        again = rebuilt(found, set()) if found.slots else set(found.items)
        assert again == made
        assert list(again) == list(made)
        assert sys.getsizeof(again) == sys.getsizeof(made) or len(made) < 2  # the tables are of one size


def test_what_cannot_be_rebuilt_is_at_least_the_same_set() -> None:
    holed = set(range(0, 4000, 64))
    for number in range(0, 4000, 128):
        holed.discard(number)
    holed.add(64 * 64)
    found = laid_out(holed)
    assert (rebuilt(found, set()) if found.slots else set(found.items)) == holed
    assert laid_out(set(range(5000))) == SetLayout(list(range(5000)))


@pytest.fixture(scope="module")
def rooms() -> Iterator[tuple[api.Sandbox, api.Sandbox]]:
    with api.open_sandbox(LIMITS) as programs, api.open_sandbox(LIMITS) as tests:
        yield programs, tests


TESTS = """
def check():
    return [list(f(s)) for s in (
        {12, 13, 14, 15, 16}, {6, 7, 8, 9, 10, 11}, {"pear", "apple", "fig"}, {(1, 2), (3, 4), (5, 6)}, {16, 0, 8, 24},
    )] == [f_here({12, 13, 14, 15, 16}), f_here({6, 7, 8, 9, 10, 11}), f_here({"pear", "apple", "fig"}),
           f_here({(1, 2), (3, 4), (5, 6)}), f_here({16, 0, 8, 24})]
def f_here(s): return list(tuple(s))
def values(): return [f({12, 13, 14, 15, 16}), list(g({12, 13, 14, 15, 16})), list({12, 13, 14, 15, 16})]
"""


def test_an_argument_iterates_in_the_program_as_in_the_tests_and_a_value_on_its_way_back(
    rooms: tuple[api.Sandbox, api.Sandbox],
) -> None:
    programs, tests = rooms
    with programs.start("def f(s): return tuple(s)\ndef g(s): return s", "f") as program:

        def forward(name: str) -> api.Ask:
            return lambda *arguments, **named: program.forward(name, arguments, named)

        with tests.start(TESTS, "check", {"f": forward("f"), "g": forward("g")}) as checker:
            assert checker.call("check") == api.Returned(True)
            found = checker.call("values")
            assert isinstance(found, api.Returned)
            assert found.value == [(16, 12, 13, 14, 15), [16, 12, 13, 14, 15], [16, 12, 13, 14, 15]]


def test_a_set_that_came_in_another_order_has_not_changed(rooms: tuple[api.Sandbox, api.Sandbox]) -> None:
    with rooms[0].start("def f(s, grow):\n    if grow: s.add(99)", "f") as program:
        given = {16, 12, 13, 14, 15, 64, 32, 48}
        for grow in (False, True):
            found = program.call("f", given, grow)
            assert isinstance(found, api.Returned)
            assert found.changed == ({0: given | {99}} if grow else {})


CHANGES = """
def check():
    grown, shrunk, popped = {1, 2, 3, 4}, set(), {1, 2, 3, 4}
    for number in (33, 2, 3, 4, 16): shrunk.add(number)
    f(grown, 16, None); f(shrunk, None, 3); f(popped, 16, None)
    return [list(grown), list(shrunk), popped.pop()]
"""


def test_a_set_that_a_program_changes_has_its_order_in_the_tests(rooms: tuple[api.Sandbox, api.Sandbox]) -> None:
    programs, tests = rooms
    source = "def f(s, more, less):\n    if more: s.add(more)\n    s.discard(less)"
    own: dict[str, Any] = {}
    exec(source + CHANGES, own)
    with programs.start(source, "f") as program:
        asks: dict[str, api.Ask] = {"f": lambda *arguments, **named: program.forward("f", arguments, named)}
        with tests.start(CHANGES, "check", asks) as checker:
            assert checker.call("check") == api.Returned(own["check"]())


@pytest.mark.parametrize("items", [[[1], 2], [1, 1, 2]])
def test_a_forged_set_is_refused_as_a_plain_one_is(items: list[Any]) -> None:
    for form in ({"$laid_set": [items, 8, [1, 2, 3][: len(items)], []]}, {"$set": items}):
        for in_order in (False, True):
            with pytest.raises(ValueError, match="set"):
                decode(form, in_order)
