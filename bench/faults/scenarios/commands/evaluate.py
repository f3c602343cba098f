"""Evaluations: of problems with samples, and of a study."""

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.faults.scenarios.commands.material import write_study_with_rules
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
    return nightlane("evaluate", study, "--seeds", 2, "--workspace", root, before=_replace_model)


def _replace_model() -> None:
    """Evaluations of a study have no model here: a stub answers, and the study's scorer scores that."""
    from evaluation.own_study import evaluate
    from probes.model import load
    from probes.run import worker
    from probes.run.execute import Workbench

    values: dict[str, Any] = {
        "base_digest": lambda *_: "none",
        "visible_devices": lambda: (),
        "write_scored_answers": _write_stub_answers,
    }
    patch.multiple(evaluate, **values).start()  # AttributeError for a name that does not exist
    patch.object(Workbench, "base", lambda *_: None).start()
    patch.multiple(load, load_quietly=lambda: None, use_few_threads=lambda *_: None).start()
    patch.multiple(worker, environment=lambda *_: "none").start()


def _write_stub_answers(
    bench: Any, quantization: str, side: object, prompts: Sequence[Any], seed: int, path: Path, meter: Any, note: Any
) -> None:
    from probes.run.answers import write_answers
    from probes.scoring import Answer, Context

    texts = ["word " * (5 + 4 * seed + number) for number in range(len(prompts))]
    answers = [Answer(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    sampled: Any = [types.SimpleNamespace(text=text, finish_reason="stop") for text in texts]
    write_answers(path, answers, sampled, bench.open_scorer().score(answers, Context(note, meter)), 1)


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
        write_study_with_rules,
        _evaluate_study,
        repeat(_evaluate_study),
        _last_study_evaluation,
        weight=4,
    ),
)
