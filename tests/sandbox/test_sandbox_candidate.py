"""A program that is called one call at a time, by functions and by other programs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jailed import BACKENDS, LIMITS

from sandbox import (
    EncodedValue,
    Ended,
    Outcome,
    ProgramEnded,
    Raised,
    Returned,
    RunningProgram,
    Sandbox,
    Value,
    open_sandbox,
)


def test_each_call_is_sent_when_it_is_made_and_state_lives_between_them(sandbox: Sandbox) -> None:
    source = "seen = []\ndef f(x, *, twice=False, name=0, self=0):\n seen.append(x)\n return seen * (1 + twice)"
    with sandbox.start(source, "f") as candidate:
        assert candidate.call("f", 1) == Returned([1])
        assert candidate.call("f", 2, twice=True, name=1, self=2) == Returned([1, 2, 1, 2])
        assert candidate.ended is None


def test_any_function_of_the_program_can_be_called_and_others_cannot(sandbox: Sandbox) -> None:
    with sandbox.start("three = 3\ndef f(): return 1\ndef g(): return 2") as candidate:
        assert [candidate.call(name) for name in "fg"] == [Returned(1), Returned(2)]
        for missing in ("h", "three", "print"):
            assert isinstance(outcome := candidate.call(missing), Raised)
            assert outcome.exception == "NameError"


def test_a_program_that_does_not_load_gives_that_for_every_call(sandbox: Sandbox) -> None:
    with sandbox.start("1 / 0", "f") as candidate:
        assert isinstance(candidate.loaded, Raised)
        assert candidate.call("f") == candidate.loaded
    with sandbox.start("def g(): pass", "f") as candidate:
        assert candidate.loaded == Raised("NameError", "the program does not define 'f'")


def test_a_function_out_here_returns_what_the_program_returns_and_raises_what_it_raises(sandbox: Sandbox) -> None:
    source = """
import json
class Own(KeyError): pass
def f(what):
    if what == "json": json.loads("{")
    if what == "own": raise Own("mine")
    if what == "exit": raise SystemExit(3)
    if what == "unicode": b"\\xff".decode()
    if what == "leave": __import__("os")._exit(0)
    return what
"""
    with sandbox.start(source, "f") as candidate:
        f = candidate.function("f")
        assert f("a") == "a"
        with pytest.raises(ValueError, match="Expecting property name") as raised:
            f("json")
        assert type(raised.value).__name__ == "JSONDecodeError"
        with pytest.raises(KeyError) as own:
            f(what="own")
        assert own.value.args == ("mine",)
        with pytest.raises(UnicodeError, match="invalid start byte"):
            f("unicode")
        with pytest.raises(Exception, match="3") as left:
            f("exit")
        assert not isinstance(left.value, SystemExit)
        with pytest.raises(ProgramEnded, match="exited"):
            f("leave")
        with pytest.raises(ProgramEnded, match="exited"):
            f("a")
        assert isinstance(candidate.ended, Ended)


def test_an_argument_that_cannot_cross_is_the_callers_mistake_and_the_program_lives_on(sandbox: Sandbox) -> None:
    with sandbox.start("def f(x): return x", "f") as candidate:
        with pytest.raises(ValueError, match="cannot cross"):
            candidate.call("f", object())
        assert candidate.call("f", 1) == Returned(1)


def test_the_time_of_a_program_stands_still_while_nobody_waits_for_it(sandbox: Sandbox) -> None:
    import time

    with sandbox.start("def f(): return 1", "f") as candidate:
        for _ in range(3):
            time.sleep(LIMITS.seconds)
            assert candidate.call("f") == Returned(1)


def test_sleeping_in_small_pieces_is_added_up(sandbox: Sandbox) -> None:
    with sandbox.start("import time\ndef f(): time.sleep(0.02)", "f") as candidate:
        outcomes = [candidate.call("f")]
        while isinstance(outcomes[-1], Returned) and len(outcomes) < 300:  # a starved machine counts in part only
            outcomes.append(candidate.call("f"))
        assert outcomes[0] == Returned(None)
        assert isinstance(outcomes[-1], Ended)
        assert outcomes[-1].reason == "timeout"


def test_one_program_at_a_time(sandbox: Sandbox) -> None:
    with (
        sandbox.start("def f(): return 1", "f"),
        pytest.raises(RuntimeError, match="close the one that runs"),
    ):
        sandbox.start("def f(): return 2", "f")


CHECK = """
def check():
    assert f(2) == 4
    try:
        f("x")
    except TypeError as error:
        return str(error)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_checker_in_a_sandbox_of_its_own_drives_a_candidate(sandbox: Sandbox, backend: str) -> None:
    with open_sandbox(LIMITS, backend) as checkers, sandbox.start("def f(x): return x ** 2", "f") as candidate:

        def f(x: Value) -> Outcome:
            return candidate.call("f", x)

        with checkers.start(CHECK, "check", {"f": f}) as checker:
            assert isinstance(outcome := checker.call("check"), Returned)
            assert "unsupported operand" in outcome.value


