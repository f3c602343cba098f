from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes.errors import BadInput
from probes.prompts import Prompt
from probes.scoring import Answer, scorer_class, scorer_digest
from probes.scoring.execution import ExecutionScorer, extract_code, same
from probes.settings import ScorerSettings

CASES = [{"args": [2, 3], "expected": 5}, {"args": [0, 0], "expected": 0}, {"args": [-1, 1], "expected": 0}]
PROMPT = Prompt("p", "probe", "arithmetic", 1, "# add(a, b)\n", {"entry_point": "add", "cases": CASES})


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ScorerSettings(seconds=0.5))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "value", "outcome"),
    [
        ("def add(a, b):\n    return a + b\n", 10.0, "PASS"),
        ("Sure!\n```python\ndef add(a, b):\n    return a + b\n```\nDone.", 10.0, "PASS"),
        ("def add(a, b):\n    return abs(a) + abs(b)\n", 20 / 3, "WRONG"),
        ("def add(a, b):\n    return float(a + b)\n", 0.0, "WRONG"),
        ("def add(a, b):\n    return math.fsum([a, b])\n", 0.0, "NameError"),
        ("def add(a, b)\n    return a + b\n", 0.0, "SyntaxError"),
        ("def plus(a, b):\n    return a + b\n", 0.0, "NameError"),
        ("def add(a, b):\n    while True: pass\n", 0.0, "TIMEOUT"),
        ("   \n", 0.0, "NO_CODE"),
    ],
)
def test_an_answer_is_worth_the_share_of_cases_it_passes(
    scorer: ExecutionScorer, text: str, value: float, outcome: str
) -> None:
    mark = scorer.score([Answer(PROMPT, text)])[0]
    assert mark.value == pytest.approx(value)
    assert mark.outcome == outcome


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
        ExecutionScorer.check([Prompt("p", "probe", "arithmetic", 1, "x", checks)])
    ExecutionScorer.check([PROMPT])


def test_equality_is_of_type_and_value_all_the_way_down() -> None:
    assert same([1, (2.0, {"a": None})], [1, (2.0 + 1e-12, {"a": None})])
    assert same(float("nan"), float("nan"))
    for value, expected in ((True, 1), (1.0, 1), ([1], (1,)), ({1: 2}, {True: 2}), ([1, 2], [1]), ({"a": 1}, {"b": 1})):
        assert not same(value, expected)


@given(st.text())
def test_any_text_gives_some_code(text: str) -> None:
    assert isinstance(extract_code(text), str)


def test_the_scorers_digest_follows_its_settings() -> None:
    assert scorer_digest(ScorerSettings()) == scorer_digest(ScorerSettings())
    assert scorer_digest(ScorerSettings()) != scorer_digest(ScorerSettings(seconds=3))


def test_an_unknown_scorer_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match="did you mean 'execution'"):
        scorer_class("executoin")
