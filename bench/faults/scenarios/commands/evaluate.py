"""Evaluations: of problems with samples, and of a study with a small model."""

from pathlib import Path

from bench.faults.scenarios.commands.full_runs import write_small_study
from bench.faults.scenarios.observe import Observed, lines_of, rows_of
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane, repeat
from testing.simulated_study import write_jsonl


def _write_problems(root: Path, run: Run) -> None:
    check = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    problem = {
        "task_id": "T/add",
        "prompt": 'def add(a, b):\n    """ The sum. """\n',
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": check,
    }
    write_jsonl(root / "problems.jsonl", [problem])
    texts = ("    return a + b\n", "    return a - b\n")
    write_jsonl(root / "samples.jsonl", [{"task_id": "T/add", "completion": text} for text in texts])


def _evaluate(root: Path) -> Command:
    options = ("--problems", root / "problems.jsonl", "--samples", root / "samples.jsonl")
    return nightlane("evaluate", *options, "--workspace", root)


def _last_evaluation(root: Path) -> Observed:
    folders = sorted((root / "runs").glob("evaluation-*"))
    if not folders:
        return {}
    files = sorted(path.name for path in folders[-1].iterdir())
    return {"results": rows_of(folders[-1] / "results.jsonl"), "files": files}


def _evaluate_study(root: Path) -> Command:
    study = root / "study" / "study.toml"
    return nightlane("evaluate", study, "--seeds", 2, "--workspace", root)


def _last_study_evaluation(root: Path) -> Observed:
    """Its files, and the answers; what an interrupted one left stays beside it."""
    folders = sorted((root / "runs").glob("evaluation-*"))
    if not folders:
        return {}
    files = sorted(path.name for path in folders[-1].iterdir())
    return {"files": files, **{path.name: lines_of(path) for path in folders[-1].glob("answers-*.jsonl")}}


EVALUATIONS = (
    Scenario("evaluate", _write_problems, _evaluate, repeat(_evaluate), _last_evaluation, weight=1),
    Scenario(
        "evaluate of a study",
        write_small_study,
        _evaluate_study,
        repeat(_evaluate_study),
        _last_study_evaluation,
        weight=2,
    ),
)