def test_a_program_may_ask_while_it_loads_and_its_questions_are_checked(sandbox: Sandbox) -> None:
    def double(x: EncodedValue) -> Outcome:
        return Returned(2 * x.value)

    with sandbox.start("four = ask(2)\ndef f(): return four", "f", {"ask": double}) as program:
        assert program.call("f") == Returned(4)
    with sandbox.start(
        "def f():\n    try: ask(f)\n    except Exception as e: return str(e)", asks={"ask": double}
    ) as p:
        assert isinstance(outcome := p.call("f"), Returned)
        assert "cannot cross" in outcome.value
        assert p.unasked
    forged = "import os\nfrom sandbox import protocol\ndef f(): os.write(3, protocol.pack(['ask', 'other', [], {}]))"
    with sandbox.start(forged, asks={"ask": double}) as p:
        assert isinstance(p.call("f"), Ended)


@pytest.mark.parametrize("outcome", [Raised("ValueError", "no", "ValueError"), Ended("timeout", "slow")])
def test_what_a_question_raises_can_be_caught(sandbox: Sandbox, outcome: Outcome) -> None:
    source = "def f():\n    try: ask()\n    except Exception as e: return [type(e).__name__, str(e)]"
    with sandbox.start(source, "f", {"ask": lambda: outcome}) as program:
        name, message = {"Raised": ("ValueError", "no"), "Ended": ("ProgramEnded", "timeout: slow")}[
            type(outcome).__name__
        ]
        assert program.call("f") == Returned([name, message])


def test_calls_ahead_and_calls_one_by_one_give_the_same(sandbox: Sandbox) -> None:
    source = "def f(x):\n    if x == 2: raise KeyError(x)\n    if x == 4: __import__('os')._exit(0)\n    return x * x"

    def one_by_one(candidate: RunningProgram) -> tuple[Outcome, ...]:
        return tuple(candidate.call("f", x) for x in range(6))

    with sandbox.start(source, "f") as candidate:
        single = one_by_one(candidate)
    with sandbox.start(source, "f") as candidate:
        assert candidate.calls("f", [(x,) for x in range(6)]) == single


def test_what_a_call_does_to_its_lists_dicts_and_sets_is_done_out_here_too(sandbox: Sandbox) -> None:
    source = """
def f(xs, d, s, same, t=None):
    xs.reverse(); d["new"] = xs[0]; s.add(9); t and t.clear()
def g(xs): xs.append(g)
"""
    xs, d, s, same = [1, 2], {"a": 1}, {1}, [3]
    with sandbox.start(source, "f") as candidate:
        outcome = candidate.call("f", xs, d, s, same)
        assert outcome == Returned(None)
        assert isinstance(outcome, Returned)
        assert outcome.changed == {0: [2, 1], 1: {"a": 1, "new": 2}, 2: {1, 9}}
        ahead = candidate.calls("f", [(xs, d, s, same)] * 2, tell=True)
        assert [one.changed for one in ahead if isinstance(one, Returned)] == [outcome.changed] * 2
        candidate.function("f")(xs, d, s, same)
        assert (xs, d, s, same) == ([2, 1], {"a": 1, "new": 2}, {1, 9}, [3])
        assert candidate.call("g", []) == Returned(None)


@pytest.mark.parametrize("place", ["7", "-1", "x", "\u00b2", "0"])
def test_a_forged_change_changes_nothing_else(sandbox: Sandbox, place: str) -> None:
    frame = f"['returned', 1, {{{place!r}: 5}}]"
    forged = f"import os\nfrom sandbox import protocol\ndef f(xs): os.write(3, protocol.pack({frame}))"
    xs = [1]
    with sandbox.start(forged, "f") as candidate:
        with contextlib.suppress(ProgramEnded):
            candidate.function("f")(xs)
        assert xs == [1]


def test_a_property_test_drives_a_candidate(sandbox: Sandbox) -> None:
    source = "def f(xs):\n    return sorted(set(xs))\ndef right(xs): return sorted(xs)"
    with sandbox.start(source, "f") as candidate:

        @given(st.lists(st.integers()))
        def keeps_every_item(xs: list[int]) -> None:
            assert len(tested(xs)) == len(xs)

        tested = candidate.function("right")
        keeps_every_item()
        tested = candidate.function("f")
        with pytest.raises(AssertionError):
            keeps_every_item()
