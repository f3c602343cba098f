"""Tasks of ours in the formats of Inspect and lm-evaluation-harness score answers; both packages are real."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmark_tasks import write_task
from typer.testing import CliRunner

from agent.study.load import load_study
from cli.main import app
from common.errors import BadInput, MissingRequirement
from probes.inputs.prompts import Prompt, check_splits, load_prompts
from probes.scoring import Answer, Mark, Missing, ScorerBroken, scorer_class, scorer_digest, scorer_settings
from probes.scoring.benchmarks.prompts import prompt_rows
from probes.scoring.benchmarks.scorer import load_task, prompts_task
from testing import simulated_study

HERE = Path(__file__).parent


def inspect_settings(task: str, **more: Any) -> Any:
    pytest.importorskip("inspect_ai")
    return scorer_settings({"kind": "inspect", "task": f"capitals.py@{task}", **more})


@pytest.fixture
def sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task of additions, and its data."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    rows = [{"question": f"{n} + {n + 1} =", "answer": str(2 * n + 1), "level": "ab"[n % 2]} for n in range(20)]
    write_task(tmp_path, "lm_eval", rows)
    return tmp_path


def written(task: Any, path: Path) -> dict[str, Prompt]:
    rows = prompt_rows(task, harvest=0.2, holdout=0.2)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {str(prompt.checks["sample"]): prompt for prompt in load_prompts(path)}


def test_an_inspect_task_writes_its_prompts_and_scores_answers_as_inspect_does(tmp_path: Path) -> None:
    settings = inspect_settings("capitals", category="half")
    prompts = written(load_task(settings, HERE), tmp_path / "prompts.jsonl")
    france = prompts["france"]
    assert [(turn.role, turn.content) for turn in france.turns] == [
        ("system", "Be brief."),
        ("user", "Capital of France?\nOne word."),
    ]
    assert Counter((one.category, one.split) for one in prompts.values()) == {
        (half, split): number for half in "ab" for split, number in (("probe", 3), ("harvest", 1), ("holdout", 1))
    }
    check_splits(tmp_path / "prompts.jsonl", list(prompts.values()))
    scorer = scorer_class("inspect")(settings, HERE)
    scorer_class("inspect").check(settings, HERE, [one for one in prompts.values() if one.split == "probe"])
    answers = [Answer(france, "It is paris."), Answer(france, "Rome"), Answer(prompts["italy"], "Rome")]
    marks = scorer.score(answers)
    assert [mark.value for mark in marks if isinstance(mark, Mark)] == [10.0, 0.0, 10.0]


def test_multiple_choice_is_asked_and_read_by_the_tasks_own_solver() -> None:
    settings = inspect_settings("choices")
    task = load_task(settings, HERE)
    (sample,) = task.samples.values()
    assert "A) ice\nB) tea" in str(sample.asked)
    given = task.score([("1", "ANSWER: B"), ("1", "ANSWER: A"), ("1", "no idea")])
    assert [list(one.values.values()) for one in given] == [[1.0], [0.0], [0.0]]


@pytest.mark.parametrize(
    ("task", "law"),
    [
        ("twice", "asks the model more than once"),
        ("boxed", "needs a sandbox of Inspect"),
        ("nothing", "cannot be loaded by Inspect|names 0 tasks"),
    ],
)
def test_an_inspect_task_that_cannot_be_asked_here_is_refused(task: str, law: str) -> None:
    settings = inspect_settings(task)
    with pytest.raises(BadInput, match=law):
        _ = load_task(settings, HERE).samples


def test_a_file_without_the_name_of_a_task_is_refused() -> None:
    pytest.importorskip("inspect_ai")
    with pytest.raises(BadInput, match=r"names a file and no task in it; write capitals\.py@NAME"):
        load_task(scorer_settings({"kind": "inspect", "task": "capitals.py"}), HERE)  # type: ignore[arg-type]


def test_a_harness_task_cuts_filters_and_scores_answers_as_the_harness_does(sums: Path) -> None:
    settings = scorer_settings({"kind": "lm_eval", "task": "sums.yaml", "category": "level"})
    prompts = written(prompts_task(settings, sums), sums / "prompts.jsonl")
    third = prompts["3"]
    assert [(turn.role, turn.content) for turn in third.turns] == [("system", "Add. "), ("user", "3 + 4 =")]
    assert {one.category for one in prompts.values()} == {"a", "b"}
    scorer = scorer_class("lm_eval")(settings, sums)
    scorer_class("lm_eval").check(settings, sums, list(prompts.values()))
    answers = ["it is 7", "8\nno, 7", "seven", "7"]
    marks = scorer.score([Answer(third, text) for text in answers] + [Answer(prompts["0"], "1")])
    assert [mark.value for mark in marks if isinstance(mark, Mark)] == [10.0, 0.0, 0.0, 10.0, 10.0]
    assert [mark.outcome for mark in marks if isinstance(mark, Mark)][:2] == ["FULL", "ZERO"]


def test_a_target_that_changed_after_the_prompts_were_written_is_refused(sums: Path) -> None:
    settings = scorer_settings({"kind": "lm_eval", "task": "sums.yaml"})
    prompts = list(written(prompts_task(settings, sums), sums / "prompts.jsonl").values())
    changed = Prompt("our_sums-0", "probe", "our_sums", 1, "0 + 1 =", {"sample": "0", "digest": "0" * 16})
    with pytest.raises(BadInput, match="write the prompts again with nightlane prompts"):
        scorer_class("lm_eval").check(settings, sums, [*prompts[1:], changed])


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (("output_type: generate_until", "output_type: multiple_choice\ndoc_to_choice: ['1', '3']"), "likelihoods"),
        (("task: our_sums", "unsafe_code: true\ntask: our_sums"), "runs what the model wrote"),
    ],
)
def test_a_harness_task_that_cannot_be_scored_here_is_refused(sums: Path, change: tuple[str, str], law: str) -> None:
    path = sums / "other.yaml"
    text = (sums / "sums.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace(*change).replace("our_sums", "other_sums"), encoding="utf-8")
    with pytest.raises(BadInput, match=law):
        load_task(scorer_settings({"kind": "lm_eval", "task": "other.yaml"}), sums)  # type: ignore[arg-type]


def test_a_score_outside_the_scale_and_several_scores_break_the_scorer_and_none_is_missing(sums: Path) -> None:
    from probes.scoring.benchmarks.task import TaskScore

    settings = {"kind": "lm_eval", "task": "sums.yaml", "scale": 100.0}
    scorer: Any = scorer_class("lm_eval")(scorer_settings(settings), sums)
    with pytest.raises(ScorerBroken, match="gave 1, times scale 100"):
        scorer._mark(TaskScore({"exact_match": 1.0}))
    with pytest.raises(ScorerBroken, match="name it as metric"):
        scorer._mark(TaskScore({"exact_match": 0.0, "f1": 0.5}))
    assert scorer._mark(TaskScore({})) == Missing("the task gave no score")


def test_the_tasks_file_is_part_of_the_scorers_digest(sums: Path) -> None:
    settings = scorer_settings({"kind": "lm_eval", "task": "sums.yaml"})
    before = scorer_digest(settings, sums)
    (sums / "sums.yaml").write_text((sums / "sums.yaml").read_text() + "# more\n")
    assert scorer_digest(settings, sums) != before


def test_prompts_are_written_only_for_a_benchmarks_task() -> None:
    with pytest.raises(BadInput, match='kind is "rules"'):
        prompts_task(scorer_settings({"kind": "rules"}), Path())


def test_the_command_writes_the_prompts_of_a_study_and_overwrites_none(sums: Path) -> None:
    scorer = '[scorer]\nkind = "lm_eval"\ntask = "sums.yaml"\ncategory = "level"\n[target]\ncategory = "a"'
    text = simulated_study.STUDY.replace('[target]\ncategory = "lists"', scorer).replace("arithmetic = 1.5", "b = 1.5")
    path = simulated_study.write_study(sums / "study", text)
    for name in ("sums.yaml", "rows.jsonl"):
        (sums / "study" / name).write_bytes((sums / name).read_bytes())
    (sums / "study" / "prompts.jsonl").unlink()
    done = CliRunner().invoke(app, ["prompts", str(path)])
    assert done.exit_code == 0, done.output
    load_study(path).check_material()
    again = CliRunner().invoke(app, ["prompts", str(path)])
    assert isinstance(again.exception, BadInput)
    assert "give --force" in str(again.exception)


@pytest.mark.parametrize(("kind", "extra"), [("inspect", "inspect"), ("lm_eval", "lm-eval")])
def test_without_its_package_a_scorer_says_what_to_install(
    kind: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.optional_dependencies.find_spec", lambda name: None)
    with pytest.raises(MissingRequirement, match=rf"run: pip install 'nightlane\[{extra}\]'"):
        prompts_task(scorer_settings({"kind": kind, "task": "somebody/else"}), HERE)
