"""A program that was checked before is not run again under the same checks."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from probes.inputs.prompts import Prompt
from probes.scoring import Answer
from probes.scoring.execution.checks import CaseChecks, CheckResult
from probes.scoring.execution.known_results import KnownResults
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return x\n"
ENDLESS = "def double(x):\n    while True: pass\n"


def prompt(name: str) -> Prompt:
    checks: dict[str, Any] = {"entry_point": "double", "cases": [{"args": [3], "expected": 6}]}
    return Prompt(name, "probe", "code", 1, "Write double.", checks)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that are really run."""
    found: list[str] = []
    run = CaseChecks.run

    def counted(checks: CaseChecks, source: str, sandboxes: Any) -> CheckResult:
        found.append(source.strip())
        return run(checks, source, sandboxes)

    monkeypatch.setattr(CaseChecks, "run", counted)
    return found


def test_the_same_program_is_run_once_for_each_prompt_whatever_stands_around_it(runs: list[str]) -> None:
    scorer = ExecutionScorer(ExecutionSettings(seconds=0.5))
    try:
        texts = [RIGHT, WRONG, RIGHT, f"Here it is:\n```python\n{RIGHT}```\n", WRONG]
        marks = scorer.score([Answer(prompt(name), text) for name in ("one", "two") for text in texts])
        again = scorer.score([Answer(prompt("one"), text) for text in texts])
    finally:
        scorer.close()
    assert [mark.value for mark in marks] == [10.0, 0.0, 10.0, 10.0, 0.0] * 2
    assert again == marks[:5]
    assert sorted(runs) == sorted([RIGHT.strip(), WRONG.strip()] * 2)


def test_what_a_limit_ended_is_run_again(runs: list[str]) -> None:
    scorer = ExecutionScorer(ExecutionSettings(seconds=0.05))
    try:
        marks = scorer.score([Answer(prompt("one"), ENDLESS)] * 2)
    finally:
        scorer.close()
    assert [mark.outcome for mark in marks] == ["TIMEOUT"] * 2
    assert len(runs) == 2


def test_threads_that_have_the_same_program_at_once_run_it_once() -> None:
    known, started, go_on, ran = KnownResults(), threading.Event(), threading.Event(), []

    def run() -> CheckResult:
        ran.append(1)
        started.set()
        assert go_on.wait(10)
        return CheckResult(1, 1)

    with ThreadPoolExecutor(3) as threads:
        futures = [threads.submit(known.of, "one", RIGHT, run)]
        assert started.wait(10)
        futures += [threads.submit(known.of, "one", RIGHT, run) for _ in range(2)]
        go_on.set()
        assert [future.result(10) for future in futures] == [CheckResult(1, 1)] * 3
    assert len(ran) == 1


@pytest.mark.parametrize("line", ["import random", "import time", "from uuid import uuid4", "x = id(f)"])
def test_a_program_that_may_do_something_else_is_run_again(line: str) -> None:
    known, ran = KnownResults(), []

    def run() -> CheckResult:
        ran.append(1)
        return CheckResult(1, 1)

    for _ in range(2):
        known.of("one", f"{line}\n{RIGHT}", run)
    assert len(ran) == 2


def test_threads_that_wait_for_one_that_fails_run_it_themselves() -> None:
    known, started, go_on = KnownResults(), threading.Event(), threading.Event()

    def fails() -> CheckResult:
        started.set()
        assert go_on.wait(10)
        raise OSError("no sandbox")

    with ThreadPoolExecutor(2) as threads:
        failing = threads.submit(known.of, "one", RIGHT, fails)
        assert started.wait(10)
        waiting = threads.submit(known.of, "one", RIGHT, lambda: CheckResult(1, 1))
        go_on.set()
        assert waiting.result(10).passed == 1
        with pytest.raises(OSError, match="no sandbox"):
            failing.result(10)


def test_an_error_is_raised_and_not_kept() -> None:
    known = KnownResults()

    def fails() -> CheckResult:
        raise OSError("no sandbox")

    with pytest.raises(OSError, match="no sandbox"):
        known.of("one", RIGHT, fails)
    assert known.of("one", RIGHT, lambda: CheckResult(1, 1)).passed == 1


def test_the_oldest_results_go_first() -> None:
    known, ran = KnownResults(most=2), []

    def run() -> CheckResult:
        ran.append(1)
        return CheckResult(1, 1)

    for source in ("a", "b", "c", "c", "b", "a"):
        known.of("one", source, run)
    assert len(ran) == 4
