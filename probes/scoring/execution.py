"""The execution scorer: an answer is a Python function, its score the share of cases it returns the right value for.

The function runs in the sandbox, which is given inputs only; expected values stay here and the comparison is made here
(law 8). A prompt's checks are ``{"entry_point": NAME, "cases": [{"args": [...], "expected": ...}, ...]}`` with values
in the encoding of ``sandbox.values``.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from lanes.errors import BadInput, MissingRequirement
from probes.prompts import Prompt
from probes.scoring.protocol import Answer, Mark, ScorerBroken
from probes.settings import ScorerSettings
from sandbox import Ended, Execution, Limits, Program, Raised, SandboxBroken, SandboxUnavailable, Value, open_sandbox
from sandbox.values import decode

FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
TOLERANCE = 1e-9


class ExecutionScorer:
    """Share of cases passed, times 10. The outcome word is PASS, WRONG, or what stopped the function most often."""

    kind: ClassVar[str] = "execution"

    def __init__(self, settings: ScorerSettings) -> None:
        try:
            self._sandbox = open_sandbox(Limits(seconds=settings.seconds, memory_mb=settings.memory_mb))
        except SandboxUnavailable as error:
            raise MissingRequirement(str(error)) from None

    @staticmethod
    def check(prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            try:
                name, cases = prompt.checks["entry_point"], prompt.checks["cases"]
                good = isinstance(name, str) and name.isidentifier() and bool(cases)
                for case in cases:
                    good = good and isinstance(decode(case["args"]), list)
                    decode(case["expected"])
            except (KeyError, TypeError, ValueError):
                good = False
            if not good:
                raise BadInput(
                    f"prompt {prompt.id!r}: the execution scorer needs checks with an entry_point and one or more "
                    "cases of args and expected; mend its row in the prompts file"
                )

    def score(self, answers: Sequence[Answer]) -> list[Mark]:
        return [self._mark(answer) for answer in answers]

    def close(self) -> None:
        self._sandbox.close()

    def _mark(self, answer: Answer) -> Mark:
        source = extract_code(answer.text)
        if not source.strip():
            return Mark(0.0, outcome="NO_CODE")
        cases = answer.prompt.checks["cases"]
        calls = tuple(tuple(_as_list(case["args"])) for case in cases)
        try:
            execution = self._sandbox.run(Program(source, answer.prompt.checks["entry_point"], calls))
        except SandboxBroken as error:
            raise ScorerBroken(str(error)) from None
        passed, outcome = judge(execution, [decode(case["expected"]) for case in cases])
        return Mark(10.0 * passed / len(cases), {"passed": float(passed)}, outcome=outcome)


def _as_list(encoded: object) -> list[Value]:
    args = decode(encoded)
    if not isinstance(args, list):
        raise TypeError("args must be a list")
    return args


def judge(execution: Execution, expected: Sequence[Value]) -> tuple[int, str]:
    """Cases passed, and the outcome word: PASS, WRONG, or the commonest exception or end."""
    if execution.loaded is not None:
        return 0, _word(execution.loaded)
    passed, trouble = 0, Counter[str]()
    for outcome, value in zip(execution.outcomes, expected, strict=True):
        if isinstance(outcome, Raised | Ended):
            trouble[_word(outcome)] += 1
        elif same(outcome.value, value):
            passed += 1
        else:
            trouble["WRONG"] += 1
    return passed, trouble.most_common(1)[0][0] if trouble else "PASS"


def _word(outcome: Raised | Ended) -> str:
    return outcome.exception if isinstance(outcome, Raised) else outcome.reason.upper()


def same(value: Value, expected: Value) -> bool:
    """Equal in exact type and value, all the way down; floats within a relative 1e-9, nan equal to nan."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, float) and isinstance(expected, float):
        close = math.isclose(value, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return close or (math.isnan(value) and math.isnan(expected))
    if isinstance(value, list | tuple) and isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(same(a, b) for a, b in zip(value, expected, strict=True))
    if isinstance(value, dict) and isinstance(expected, dict):
        return list(map(type, value)) == list(map(type, expected)) and (
            value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in expected)
        )
    return bool(value == expected)


def extract_code(text: str) -> str:
    """The longest fenced block of an answer, or the whole answer when nothing is fenced."""
    blocks: list[str] = FENCE.findall(text)
    return max(blocks, key=len) if blocks else text
