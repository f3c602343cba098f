"""What of an answer is scored: what follows its thoughts, by every scorer, or all of it where the study says so."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import judged
import pytest
import tiny

from probes.generate.sampled_text import SampledText
from probes.inputs.settings import ScorerSettings
from probes.result.reading import Outcome, Probe, Reading, Unscored
from probes.run.answers import scored_text
from probes.run.execute import _Group, measure
from probes.run.workbench import Workbench
from probes.scoring.execution.scorer import ExecutionSettings
from probes.scoring.function import FunctionSettings
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.rules.scorer import RulesSettings
from testing import simulated_study

SKIP, KEEP = ScorerSettings(), ScorerSettings(thoughts="keep")


@pytest.mark.parametrize(
    ("question", "text", "scored"),
    [
        ("Two?", "Four.", "Four."),
        ("Two?", "<think>Five?</think>Four.", "Four."),
        ("Two?", "<think>Five? No, fo", ""),
        ("Two?", "Five?\n</think>\n\nFour.", "\n\nFour."),
        ("Two?", "Five? No.</think>Four.", "Four."),
        ("Two?", "Five?</think>Or six?</think>Four.", "Four."),
        ("Two?", "Write `</think>` behind a thought.", "Write `</think>` behind a thought."),
        ("<|im_start|>assistant\n<think>\n", "Five?\n</think>\n\nFour.", "\n\nFour."),
        ("<|im_start|>assistant\n<think>\n", "Five? No, fo", ""),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "Four.", "Four."),
    ],
)
def test_what_follows_the_thoughts_is_scored(question: str, text: str, scored: str) -> None:
    assert scored_text(SKIP, question, text) == scored
    assert scored_text(KEEP, question, text) == text


THOUGHT = "<think>" + "word " * 50 + "</think>short"
ANSWERS = [THOUGHT, "short", "<think>" + "word " * 5, "word " * 50]


def measured(
    folder: Path, scorer: ScorerSettings, monkeypatch: pytest.MonkeyPatch, answers: Sequence[str] = ANSWERS
) -> tuple[Outcome, list[dict[str, Any]]]:
    """A probe whose answers to each prompt are ``answers``, and the rows of the first prompt."""
    from probes.train.trl import Trained

    simulated_study.write_data(folder)
    tiny.write_model(folder / "model")
    (folder / "rules.toml").write_text(
        '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 1\nhigh = 3\n', encoding="utf-8"
    )
    (folder / "own.py").write_text(
        "def score(prompt, answer, category, checks):\n    return float(len(answer) < 10)\n", encoding="utf-8"
    )
    material = replace(tiny.material(folder, samples=len(answers)), scorer=scorer)
    monkeypatch.setattr(_Group, "_trained", lambda own: {one: Trained(folder, 0.0, 0, {}) for one in own.probes})
    sampled = [SampledText(answer, "stop") for answer in answers]
    monkeypatch.setattr(_Group, "_sampled", lambda *_: iter([[sampled for _ in material.prompts_of("probe")]]))
    bench = Workbench(material, "cpu", {})
    probe = Probe(tiny.recipe(), material.key("machine"), 1)
    (outcome,) = measure(bench, [probe], lambda name: folder / name, lambda progress: None)
    bench.close()
    lines = (folder / probe.id / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return outcome, [json.loads(line) for line in lines[: len(answers)]]


@pytest.mark.parametrize("thoughts", ["skip", "keep"])
@pytest.mark.parametrize("kind", ["rules", "function"])
def test_every_scorer_reads_behind_a_thought_unless_the_study_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, thoughts: Any
) -> None:
    made: ScorerSettings = (
        RulesSettings(thoughts=thoughts)
        if kind == "rules"
        else FunctionSettings(function="own.py:score", thoughts=thoughts)
    )
    outcome, rows = measured(tmp_path, made, monkeypatch)
    assert isinstance(outcome, Reading), outcome
    assert not any(isinstance(one, Unscored) for one in outcome.missing)
    assert [row["text"] for row in rows] == ANSWERS
    scores = [row["score"] for row in rows]
    assert scores[1] > scores[3]
    if thoughts == "skip":
        assert scores[0] == scores[1]
        assert [row.get("scored_text") for row in rows] == ["short", None, "", None]
    else:
        assert scores[0] == scores[3]
        assert not any("scored_text" in row for row in rows)


PROGRAM, WRONG = "def f(x):\n    return 0\n", "def f(x):\n    return -1\n"
PROGRAMS = [f"<think>\n{WRONG}</think>\n{PROGRAM}", PROGRAM, f"<think>\n{PROGRAM}", WRONG]


def test_programs_are_run_without_the_thoughts_before_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, rows = measured(tmp_path, ExecutionSettings(), monkeypatch, PROGRAMS)
    assert isinstance(outcome, Reading), outcome
    assert rows[0]["prompt"] == "probe-arithmetic-0"
    assert [row["score"] for row in rows] == [10, 10, 0, 0]
    assert [row.get("scored_text") for row in rows] == [f"\n{PROGRAM}", None, "", None]


@pytest.mark.parametrize("thoughts", ["skip", "keep"])
def test_the_judge_reads_no_thoughts_unless_the_study_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thoughts: Any
) -> None:
    judged.write_study(tmp_path)
    simulated_study.write_jsonl(tmp_path / "calibration.jsonl", [])
    with judged.judge(tmp_path, monkeypatch) as endpoint:
        outcome, rows = measured(tmp_path, JudgeSettings(thoughts=thoughts), monkeypatch)
    assert isinstance(outcome, Reading), outcome
    assert any("think>word" in json.dumps(request) for request in endpoint.requests) == (thoughts == "keep")
    scored = [row.get("scored_text") for row in rows]
    assert scored == (["short", None, "", None] if thoughts == "skip" else [None] * 4)
    assert (rows[0]["score"] == rows[1]["score"]) == (thoughts == "skip")
