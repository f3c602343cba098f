"""Answers judged side by side: the same marks in the same order, and an end that ends everything."""

import threading
import time
from collections.abc import Iterator

import pytest

from common.parallel import TaskPool, cores, free_cores
from probes.inputs.prompts import Prompt
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from probes.scoring.protocol import Answer, ChecksBroken, Mark
from sandbox import RunningProgram, SandboxBroken

SETUP = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, 2) == 4"
PROMPT = Prompt(
    "p", "probe", "a", 1, "def add(a, b):\n", {"entry_point": "add", "setup": SETUP, "tests": ["check(add)"]}
)
TORN = Prompt(
    "t", "probe", "a", 1, "", {"entry_point": "add", "setup": "import nowhere", "tests": ["assert add(1, 2)"]}
)
TEXTS = [
    "def add(a, b):\n    return a + b\n",
    "def add(a, b):\n    while True: pass\n",
    "def add(a, b):\n    return a - b\n",
    "def add(a, b:\n",
    "def add(a, b):\n    return nothing\n",
    "def add(a, b):\n    return '\\d' and a + b\n",
]


@pytest.fixture
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings(seconds=0.3))
    yield opened
    opened.close()


def marks(scorer: ExecutionScorer, answers: list[Answer], lanes: int) -> list[Mark | str]:
    found: list[Mark | str] = []
    for future in scorer.judged(answers, lanes):
        try:
            found.append(future.result())
        except ChecksBroken as error:
            found.append(str(error))
    return found


@pytest.mark.long
def test_marks_and_their_order_do_not_depend_on_how_many_are_judged_at_once(scorer: ExecutionScorer) -> None:
    answers = [Answer(PROMPT, text) for text in TEXTS * 2]
    answers.insert(3, Answer(TORN, TEXTS[0]))
    alone = [mark if isinstance(mark, str) else (mark.outcome, mark.value) for mark in marks(scorer, answers, 1)]
    for lanes in (2, 5):
        found = marks(scorer, answers, lanes)
        assert [mark if isinstance(mark, str) else (mark.outcome, mark.value) for mark in found] == alone
    assert alone[:4] == [("PASS", 10.0), ("TIMEOUT", 0.0), ("ASSERTION_FAIL", 0.0), alone[3]]
    assert "its tests fails" in str(alone[3])
    assert scorer.score([]) == []


def test_threads_have_sandboxes_of_their_own_and_none_is_opened_that_no_thread_uses(scorer: ExecutionScorer) -> None:
    marks(scorer, [Answer(PROMPT, TEXTS[0])] * 12, 3)
    assert 1 <= len(scorer._opened) <= 3
    assert not scorer._unused
    assert len({id(sandboxes.parser) for sandboxes in scorer._opened}) == 1


def test_answers_that_break_the_sandbox_fail_by_themselves_and_the_others_are_judged(
    scorer: ExecutionScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(candidate: RunningProgram, source: str, needs: str) -> None:
        if "return nothing" in source:
            raise SandboxBroken("the kernel killed it, as it does when the machine is out of memory")
        right(candidate, source, needs)

    right = RunningProgram.load
    monkeypatch.setattr(RunningProgram, "load", load)
    cases = Prompt("c", "probe", "a", 1, "", {"entry_point": "add", "cases": [{"args": [1, 2], "expected": 3}]})
    texts = (TEXTS[0], TEXTS[4], TEXTS[0])
    found = [mark for prompt in (PROMPT, cases) for mark in scorer.score([Answer(prompt, text) for text in texts])]
    assert [mark.outcome for mark in found] == ["PASS", "BROKE_SANDBOX", "PASS"] * 2
    assert "not with another program" in found[1].note


def test_closing_ends_what_still_runs_and_begins_nothing_more() -> None:
    scorer = ExecutionScorer(ExecutionSettings(seconds=60))
    judged = scorer.judged([Answer(PROMPT, TEXTS[0]), *[Answer(PROMPT, TEXTS[1])] * 9], 2)
    assert next(judged).result().outcome == "PASS"
    judged.close()  # type: ignore[attr-defined]  # what an interruption does
    begun = time.monotonic()
    scorer.close()
    assert time.monotonic() - begun < 30  # and not the minute of processor time that each of them has
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task-pool")]


def test_what_is_asked_runs_in_as_many_threads_as_there_are_lanes() -> None:
    together = threading.Barrier(3, timeout=20)

    def meet(number: int) -> int:
        together.wait()
        return number * number

    tasks = TaskPool(meet)
    assert [future.result() for future in tasks.run(range(9), 3)] == [n * n for n in range(9)]
    tasks.close()


def test_free_processors_are_at_least_one_and_at_most_all() -> None:
    assert 1 <= free_cores() <= cores()
