"""The verdicts of the sandbox against those of the published evaluators, on ordinary programs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import official
import pytest

from evaluation.problems import load_problems
from labs.microcoder.splits import Drawn, draw_prompts
from probes.scoring import Answer
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

CIPHER = {
    "task_id": "Own/0",
    "prompt": '''import math
from typing import List


def shift(text: str, by: int = 5) -> str:
    """Each letter moved on by five."""
    return "".join(chr((ord(c) - 97 + by) % 26 + 97) for c in text)


def unshift(text: str) -> str:
    """The inverse of shift."""
''',
    "entry_point": "unshift",
    "canonical_solution": "    return shift(text, -5)\n",
    "test": """
METADATA = {}

def check(candidate):
    from random import Random
    letters = "abcdefghijklmnopqrstuvwxyz"
    for seed in range(20):
        text = "".join(Random(seed).choice(letters) for _ in range(seed))
        assert candidate(shift(text)) == text
        assert unshift(shift(text)) == text
    assert math.isclose(len(candidate("abc")), 3.0)
""",
}
COMPLETIONS = [
    "    return shift(text, -5)\n",
    "    return shift(text, 21)\n\n\ndef other():\n    pass\n",
    "    return shift(text)\n",
    "    return text\n",
    "    return None\n",
    "    return shift(txt, -5)\n",
    "    return text.unshift()\n",
    "    return shift(text, -5\n",
    "    return shift(text, '5')\n",
    "    return shift(text, -5) if text else text[0]\n",
    "    return {}[text]\n",
    "    return 1 / 0\n",
    "    assert len(text) < 3\n    return shift(text, -5)\n",
    "    return unshift(text)\n",
    "    while True:\n        pass\n",
    "    raise ValueError(text)\n",
    "    import numbers_that_are_not_there\n",
    "    yield text\n",
    "    return list(shift(text, -5))\n",
    "    return shift(text, -5)\n\nassert unshift('f') == 'b'\n",
    "    return shift(text, -5)\n\nprint(unshift('f'))\n",
    "",
    "    pass\n",
    "    return ''.join(chr((ord(c) - 97 - 5) % 26 + 97) for c in text)\n",
    "    return shift(text, -5)\nif __name__ == '__main__':\n    unshift(3)\n",
]

COUNTS: dict[str, Any] = {
    "task_id": 7,
    "text": "Write a function to count each element of a list.",
    "code": "from collections import Counter\ndef count_all(xs):\n    return dict(Counter(xs))",
    "test_list": [
        "assert count_all([1, 1, 2]) == {1: 2, 2: 1}",
        "assert count_all([]) == {}",
        "assert EMPTY == count_all([])",
    ],
    "test_setup_code": "EMPTY = {}",
    "challenge_test_list": [],
}
PROGRAMS = [
    COUNTS["code"],
    "def count_all(xs):\n    return {x: xs.count(x) for x in xs}",
    "from collections import Counter as count_all",
    "def count_all(xs):\n    return {x: 1 for x in xs}",
    "def count_all(xs):\n    return [xs.count(x) for x in xs]",
    "def count_all(xs):\n    return {x: xs.count(x) for x in xs} or None",
    "def count(xs):\n    return {}",
    "def count_all():\n    return {}",
]


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings(seconds=1.0))
    yield opened
    opened.close()


def outcomes(scorer: ExecutionScorer, folder: Path, rows: list[dict[str, Any]], answers: list[list[str]]) -> list[str]:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = load_problems(path)
    assert not found.refused
    pairs = [(problem, text) for problem, own in zip(found.problems, answers, strict=True) for text in own]
    return [mark.outcome for mark in scorer.score([Answer(problem.prompt, text) for problem, text in pairs])]


def differing(ours: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    """The verdicts that are not alike."""
    pairs = zip(ours, theirs, strict=True)
    return [(own, other) for own, other in pairs if (own == "PASS") != (other == "passed")]


def test_completions_are_judged_as_humanevals_own_evaluator_judges_them(
    scorer: ExecutionScorer, tmp_path: Path
) -> None:
    ours = outcomes(scorer, tmp_path, [CIPHER], [COMPLETIONS])
    theirs = official.verdicts([official.humaneval(CIPHER, completion) for completion in COMPLETIONS])
    assert differing(ours, theirs) == []
    assert ours[0] == "PASS"
    assert {"ASSERTION_FAIL", "NAME_ERROR", "ATTRIBUTE_ERROR", "SYNTAX_ERROR", "TYPE_ERROR"} <= set(ours)
    assert {"INDEX_ERROR", "KEY_ERROR", "ZERO_DIVISION", "RECURSION", "TIMEOUT", "VALUE_ERROR", "IMPORT_ERROR"} <= set(
        ours
    )


def test_programs_are_judged_as_mbpps_own_evaluator_judges_them(scorer: ExecutionScorer, tmp_path: Path) -> None:
    ours = outcomes(scorer, tmp_path, [COUNTS], [PROGRAMS])
    assert differing(ours, official.verdicts([official.mbpp(COUNTS, program) for program in PROGRAMS])) == []


def drawn() -> tuple[Drawn, ...]:
    """Each of the bundled study's templates at least once."""
    return draw_prompts({"probe": 0, "harvest": 0, "holdout": 16}, 5)


@pytest.mark.long
def test_every_reference_and_every_mistake_of_the_bundled_study_is_judged_alike(
    scorer: ExecutionScorer, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [one.as_problem() for one in drawn()]
    answers = [[one.task.reference, *one.task.mistakes] for one in drawn()]
    ours = outcomes(scorer, tmp_path, rows, answers)
    programs = [official.humaneval(row, text) for row, own in zip(rows, answers, strict=True) for text in own]
    assert differing(ours, official.verdicts(programs)) == []
    references = [0]
    for own in answers[:-1]:
        references.append(references[-1] + len(own))
    assert {ours[place] for place in references} == {"PASS"}
    assert len(ours) > 200
