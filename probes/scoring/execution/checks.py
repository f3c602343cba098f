"""The checks of a prompt, and how a program does under them. ``checks`` has one of two forms:

    {"entry_point": NAME, "cases": [{"args": [...], "expected": ...}, ...]}     values as in sandbox.values
    {"entry_point": NAME, "setup": PYTHON, "tests": [PYTHON, ...]}              each test is one check

The program runs in a sandbox that takes arguments and returns values; expected values are compared outside. Test code
(HumanEval's ``check``, MBPP's asserts) runs unchanged in a second sandbox. It finds the program's functions under their
own names and as ``candidate``, and each call of one passes through this process to the program and back.
"""

import ast
import builtins
import contextlib
import functools
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from probes.scoring.execution.calls import Call, Relay, describe
from probes.scoring.execution.failure_classes import FailureClass, class_of
from probes.scoring.execution.parser import Parser
from sandbox import (
    Ended,
    Limits,
    Outcome,
    ProgramBroke,
    Raised,
    Returned,
    RunningProgram,
    Sandbox,
    Value,
    canonical,
    open_sandbox,
    run_twice,
)
from sandbox.values import decode

TOLERANCE = 1e-9
VALUE_BYTES = 4 << 20  # JSON bytes of a returned value, a list of some hundred thousand numbers, say
PACKAGES = ("numpy",)  # tests may import these if installed, as HumanEval+ and MBPP+ do; programs may not
_RUN = "nightlane_runs_a_test"
_HARNESS = f"\ndef {_RUN}(text):\n    exec(compile(text, '<test>', 'exec'), globals())\n"


