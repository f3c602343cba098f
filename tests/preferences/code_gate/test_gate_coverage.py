"""The sandbox records the arcs that coverage.py's own tracer records, and coverage.py decides what is a branch."""

import runpy
from pathlib import Path

import coverage
import pytest

from preferences.code_gate import Contract, ContractSandboxes
from preferences.code_gate.execution.harness import ARCS, TRACED, traced_source
from preferences.code_gate.layers.coverage import measure
from sandbox import Limits, Returned

PROGRAM = '''
"""Every kind of statement that branches."""
import contextlib
from dataclasses import dataclass


@dataclass
class Box:
    value: int = 0

    def open(self):
        return self.value if self.value else None


def numbers(n):
    for i in range(n):
        if i % 2:
            yield i
    else:
        yield from (k for k in range(2))


@contextlib.contextmanager
def around(log):
    try:
        yield log
    finally:
        log.append("out")


def f(n):
    log = []
    with around(log) as kept:
        kept.append(n)
    try:
        if n > 3:
            raise ValueError(n)
        log.append([x for x in numbers(n) if x > 1])
    except ValueError as error:
        log.append(str(error))
    except TypeError:
        log.append("never")
    else:
        log.append("fine")
    while n > 0:
        n -= 1
        if n == 2:
            continue
        if n == 9:
            break
    else:
        log.append("whole")
    match n:
        case 0:
            log.append((lambda: 0)())
        case 5 | 6:
            log.append("never")
    return [*log, Box(n).open()]
'''


@pytest.mark.parametrize("calls", [(), (0,), (2, 5), (0, 1, 4, 10)])
def test_the_arcs_are_those_of_coverage_itself(tmp_path: Path, calls: tuple[int, ...]) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    own = coverage.Coverage(data_file=None, config_file=False, branch=True, include=[str(path)])
    with own.collect():
        f = runpy.run_path(str(path))["f"]
        for n in calls:
            f(n)
    expected = own.branch_stats(str(path)), own.analysis2(str(path))[3]
    with (
        ContractSandboxes(Limits(seconds=0.5)) as sandboxes,
        sandboxes.programs.start(traced_source(PROGRAM, Contract("f", {"n": "int"}, PROGRAM)), "f") as candidate,
    ):
        assert candidate.calls(TRACED, [(n,) for n in calls]) == (Returned(None),) * len(calls)
        outcome = candidate.call(ARCS)
    assert isinstance(outcome, Returned)
    theirs = coverage.Coverage(data_file=None, config_file=False, branch=True)
    theirs.get_data().add_arcs({str(path): set(map(tuple, outcome.value))})
    assert (theirs.branch_stats(str(path)), theirs.analysis2(str(path))[3]) == expected
    for each in (own, theirs):
        each.get_data().close()


def test_percentages_are_of_branches_and_of_statements() -> None:
    program = "def f(n):\n    if n:\n        return 1\n    return 2\n"
    receipt = measure(program, {(-1, 1), (1, -1), (-1, 2), (2, 3), (3, -1)}, 1)
    assert receipt.figures == {"inputs": 1, "statement_percent": 75.0, "branches": 2, "branch_percent": 50.0}
    assert receipt.failing == "not or only partly run: line 2, 4"


@pytest.mark.parametrize("line", ["        return 7  # pragma: no cover", "        n = 3  # pragma: no branch"])
def test_a_comment_does_not_excuse_a_line(line: str) -> None:
    program = f"def f(n):\n    if n > 10 ** 9:  # pragma: no cover\n{line}\n    return n\n"
    assert not measure(program, {(-1, 1), (1, -1), (-1, 2), (2, 4), (4, -1)}, 1).passed


def test_a_guard_that_no_legal_input_meets_is_not_counted() -> None:
    program = "def f(n):\n    if n is None:\n        raise TypeError('n')\n    return n\n"
    assert measure(program, {(-1, 1), (1, -1), (-1, 2), (2, 4), (4, -1)}, 1).passed
