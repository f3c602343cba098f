"""The function scorer: what a study's own function may give, and that anything else breaks the probe."""

from pathlib import Path

import pytest

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, Mark, Missing, ScorerBroken, scorer_digest, scorer_settings
from probes.scoring.function import FunctionScorer, FunctionSettings

PROMPT = Prompt("p1", "probe", "voice", 1, "Who are you?", {"wanted": ["light"]})


def scorer(folder: Path, body: str) -> FunctionScorer:
    (folder / "own.py").write_text(f"def score(prompt, answer, category, checks):\n    {body}\n", encoding="utf-8")
    return FunctionScorer(FunctionSettings(function="own.py:score"), folder)


def judged(folder: Path, body: str, text: str = "the light") -> Mark | Missing:
    return scorer(folder, body).score([Answer(PROMPT, text)])[0]


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        ("return 7", Mark(7.0)),
        ("return 0.5", Mark(0.5)),
        ("import numpy; return numpy.float32(2.5)", Mark(2.5)),
        ("return 10 * (checks['wanted'][0] in answer)", Mark(10.0)),
        (
            "return {'score': 3, 'components': {'tone': 2}, 'critical': ['lies'], 'outcome': 'LIES', 'note': 'n'}",
            Mark(3.0, {"tone": 2.0}, ("lies",), "LIES", "n"),
        ),
        ("return {'score': {'voice': 4}[category]}", Mark(4.0)),
        ("return None", Missing("the function gave None")),
    ],
)
def test_a_number_a_dict_or_none(tmp_path: Path, body: str, mark: Mark | Missing) -> None:
    assert judged(tmp_path, body) == mark


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return float('nan')", "gave nan for prompt 'p1' and a score is a number from 0 to 10, not nan"),
        ("return float('inf')", "not inf"),
        ("return -0.1", "not -0.1"),
        ("return 10.5", "not 10.5"),
        ("return True", "a score is a number"),
        ("return '7'", "gave '7'"),
        ("return {}", "needs a 'score'"),
        ("return {'score': None}", "a score is a number"),
        ("return {'score': 3, 'sore': 4}", "'sore' is none of score, components"),
        ("return {'score': 3, 'components': {'tone': 11}}", "component 'tone' is a number from 0 to 10, not 11"),
        ("return {'score': 3, 'components': [1]}", "a dict of names and numbers"),
        ("return {'score': 3, 'critical': 'lies'}", "'critical' is a list of names"),
        ("return {'score': 3, 'outcome': 4}", "are texts"),
        ("return 1 / 0", "raised ZeroDivisionError: division by zero for prompt 'p1'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
    ],
)
def test_anything_else_breaks_the_probe_with_the_value_and_the_remedy(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ScorerBroken) as broken:
        judged(tmp_path, body)
    assert message in str(broken.value)
    assert "return None for an answer that cannot be judged" in str(broken.value)


def test_the_function_cannot_change_a_prompts_checks(tmp_path: Path) -> None:
    judged(tmp_path, "checks['wanted'].clear(); return 1")
    assert PROMPT.checks == {"wanted": ["light"]}


def test_a_function_of_an_installed_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scores_of_mine.py").write_text("def words(p, a, c, k): return len(a.split())\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = FunctionSettings(function="scores_of_mine:words")
    assert FunctionScorer(settings, Path("/nowhere")).score([Answer(PROMPT, "a b c")]) == [Mark(3.0)]
    assert FunctionScorer.files(settings, Path("/nowhere")) == (tmp_path / "scores_of_mine.py",)


@pytest.mark.parametrize(
    ("function", "text", "message"),
    [
        ("gone.py:score", "", "names no existing file"),
        ("no_such_module_here:score", "", "names no existing file"),
        ("no.such.module:score", "", "names no existing file"),
        ("own.py:score", "", "has no function 'score'"),
        ("own.py:score", "score = 3", "has no function 'score'"),
        ("own.py:score", "import no_such_module_here", "cannot be imported (ModuleNotFoundError"),
        ("own.py:score", "def score(:", "cannot be imported (SyntaxError"),
    ],
)
def test_check_refuses_what_cannot_be_called(tmp_path: Path, function: str, text: str, message: str) -> None:
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refusal:
        FunctionScorer.check(FunctionSettings(function=function), tmp_path, [PROMPT])
    assert message in str(refusal.value)


def test_the_functions_text_is_part_of_the_probe_key(tmp_path: Path) -> None:
    settings = scorer_settings({"kind": "function", "function": "own.py:score"})
    scorer(tmp_path, "return 1")
    before = scorer_digest(settings, tmp_path)
    scorer(tmp_path, "return 2")
    assert scorer_digest(settings, tmp_path) != before


def test_a_file_may_define_dataclasses(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n"
    text += "@dataclass\nclass Point:\n    x: int\n"
    text += "\n\ndef score(prompt, answer, category, checks):\n    return Point(3).x\n"
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    assert FunctionScorer(FunctionSettings(function="own.py:score"), tmp_path).score([Answer(PROMPT, "a")]) == [
        Mark(3.0)
    ]


@pytest.mark.parametrize("body", ["return 10 ** 400", "return type('Odd', (), {'__repr__': lambda self: 1 / 0})()"])
def test_a_value_that_cannot_be_looked_at_breaks_the_probe(tmp_path: Path, body: str) -> None:
    with pytest.raises(ScorerBroken, match=r"\[scorer\] function 'own.py:score' gave "):
        judged(tmp_path, body)


def test_a_function_of_other_parameters_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def score(answer):\n    return 1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="is called with prompt, answer, category and checks, and does not take these"):
        FunctionScorer.check(FunctionSettings(function="own.py:score"), tmp_path, [PROMPT])