class TestsBroken(Exception):
    """The tests of a prompt fail by themselves, whatever the program does."""

    __test__ = False  # not a test class for pytest


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Checks passed out of ``total``; the class of the first that failed, and a note with its input. ``loaded``:
    whether the source did. ``stopped``: whether the program or its tests ended before all checks, as by a limit, so
    that another try may differ."""

    passed: int
    total: int
    failure_class: FailureClass = "PASS"
    note: str = ""
    loaded: bool = True
    stopped: bool = False


class Sandboxes:
    """The sandbox for programs, one for test code (opened when a prompt has some), and the parser of answers."""

    def __init__(self, limits: Limits, parser: Parser | None = None) -> None:
        """parser: one that others use, too, and that they close. SandboxUnavailable when no sandbox works on this
        machine."""
        self.programs = open_sandbox(replace(limits, output_bytes=VALUE_BYTES))
        self._tests: dict[tuple[str, ...], Sandbox] = {}
        self.parser = parser or Parser()
        self._shares_parser = parser is not None
        self._interrupted = False

    def tests(self, packages: tuple[str, ...] = ()) -> Sandbox:
        """The sandbox for test code that imports these packages. It has twice the limits of a program, since test code
        computes as well and holds all that the program returns."""
        if packages not in self._tests:
            limits = self.programs.limits
            memory_mb = max(2 * limits.memory_mb, 512 if packages else 0)
            twice = Limits(2 * limits.seconds, memory_mb, VALUE_BYTES, source_bytes=16 << 20)
            opened = self._tests[packages] = open_sandbox(twice, packages=packages)
            if self._interrupted:
                opened.interrupt()
        return self._tests[packages]

    def interrupt(self) -> None:
        """From another thread: end what runs here now, and let nothing run any more."""
        self._interrupted = True
        for sandbox in (self.programs, *list(self._tests.values())):
            sandbox.interrupt()

    def close(self) -> None:
        if not self._shares_parser:
            self.parser.close()
        self.programs.close()
        for sandbox in self._tests.values():
            sandbox.close()


@dataclass(frozen=True, slots=True)
class CaseChecks:
    """Arguments and expected values."""

    entry_point: str
    arguments: tuple[tuple[Value, ...], ...]
    expected: tuple[Value, ...]

    def run(self, source: str, sandboxes: Sandboxes) -> CheckResult:
        """The share of cases with the right value. SandboxBroken when the sandbox failed."""

        def attempt() -> CheckResult:
            with sandboxes.programs.start(source, self.entry_point) as program:
                if program.loaded is not None:
                    return _unloaded(program, program.loaded, len(self.expected))
                result = self._result(program.each_call(self.entry_point, self.arguments))
                return replace(result, stopped=program.ended is not None)

        return _run_twice(attempt, len(self.expected), sandboxes.programs)

    def _result(self, outcomes: Iterable[Outcome]) -> CheckResult:
        passed, first = 0, None
        for arguments, expected, outcome in zip(self.arguments, self.expected, outcomes, strict=True):
            if isinstance(outcome, Returned) and same(outcome.value, expected):
                passed += 1
            elif first is None:
                call = Call(self.entry_point, arguments, {}, outcome)
                first = call.failure_class, call.note
        return CheckResult(passed, len(self.expected), *(first or ()))


@dataclass(frozen=True, slots=True)
class TestChecks:
    """Test code. ``setup`` is executed first, then all of ``tests`` in order; each is one check."""

    __test__ = False

    entry_point: str
    setup: str
    tests: tuple[str, ...]

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of the program that the tests call."""
        return tuple(sorted({self.entry_point, "candidate", *_free_names((self.setup, *self.tests))}))

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of PACKAGES that the tests import."""
        return tuple(name for name in PACKAGES if any(_imports(name, text) for text in (self.setup, *self.tests)))

    def run(self, source: str, sandboxes: Sandboxes) -> CheckResult:
        """The share of tests that ran to their end. SandboxBroken when the sandbox failed, TestsBroken when the tests
        cannot run at all."""
        test_sandbox = sandboxes.tests(self.packages)

        def attempt() -> CheckResult:
            with sandboxes.programs.start(source, self.entry_point) as program:
                if program.loaded is not None:
                    return _unloaded(program, program.loaded, len(self.tests))
                relay = Relay(program, self.entry_point)
                asks = {name: relay.ask(name) for name in self.functions}
                with test_sandbox.start(self.setup + _HARNESS, _RUN, asks) as tests:
                    result = self._result(tests, relay)
                    ended = program.ended is not None or tests.ended is not None
                    return replace(result, stopped=result.stopped or ended)

        return _run_twice(attempt, len(self.tests), sandboxes.programs, test_sandbox)

    def _result(self, tests: RunningProgram, relay: Relay) -> CheckResult:
        if tests.loaded is not None:
            if relay.last is None:
                raise TestsBroken(f"the setup of its tests fails: {describe(tests.loaded)}")
            return CheckResult(0, len(self.tests), *relay.explain(tests.loaded, tests.unread))
        passed, first, unread = 0, None, False
        for test in self.tests:
            relay.begin()
            tests.unread = ""
            outcome = tests.call(_RUN, test)
            unread = unread or bool(tests.unread)  # as where hashing took too long
            sound = relay.broken_call is None and relay.program.ended is None and not (tests.unasked or tests.unread)
            if isinstance(outcome, Returned) and sound:
                passed += 1
            elif first is None:
                first = relay.explain(outcome, tests.unread)
        return replace(CheckResult(passed, len(self.tests), *(first or ())), stopped=unread)


def parse_checks(checks: Mapping[str, Any]) -> CaseChecks | TestChecks:
    """Read the checks of a prompt; ValueError says what is missing."""
    entry_point = checks.get("entry_point")
    if not isinstance(entry_point, str) or not entry_point.isidentifier():
        raise ValueError("an entry_point, the name of a function")
    if not isinstance(checks.get("stub", ""), str):
        raise ValueError("a stub that is a text")
    cases, tests = checks.get("cases"), checks.get("tests")
    if isinstance(cases, list) and cases:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            arguments = [decode(case["args"]) for case in cases]
            if all(isinstance(row, list) for row in arguments):
                return CaseChecks(
                    entry_point, tuple(map(tuple, arguments)), tuple(decode(c["expected"]) for c in cases)
                )
        raise ValueError("cases of args (a list) and expected")
    setup = checks.get("setup", "")
    if isinstance(tests, list) and tests and all(isinstance(text, str) for text in (setup, *tests)):
        found = TestChecks(entry_point, setup, tuple(tests))
        try:
            _ = found.functions
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"tests that compile ({error or type(error).__name__})") from None
        return found
    raise ValueError("an entry_point with one or more cases (of args and expected) or tests (Python texts)")


def same(value: Value, expected: Value) -> bool:
    """Equal in exact type and value, also inside of containers; floats within 1e-9, nan equal to nan."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, float) and isinstance(expected, float):
        close = math.isclose(value, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return close or (math.isnan(value) and math.isnan(expected))
    if isinstance(value, list | tuple) and isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(same(a, b) for a, b in zip(value, expected, strict=True))
    if isinstance(value, dict) and isinstance(expected, dict):
        mine, theirs = _by_key(value), _by_key(expected)
        return [key for key, _ in mine] == [key for key, _ in theirs] and all(
            same(a, b) for (_, a), (_, b) in zip(mine, theirs, strict=True)
        )
    if isinstance(value, set) and isinstance(expected, set):
        return sorted(map(canonical, value)) == sorted(map(canonical, expected))
    return bool(value == expected)


def _by_key(value: dict[Value, Value]) -> list[tuple[str, Value]]:
    """Sorted by the keys' text and not hashed: a program may choose keys whose hashes collide."""
    return sorted(((canonical(key), item) for key, item in value.items()), key=itemgetter(0))


def _run_twice(attempt: Callable[[], CheckResult], total: int, *sandboxes: Sandbox) -> CheckResult:
    try:
        return run_twice(attempt, *sandboxes)
    except ProgramBroke as trouble:
        return CheckResult(0, total, "BROKE_SANDBOX", str(trouble), stopped=True)


def _unloaded(program: RunningProgram, loaded: Raised | Ended, total: int) -> CheckResult:
    failure, note = class_of(loaded, loading=True), f"it does not load: {describe(loaded)}"
    return CheckResult(0, total, failure, note, loaded=False, stopped=program.ended is not None)


def _imports(name: str, source: str) -> bool:
    return bool(re.search(rf"^[ \t]*(?:import|from)[ \t]+{name}\b", source, re.MULTILINE))


@functools.lru_cache(maxsize=1024)
def _free_names(sources: tuple[str, ...]) -> frozenset[str]:
    """Names that the sources call and neither they nor Python define. SyntaxError if one does not compile."""
    called, bound = set(), set(dir(builtins)) | {"__name__", "__file__", "__doc__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about foreign code are of no use here
        trees = [ast.parse(source) for source in sources]
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)):
                    called.add(name)
                case (
                    ast.Name(id=name, ctx=ast.Store())
                    | ast.arg(arg=name)
                    | ast.FunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    bound.add(name)
                case ast.AsyncFunctionDef(name=name) | ast.ExceptHandler(name=str(name)):
                    bound.add(name)
                case ast.alias(name=name, asname=other):
                    bound.add(other or name.split(".")[0])
    return frozenset(called - bound)
