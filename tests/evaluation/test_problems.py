"""Problem files: what the two published forms become, and what is refused, as a problem or as a file."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import BadInput
from evaluation.problems import Problem, ProblemSet, load_problems
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from probes.scoring.protocol import Answer

STUB = 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef area(r: float) -> float:\n    """Of a circle."""\n'
HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/0",
    "prompt": STUB,
    "entry_point": "area",
    "canonical_solution": "    return math.pi * half(2 * r) ** 2\n",
    "test": "\n\ndef check(candidate):\n    assert math.isclose(candidate(2), math.pi * half(4) ** 2)\n",
}
MBPP: dict[str, Any] = {
    "task_id": 2,
    "text": "Write a function to find the shared elements.",
    "code": "def helper(a):\r\n  return set(a)\r\ndef similar(a, b):\r\n  return tuple(helper(a) & set(b))",
    "test_list": ["assert set(similar((3, 4), (4, 7))) == set((4,))", "assert similar((1,), (2,)) == ()"],
    "test_setup_code": "",
    "challenge_test_list": ["assert nonsense("],
}


def load(folder: Path, *rows: dict[str, Any], name: str = "problems.jsonl") -> ProblemSet:
    path = folder / name
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return load_problems(path)


def only(folder: Path, row: dict[str, Any]) -> Problem:
    found = load(folder, row)
    assert found.refused == ()
    (problem,) = found.problems
    return problem


def refusal(folder: Path, row: dict[str, Any]) -> str:
    """Why the row is refused, beside a good one that stays."""
    found = load(folder, {**HUMANEVAL, "task_id": "good"}, row)
    assert [problem.prompt.id for problem in found.problems] == ["good"]
    (refused,) = found.refused
    assert (refused.task_id, refused.line) == (str(row["task_id"]), 2)
    return refused.why


def test_a_humaneval_row_keeps_its_prompt_and_its_solution(tmp_path: Path) -> None:
    problem = only(tmp_path, HUMANEVAL)
    assert (problem.prompt.id, problem.prompt.split, problem.prompt.category) == ("HumanEval/0", "holdout", "humaneval")
    assert problem.prompt.text == problem.prompt.checks["stub"] == STUB
    assert problem.prompt.checks["entry_point"] == "area"
    assert problem.reference == HUMANEVAL["canonical_solution"]


def test_an_mbpp_row_gets_its_entry_point_from_the_solution_and_its_tests_into_the_prompt(tmp_path: Path) -> None:
    problem = only(tmp_path, MBPP)
    assert (problem.prompt.id, problem.prompt.category) == ("2", "mbpp")
    assert problem.prompt.checks == {"entry_point": "similar", "setup": "", "tests": MBPP["test_list"]}
    shown = "\n".join(MBPP["test_list"])
    assert problem.prompt.text == f'"""\nWrite a function to find the shared elements.\n{shown}\n"""\n'
    assert problem.reference == MBPP["code"]


def test_both_forms_are_what_the_execution_scorer_takes_and_their_solutions_pass(tmp_path: Path) -> None:
    problems = load(tmp_path, HUMANEVAL, MBPP).problems
    ExecutionScorer.check(ExecutionSettings(), tmp_path, [problem.prompt for problem in problems])
    scorer = ExecutionScorer(ExecutionSettings())
    try:
        right = scorer.score([Answer(problem.prompt, problem.reference or "") for problem in problems])
        wrong = scorer.score(
            [Answer(problems[0].prompt, "    return half(r)\n"), Answer(problems[1].prompt, "x = 1\n")]
        )
    finally:
        scorer.close()
    assert [mark.outcome for mark in right] == ["PASS", "PASS"]
    assert "PASS" not in {mark.outcome for mark in wrong}


@pytest.mark.parametrize(
    ("change", "entry_point"),
    [
        ({"code": None}, "similar"),
        ({"test_list": ["assert similar(helper((1,)), ()) == ()"]}, "similar"),
        ({"test_list": ["assert sorted(helper(similar((1,), ())))"]}, "helper"),
        ({"test_list": ["assert 1 + len(similar((), ())) == len(helper((1,)))"]}, "similar"),
        ({"code": "class Pair:\n    pass\n", "test_list": ["assert Pair() != similar()"]}, "Pair"),
        ({"code": None, "test_setup_code": "def given(): pass", "test_list": ["assert given() == f(1)"]}, "f"),
        ({"code": None, "test_imports": ["from math import isclose"], "test_list": ["assert isclose(f(1), 2)"]}, "f"),
        ({"code": "def similar(:", "test_list": ["assert set(similar())"]}, "similar"),
    ],
)
def test_the_entry_point_of_mbpp_is_the_first_called_name_that_an_answer_has_to_define(
    tmp_path: Path, change: dict[str, Any], entry_point: str
) -> None:
    assert only(tmp_path, {**MBPP, **change}).prompt.checks["entry_point"] == entry_point


def test_sanitized_mbpp_has_prompt_for_text_and_imports_that_come_before_the_setup(tmp_path: Path) -> None:
    row = {name: value for name, value in MBPP.items() if name != "text"}
    row |= {"prompt": "Find them.", "test_imports": ["import math", "import re"], "test_setup_code": "two = 2"}
    problem = only(tmp_path, row)
    assert problem.prompt.checks["setup"] == "import math\nimport re\ntwo = 2"
    assert problem.prompt.text.startswith('"""\nFind them.\nassert set(')


@pytest.mark.parametrize("name", ["problems.jsonl", "problems.jsonl.gz"])
def test_gzip_is_read_by_its_suffix(tmp_path: Path, name: str) -> None:
    assert [problem.prompt.id for problem in load(tmp_path, HUMANEVAL, MBPP, name=name).problems] == [
        "HumanEval/0",
        "2",
    ]


@pytest.mark.parametrize("end", ["    # of a circle\n", "\n", '  """Of a circle."""', '  """Of a circle."""\n'])
def test_the_tests_may_use_the_stub_also_where_its_body_is_still_to_come(tmp_path: Path, end: str) -> None:
    stub = f"import math\ndef area(r):\n{end}"
    row = {**HUMANEVAL, "prompt": stub, "test": "def check(candidate):\n    assert candidate(0) == math.sqrt(0)\n"}
    for reference in (None, "\n  return 0\n"):
        problem = only(tmp_path, {**row, "canonical_solution": reference})
        compile(problem.prompt.checks["setup"], "setup", "exec")
        assert "import math" in problem.prompt.checks["setup"]


def test_warnings_of_python_about_foreign_code_are_not_ours(tmp_path: Path) -> None:
    """pytest makes errors of warnings, and so of these problems."""
    test = "import re\ndef check(candidate):\n    assert re.match('\\d', '1') and candidate(1) is 3\n"
    assert only(tmp_path, {**HUMANEVAL, "test": test}).prompt.id == HUMANEVAL["task_id"]
    assert only(tmp_path, {**MBPP, "test_list": ["assert similar('\\d', ()) is ()"]}).prompt.id == "2"


def test_nothing_is_executed(tmp_path: Path) -> None:
    left = tmp_path / "executed"
    bomb = f"open({str(left)!r}, 'w')\nraise SystemExit('executed')\n"
    test = f"{bomb}def check(candidate):\n    pass\n"
    only(tmp_path, {**HUMANEVAL, "prompt": bomb + STUB, "canonical_solution": bomb, "test": test})
    only(tmp_path, {**MBPP, "code": bomb + MBPP["code"], "test_setup_code": bomb})
    assert not left.exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"test": "def check(candidate):\nassert"}, "its test does not compile (line 2"),
        ({"test": "def check(c):\n    assert c(1) == '\0'\n"}, "its test does not compile"),
        ({"test": "x = " + "(" * 5000 + ")" * 5000}, "its test does not compile"),
        ({"test": "def verify(candidate):\n    pass\n"}, "does not define a function check"),
        ({"test": ["assert area(1)"]}, "its test is no text"),
        ({"test": "# \ud83d\ndef check(candidate):\n    pass\n"}, "half a character"),
        ({"entry_point": "area of"}, "entry_point 'area of' is no name"),
        ({"entry_point": 3}, "its entry_point is no text"),
        ({"entry_point": "volume"}, "neither its prompt nor its canonical_solution defines volume"),
        ({"prompt": "  \n"}, "its prompt is no text"),
        ({"canonical_solution": 7}, "its canonical_solution is no text"),
    ],
)
def test_a_humaneval_problem_that_judges_no_answer_is_refused_alone(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    assert why in refusal(tmp_path, {**HUMANEVAL, **change})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"test_list": []}, "its test_list is empty"),
        ({"test_list": "assert f()"}, "its test_list is no list"),
        ({"test_list": ["assert similar()", 3]}, "its test_list item 2 is no text"),
        ({"test_list": ["assert similar()", "assert similar("]}, "test 2 of its test_list does not compile"),
        ({"test_list": ["assert similar()", " # "]}, "test 2 of its test_list tests nothing"),
        ({"test_list": ["assert len([]) == 0"]}, "calls no function that its code defines"),
        ({"test_list": ["assert len([]) == 0"], "code": None}, "calls no function that an answer could define"),
        ({"test_setup_code": "two ="}, "its setup (test_imports and test_setup_code) does not compile"),
        ({"test_imports": ["import"]}, "its setup (test_imports and test_setup_code) does not compile"),
        ({"test_imports": "import math"}, "its test_imports is no list"),
        ({"test_setup_code": 3}, "its test_setup_code is no text"),
        ({"text": 3}, "its text is no text"),
        ({"code": ["def similar"]}, "its code is no text"),
    ],
)
def test_an_mbpp_problem_that_judges_no_answer_is_refused_alone(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    assert why in refusal(tmp_path, {**MBPP, **change})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HUMANEVAL, MBPP, HUMANEVAL], "'HumanEval/0' is in line 1 and in line 3"),
        ([MBPP, {**MBPP, "task_id": "2"}], "'2' is in line 1 and in line 2"),
        ([{**MBPP, "test_list": []}, MBPP], "'2' is in line 1 and in line 2"),
        ([{"task_id": 1, "prompt": "x"}], "line 1 .* it lacks entry_point, test, for MBPP's test_list;"),
        ([{"task_id": 1, "test_list": [], "entry_point": "f"}], "lacks prompt, test, for MBPP's text or prompt;"),
        ([{**MBPP, "test_list": None}], "for MBPP's test_list;"),
        ([{**MBPP, "task_id": None}], "line 1: task_id must be a name or a number and is None"),
        ([{**MBPP, "task_id": True}], "task_id must be a name or a number and is True"),
        ([{**MBPP, "task_id": 1.0}], "task_id must be a name or a number and is 1.0"),
        ([{**MBPP, "task_id": ""}], "task_id must be a name"),
        ([{**MBPP, "task_id": "\ud83d"}], "task_id must be a name"),
        ([], "no usable problem;"),
        ([{**MBPP, "test_list": []}], r"no usable problem \(line 1: its test_list is empty\)"),
    ],
)
def test_a_file_that_is_unusable_as_a_whole_is_bad_input(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, *rows)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.jsonl.gz", gzip.compress(json.dumps(HUMANEVAL).encode(), mtime=0)[:-20], "cannot be read"),
        ("p.jsonl.gz", b"\x1f\x8b\x08" + bytes(40), "cannot be read"),
        ("p.jsonl.gz", json.dumps(HUMANEVAL).encode(), "cannot be read"),
        ("p.jsonl", gzip.compress(json.dumps(HUMANEVAL).encode(), mtime=0), "packed with gzip"),
        ("p.jsonl", b'{"task_id": "caf\xe9"}', "cannot be read as UTF-8"),
        ("p.jsonl", b"\n{not json}\n", "line 2 is not JSON"),
        ("p.jsonl", b"[1, 2]\n", "line 1 is not a JSON object"),
    ],
)
def test_a_file_that_is_no_jsonl_is_bad_input(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=message):
        load_problems(tmp_path / name)


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.jsonl does not exist"):
        load_problems(tmp_path / "gone.jsonl")
    with pytest.raises(BadInput, match="cannot be read"):
        load_problems(tmp_path)
