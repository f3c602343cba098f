"""What programs do by accident: values, exceptions, endless loops, too much of everything."""

from typing import Any

import pytest
from jailed import LIMITS, Run

from sandbox import Ended, Limits, Program, Raised, Returned, Sandbox


def test_each_call_has_its_own_outcome(run: Run) -> None:
    execution = run("def f(a, b): return [a / b, {a: (b,)}]", (1, 2), (1, 0), ("x", 1), (4, 2))
    assert execution.loaded is None
    assert execution.outcomes == (
        Returned([0.5, {1: (2,)}]),
        Raised("ZeroDivisionError", "division by zero"),
        Raised("TypeError", "unsupported operand type(s) for /: 'str' and 'int'"),
        Returned([2.0, {4: (2,)}]),
    )
    assert execution.seconds > 0


@pytest.mark.parametrize("value", [None, True, 2**80, -0.5, "é\0\ud83d", b"\xff", [1], (), {1, 2}, {(1, "a"): [b""]}])
def test_every_kind_of_value_crosses_both_ways(run: Run, value: Any) -> None:
    assert run("def f(x): return x", (value,)).outcomes == (Returned(value),)


def test_a_program_without_calls_is_only_loaded(run: Run, sandbox: Sandbox) -> None:
    execution = sandbox.run(Program("def f(): pass", "f", ()))
    assert execution.loaded is None
    assert execution.outcomes == ()


def test_arguments_are_fresh_in_each_call(run: Run) -> None:
    assert run("def f(x): x.append(1); return x", ([],), ([],)).outcomes == (Returned([1]), Returned([1]))


@pytest.mark.parametrize(
    ("source", "exception"),
    [
        ("def f(:", "SyntaxError"),
        ("def g(): pass", "NameError"),
        ("f = 3", "NameError"),
        ("import numpy\ndef f(): pass", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = '\ud800'", "UnicodeEncodeError"),
        ("x = [" + "(" * 2000, "SyntaxError"),
    ],
)
def test_a_source_that_does_not_load_says_why_and_makes_no_calls(run: Run, source: str, exception: str) -> None:
    execution = run(source, (), ())
    assert isinstance(execution.loaded, Raised)
    assert execution.loaded.exception == exception
    assert execution.outcomes == ()


def test_a_source_over_the_limit_is_not_run(sandbox: Sandbox) -> None:
    execution = sandbox.run(Program("#" * (LIMITS.source_bytes + 1), "f", ((),)))
    assert isinstance(execution.loaded, Ended)
    assert execution.loaded.reason == "unrepresentable"


def test_the_main_guard_does_not_run(run: Run) -> None:
    assert run("def f(): return 1\nif __name__ == '__main__': f = 2").outcomes == (Returned(1),)


def test_modules_are_found_in_memory_and_on_disk_but_no_installed_package(run: Run) -> None:
    source = "import math, ipaddress, zlib\ndef f(): return str(ipaddress.ip_address(1)), zlib.crc32(b'')"
    assert run(source).outcomes == (Returned(("0.0.0.1", 0)),)
    assert run("def f():\n import hypothesis").outcomes == (
        Raised("ModuleNotFoundError", "No module named 'hypothesis'"),
    )


def test_the_same_program_gives_the_same_values_every_time(run: Run) -> None:
    source = "import random\ndef f(): return [random.random(), random.choice('abc'), list({'a', 'b', 'c', 'd'})]"
    assert run(source).outcomes == run(source).outcomes


@pytest.mark.parametrize(
    "body",
    ["while True: pass", "time.sleep(60)", "while True: time.sleep(0.001)", "return 10 ** 10 ** 9"],
)
def test_a_program_that_takes_too_long_ends(run: Run, body: str) -> None:
    execution = run(f"import time\ndef f(x):\n if x: return x\n {body}", (1,), (0,), (2,))
    first, second, third = execution.outcomes
    assert first == Returned(1)
    assert isinstance(second, Ended)
    assert second.reason == "timeout"
    assert third == second


def test_an_endless_import_ends_without_outcomes(run: Run) -> None:
    execution = run("while True: pass")
    assert isinstance(execution.loaded, Ended)
    assert execution.loaded.reason == "timeout"
    assert execution.outcomes == ()


def test_signals_cannot_be_used_to_outlive_the_deadline(run: Run) -> None:
    source = """
import signal
def f():
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    while True: pass
"""
    (outcome,) = run(source).outcomes
    assert isinstance(outcome, Ended)
    assert outcome.reason == "timeout"


@pytest.mark.parametrize(
    "body",
    ["return len(bytearray(10 ** 10))", "x = []\n while True: x.append(bytearray(1 << 26))", "return [0] * 10 ** 9"],
)
def test_memory_runs_out_for_the_program_alone(run: Run, body: str) -> None:
    (outcome,) = run(f"def f():\n {body}").outcomes
    assert (isinstance(outcome, Raised) and outcome.exception == "MemoryError") or (
        isinstance(outcome, Ended) and outcome.reason == "memory"
    )


def test_memory_that_stays_full_ends_the_program(run: Run) -> None:
    source = (
        "x = []\ndef f():\n for size in (1 << 20, 1 << 10, 16):\n  try:\n   while True: x.append(bytearray(size))\n"
    )
    (outcome,) = run(source + "  except MemoryError: pass\n return 1").outcomes
    assert isinstance(outcome, Returned | Raised | Ended)


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return f()",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n def __repr__(self): return repr([self])\n"
        "def f(): return repr(A())",
    ],
)
def test_endless_recursion_harms_nobody_else(run: Run, source: str) -> None:
    (outcome,) = run(source).outcomes
    assert isinstance(outcome, Raised | Ended)


