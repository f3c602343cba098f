"""The report of a study's evaluation: Markdown for people, JSON values for scripts."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files import write_durably
from common.printable import printable
from evaluation.own_study.evaluate import KIND, SideFigures, StudyEvaluation
from evaluation.own_study.figures import ChangeFromBase, Example
from evaluation.results import write_figures
from probes.inputs.files.records import rows_digest
from view.templating import render

HOLDOUT = (
    "This was a look at the holdout. It shows what a recipe is worth on prompts that decided nothing; if you choose a "
    "recipe by it, the holdout becomes one more probe split."
)


def study_evaluation_markdown(done: StudyEvaluation) -> str:
    """The report: the sides, each adapter's changes by category with what they show, and a few answers."""
    return render(
        "study_evaluation",
        done=done,
        request=done.request,
        holdout=HOLDOUT,
        role=_role(done),
        groups=[own for adapter in done.request.adapters if len(own := _forms_of(done, adapter)) > 1],
    )


def write_study_evaluation(folder: Path, done: StudyEvaluation) -> None:
    """Write report.md and evaluation.json, next to the answers."""
    write_durably(folder / "report.md", printable(study_evaluation_markdown(done)))
    write_figures(folder, study_evaluation_data(done))


def study_evaluation_data(done: StudyEvaluation) -> dict[str, Any]:
    """The figures as plain JSON values."""
    request = done.request
    return {
        "kind": KIND,
        "study": request.name,
        "split": request.split,
        "prompts_digest": rows_digest(request.material.prompt_file),
        "target": request.target,
        "guards": dict(request.guards),
        "seeds": request.seeds,
        "samples": request.material.probe.samples,
        "quantization": request.quantization,
        "confidence": request.confidence,
        "answers": done.answers,
        "earlier_looks": done.earlier_looks,
        "warning": HOLDOUT if request.split == "holdout" else None,
        "seconds": done.seconds,
        "judging": asdict(done.judging),
        "sides": [_side(done, side) for side in done.sides],
    }


def _forms_of(done: StudyEvaluation, adapter: Path) -> list[SideFigures]:
    """An adapter on its base, and its forms."""
    return [side for side in done.sides if side.side.adapter == adapter]


def _side(done: StudyEvaluation, side: SideFigures) -> dict[str, Any]:
    return {
        "name": side.side.name,
        "adapter": side.side.adapter and str(side.side.adapter),
        "digest": side.side.digest or None,
        "form": side.side.form or None,
        "levels": [asdict(level) for level in side.levels],
        "changes": [{**asdict(change), "shows": _shows(done, change)} for change in side.changes],
        "from_adapter": [{**asdict(change), "shows": _shows(done, change)} for change in side.from_adapter],
        "examples": [_example(done, example) for example in side.examples],
        "critical": side.critical,
        "missing": side.missing,
    }


def _example(done: StudyEvaluation, example: Example) -> dict[str, Any]:
    return {
        "which": example.which,
        "seed": example.seed,
        "prompt": example.base.prompt,
        "asked": done.texts[example.base.prompt],
        "delta": example.delta,
        "base": asdict(example.base),
        "answer": asdict(example.answer),
    }


def _shows(done: StudyEvaluation, change: ChangeFromBase) -> str:
    return change.verdict(done.request.guards.get(change.category))


def _role(done: StudyEvaluation) -> dict[str, str]:
    """The role of each category in the study, in words."""
    guards = {name: f"guard, may lose {margin:g}" for name, margin in done.request.guards.items()}
    return guards | {done.request.target: "target"}
