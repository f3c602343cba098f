"""What a program's values may take of our memory."""

import gc
import json
import tracemalloc
from typing import Any

import pytest

from sandbox import Ended, Limits, Program, Returned, open_sandbox
from sandbox.outside.program_channel import memory_of
from sandbox.values import decode

MIB = 1 << 20
LIMITS = Limits(seconds=5, output_bytes=4 * MIB)


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 5_000,
        [{}] * 5_000,
        [{"a": []}] * 5_000,
        list(range(1000, 11_000)),
        [0.5 + number for number in range(10_000)],
        [f"{number:x}" for number in range(10_000)],
        {f"{number:x}": number for number in range(10_000)},
        [{"$tuple": [1, 2]}] * 5_000,
        "text" * 25_000,
        ["é,[{:"] * 10_000,
    ],
    ids=["lists", "dicts", "dicts of lists", "ints", "floats", "texts", "a dict", "tuples", "a text", "separators"],
)
def test_the_memory_of_a_value_is_known_before_it_is_read(value: Any) -> None:
    body = json.dumps(value, separators=(",", ":")).encode()
    gc.collect()
    tracemalloc.start()
    try:
        form = json.loads(body)
        read = tracemalloc.get_traced_memory()[0]
        kept = decode(form)
        both = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept is not None
    assert read <= 1.3 * memory_of(body)
    assert both <= 2.6 * memory_of(body)


def test_separators_in_a_text_do_not_count() -> None:
    body = json.dumps(["a,b[" * 500_000, 'x",\\"[' * 100_000]).encode()
    assert memory_of(body) < 1.2 * len(body)


@pytest.mark.parametrize("value", ["[{}] * 1_300_000", "[0] * 1_000_000", "[[[]]] * 300_000"])
def test_a_value_of_too_many_parts_ends_the_program(value: str) -> None:
    with open_sandbox(LIMITS) as sandbox:
        found = sandbox.run(Program(f"def f(): return {value}", "f", ((),)))
    (outcome,) = found.outcomes
    assert isinstance(outcome, Ended)
    assert outcome.reason == "output"


def test_large_values_of_ordinary_parts_are_read() -> None:
    with open_sandbox(LIMITS) as sandbox:
        found = sandbox.run(Program("def f(x): return [x] * 300_000", "f", ((7,), (",",))))
    assert found.outcomes == (Returned([7] * 300_000), Returned([","] * 300_000))


@pytest.mark.long
def test_values_that_are_kept_together_have_a_limit_of_their_own() -> None:
    with open_sandbox(LIMITS) as sandbox, sandbox.start("def f(): return [[]] * 100_000", "f") as program:
        kept = program.calls("f", [()] * 8)
    assert isinstance(kept[0], Returned)
    assert isinstance(kept[-1], Ended)
    assert kept[-1].reason == "output"
    with open_sandbox(LIMITS) as sandbox, sandbox.start("def f(): return [[]] * 100_000", "f") as program:
        assert all(isinstance(outcome, Returned) for outcome in program.each_call("f", [()] * 8))
