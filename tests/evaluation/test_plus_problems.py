"""Problem files in the form of HumanEval+ and MBPP+, whose tests import numpy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import BadInput
from evaluation.problems import Problem, load_problems
from probes.scoring import Answer
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from sandbox import Program, Raised, Returned, open_sandbox
from sandbox.outside.backends import BACKENDS

ASSERTION = """
import numpy as np

def is_floats(x) -> bool:
    if isinstance(x, float):
        return True
    if isinstance(x, (list, tuple)) and x:
        return all(isinstance(i, float) for i in x)
    if isinstance(x, np.ndarray):
        return x.dtype == np.float64 or x.dtype == np.float32
    return False

def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert type(out) == type(exp)
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert exact_match
"""
HUMANEVAL_PLUS = {
    "task_id": "HumanEval/900",
    "prompt": 'def mean(numbers):\n    """ The mean.\n    >>> mean([1, 2])\n    1.5\n    """\n',
    "entry_point": "mean",
    "canonical_solution": "    return sum(numbers) / len(numbers)\n",
    "test": ASSERTION
    + """
def check(candidate):
    inputs = [[[1, 2]], [[1.0, 2.0, 4.0]]]
    results = [1.5, 2.3333333]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 1e-06)
""",
}
MBPP_PLUS = {
    "task_id": 900,
    "code": "def halves(xs):\n    return [x / 2 for x in xs]",
    "prompt": "Write a function to halve numbers.",
    "source_file": "somewhere",
    "test_imports": [],
    "test_list": ["assert halves([2]) == [1]"],
    "test": ASSERTION
    + """
inputs = [[[2]], [[1.0, 3.0]], [[]]]
results = [[1.0], [0.5, 1.5], []]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(halves(*inp), exp, 0)
""",
}


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Problem]:
    path: Path = tmp_path_factory.mktemp("plus") / "plus.jsonl"
    path.write_text(json.dumps(HUMANEVAL_PLUS) + "\n" + json.dumps(MBPP_PLUS) + "\n", encoding="utf-8")
    found = load_problems(path)
    assert not found.refused
    assert found.ids == ("HumanEval/900", "900")
    return {problem.prompt.category: problem for problem in found.problems}


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings())
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("kind", "answer", "outcome"),
    [
        ("humaneval", HUMANEVAL_PLUS["canonical_solution"], "PASS"),
        ("humaneval", "    return sum(numbers) / len(numbers) + 1e-9\n", "PASS"),
        ("humaneval", "    return sum(numbers) / len(numbers) + 1e-3\n", "ASSERTION_FAIL"),
        ("humaneval", "    import numpy\n    return float(numpy.mean(numbers))\n", "IMPORT_ERROR"),
        ("mbpp", MBPP_PLUS["code"], "PASS"),
        ("mbpp", "def halves(xs):\n    return [x // 2 for x in xs]", "ASSERTION_FAIL"),
        ("mbpp", "def halves(xs):\n    return [1]", "ASSERTION_FAIL"),  # right by the test_list
    ],
)
def test_an_answer_is_judged_by_the_many_tests(
    scorer: ExecutionScorer, problems: dict[str, Problem], kind: str, answer: Any, outcome: str
) -> None:
    assert scorer.score([Answer(problems[kind].prompt, answer)])[0].outcome == outcome


def test_inputs_without_expected_values_are_refused_with_the_way_out(tmp_path: Path) -> None:
    row = {key: value for key, value in HUMANEVAL_PLUS.items() if key != "test"} | {"plus_input": [[[1]]]}
    path = tmp_path / "release.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"line 1 has inputs \(plus_input\) and no test"):
        load_problems(path)


@pytest.mark.parametrize("backend", [name for name, _ in BACKENDS])
def test_a_package_is_there_for_those_that_are_given_it_alone(backend: str) -> None:
    program = Program("import numpy.testing\ndef f(x): return float(numpy.mean(x))", "f", (([1, 2],),))
    with open_sandbox(None, backend, ("numpy", "not_installed")) as given, open_sandbox(None, backend) as other:
        assert given.run(program).outcomes == (Returned(1.5),)
        loaded = other.run(program).loaded
        assert isinstance(loaded, Raised)
        assert loaded.exception == "ModuleNotFoundError"