@pytest.mark.parametrize("value", ["'x' * 5000", "list(range(5000))", "b'x' * 4000", "'\\x00' * 1000", "1 << 40000"])
def test_a_value_over_the_limit_does_not_cross_and_the_next_call_is_made(run: Run, value: str) -> None:
    first, second = run(f"def f(x): return {value} if x else 1", (1,), (0,)).outcomes
    assert isinstance(first, Ended)
    assert first.reason == "output"
    assert second == Returned(1)


def test_what_a_program_prints_goes_nowhere(run: Run) -> None:
    source = "import sys\ndef f():\n print('x' * 10 ** 6, flush=True)\n sys.stderr.write('y')\n return 1"
    assert run(source).outcomes == (Returned(1),)


@pytest.mark.parametrize("source", ["import sys\ndef f(): sys.exit(0)", "def f(): raise KeyboardInterrupt"])
def test_even_exits_are_exceptions_of_one_call(run: Run, source: str) -> None:
    first, second = run(source, (), ()).outcomes
    assert isinstance(first, Raised)
    assert first == second


def test_a_long_message_is_cut(run: Run) -> None:
    (outcome,) = run("def f(): raise ValueError('x' * 10 ** 6)").outcomes
    assert outcome == Raised("ValueError", "x" * 500)


def test_a_program_that_leaves_says_how(run: Run) -> None:
    source = "import os\ndef f(x):\n if x: os._exit(x)\n return 0"
    assert run(source, (0,), (3,), (0,)).outcomes == (
        Returned(0),
        Ended("exited", "left with exit status 3"),
        Ended("exited", "left with exit status 3"),
    )


def test_arguments_that_cannot_cross_are_the_callers_mistake(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="type object cannot cross"):
        sandbox.run(Program("def f(x): pass", "f", ((object(),),)))


def test_limits_and_programs_that_make_no_sense_cannot_be_built() -> None:
    for build in (
        lambda: Limits(seconds=0),
        lambda: Limits(memory_mb=1),
        lambda: Limits(output_bytes=0),
        lambda: Limits(source_bytes=0),
        lambda: Program("", "a.b", ()),
    ):
        with pytest.raises(ValueError, match="is"):
            build()


def test_the_standard_librarys_dicts_come_out_as_the_dicts_they_equal(run: Run) -> None:
    source = """
from collections import Counter, OrderedDict, defaultdict
class Own(Counter): pass
def f(own):
    return Own("a") if own else [Counter("aab"), OrderedDict(a=1), {"d": defaultdict(int, {1: 2})}]
"""
    plain, own = run(source, (False,), (True,)).outcomes
    assert plain == Returned([{"a": 2, "b": 1}, {"a": 1}, {"d": {1: 2}}])
    assert [type(value) for value in plain.value[:2]] == [dict, dict]
    assert isinstance(own, Ended)
