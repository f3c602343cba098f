from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, scorer_class, scorer_digest
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

CASES = [{"args": [2, 3], "expected": 5}, {"args": [0, 0], "expected": 0}, {"args": [-1, 1], "expected": 0}]
PROMPT = Prompt("p", "probe", "arithmetic", 1, "# add(a, b)\n", {"entry_point": "add", "cases": CASES})


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings(seconds=0.5))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "value", "outcome"),
    [
        ("def add(a, b):\n    return a + b\n", 10.0, "PASS"),
        ("Sure!\n```python\ndef add(a, b):\n    return a + b\n```\nDone.", 10.0, "PASS"),
        ("def add(a, b):\n    return abs(a) + abs(b)\n", 20 / 3, "ASSERTION_FAIL"),
        ("def add(a, b):\n    return float(a + b)\n", 0.0, "ASSERTION_FAIL"),
        ("def add(a, b):\n    return math.fsum([a, b])\n", 0.0, "NAME_ERROR"),
        ("def add(a, b)\n    return a + b\n", 0.0, "SYNTAX_ERROR"),
        ("def plus(a, b):\n    return a + b\n", 0.0, "NAME_ERROR"),
        ("def add(a, b):\n    while True: pass\n", 0.0, "TIMEOUT"),
        ("   \n", 0.0, "NO_CODE"),
        ("I'm sorry, but I can't help with that.", 0.0, "REFUSAL"),
        ("def add(a, b):\n    return a + b\n" + "#" * 10_000_000, 0.0, "OTHER_RUNTIME"),
    ],
)
def test_an_answer_is_worth_the_share_of_cases_it_passes(
    scorer: ExecutionScorer, text: str, value: float, outcome: str
) -> None:
    mark = scorer.score([Answer(PROMPT, text)])[0]
    assert mark.value == pytest.approx(value)
    assert mark.outcome == outcome


@pytest.mark.parametrize(
    ("text", "outcome", "format_only"),
    [
        ("def add(a, b):\n    return a + b\nassert add(1, 1) == 3\n", "ASSERTION_FAIL", True),
        ("def add(a, b):\n    return a - b\nassert add(1, 1) == 2\n", "ASSERTION_FAIL", False),
        ("def add(a, b):\n    return a + b\nprint(add(1))\n", "TYPE_ERROR", True),
        ("def add(a, b):\n    return a + b\nwhile True: pass\n", "TIMEOUT", True),
        ("def add(a, b):\n    return a + b\ndef other(:\n", "SYNTAX_ERROR", True),
        ("def add(a, b):\n    return a + c\n", "NAME_ERROR", False),
        ("def add(a, b):\n    return a + b\nn = int(input())\nprint(add(n, n))\n", "OTHER_RUNTIME", True),
        (
            "import sys\ndef add(a, b):\n    n = a + b\n    return n\nd = sys.stdin.read()\nn = d[0]\n",
            "INDEX_ERROR",
            True,
        ),
        ("XS = list(range(9))\nN = len(XS)\ndef add(a, b):\n    return a + b + N - 9\n1 / 0\n", "ZERO_DIVISION", True),
    ],
)
def test_a_right_function_in_the_wrong_form_fails_and_is_told_from_a_wrong_function(
    scorer: ExecutionScorer, text: str, outcome: str, format_only: bool
) -> None:
    mark = scorer.score([Answer(PROMPT, text)])[0]
    assert (mark.value, mark.outcome, mark.format_only) == (0.0, outcome, format_only)
    assert mark.components == {"pass": 0.0}


def test_a_mark_names_the_first_input_that_failed_and_not_what_was_expected(scorer: ExecutionScorer) -> None:
    mark = scorer.score([Answer(PROMPT, "def add(a, b):\n    return abs(a) + abs(b)\n")])[0]
    assert mark.note == "add(-1, 1) gave 2"
    assert scorer.score([Answer(PROMPT, "def add(a, b):\n    return a + b\n")])[0].components == {"pass": 1.0}


def test_the_scorer_says_which_sandbox_it_uses(scorer: ExecutionScorer) -> None:
    assert scorer.about.startswith(("sandbox: bubblewrap", "sandbox: landlock"))


def test_an_object_that_equals_everything_passes_nothing(scorer: ExecutionScorer) -> None:
    text = "class Yes(int):\n    def __eq__(self, other): return True\ndef add(a, b):\n    return Yes(1)\n"
    assert scorer.score([Answer(PROMPT, text)])[0].value == 0.0


@pytest.mark.parametrize(
    "checks",
    [
        {},
        {"entry_point": "add"},
        {"entry_point": "add", "cases": []},
        {"entry_point": "not a name", "cases": CASES},
        {"entry_point": "add", "cases": [{"args": 3, "expected": 1}]},
        {"entry_point": "add", "cases": [{"args": [{"$tuple": 3}], "expected": 1}]},
    ],
)
def test_a_prompt_without_usable_checks_is_refused_before_training(checks: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="prompt 'p'"):
        ExecutionScorer.check(ExecutionSettings(), Path(), [Prompt("p", "probe", "arithmetic", 1, "x", checks)])
    ExecutionScorer.check(ExecutionSettings(), Path(), [PROMPT])


def test_the_scorers_digest_follows_its_settings() -> None:
    assert scorer_digest(ExecutionSettings(), Path()) == scorer_digest(ExecutionSettings(), Path())
    assert scorer_digest(ExecutionSettings(), Path()) != scorer_digest(ExecutionSettings(seconds=3), Path())


def test_an_unknown_scorer_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match="did you mean 'execution'"):
        scorer_class("executoin")
