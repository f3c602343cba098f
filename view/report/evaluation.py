"""The report of an evaluation: Markdown for people, JSON values for scripts."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files import write_durably
from common.printable import printable
from evaluation.breakdown import Breakdown, FlippedProblem, break_down, count_classes
from evaluation.results import Evaluation, ModelResults, ScoredSample, write_figures
from evaluation.statistics import pass_rates
from view.templating import render


def evaluation_markdown(evaluation: Evaluation) -> str:
    """The report: warnings first, then pass@k, how answers ended, what flipped, and what was left out."""
    names = ("before", "after") if len(evaluation.sides) > 1 else ("answers",)
    sides = list(zip(names, evaluation.sides, strict=True))
    rates = [(name, rate) for name, side in sides for rate in pass_rates(side.results, evaluation.ks)]
    refused = {item.task_id for item in evaluation.refused}
    return render(
        "evaluation",
        evaluation=evaluation,
        sides=sides,
        answers=sum(len(side.results) for side in evaluation.sides),
        rates=rates,
        seeds=sorted({seed for _, rate in rates for seed in rate.seeds}),
        unknown_k=[k for k in evaluation.ks if sum(rate.k == k for _, rate in rates) < len(sides)],
        breakdown=_breakdown(evaluation),
        classes=count_classes(evaluation.sides[0].results),
        unknown=[(name, number) for name, number in evaluation.unknown.items() if name not in refused],
        missing_names=[(name, None) for name in evaluation.missing],
    )


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """report.md and evaluation.json, next to results.jsonl."""
    write_durably(folder / "report.md", printable(evaluation_markdown(evaluation)))
    write_figures(folder, evaluation_data(evaluation))


def evaluation_data(evaluation: Evaluation) -> dict[str, Any]:
    """The figures as plain JSON values; those of the only side, or of the later one, are also at the top level."""
    sides = [_side_data(side, evaluation.ks) for side in evaluation.sides]
    breakdown = _breakdown(evaluation)
    return {
        "problems_file": evaluation.problems_file,
        "problems": evaluation.problems,
        "seconds": evaluation.seconds,
        "refused": [asdict(refused) for refused in evaluation.refused],
        "unknown": dict(evaluation.unknown),
        "missing": list(evaluation.missing),
        "unanswered": evaluation.unanswered,
        **{name: value for name, value in sides[-1].items() if name != "name"},
        "sides": sides,
        "breakdown": breakdown_data(breakdown) if breakdown else None,
    }


def _breakdown(evaluation: Evaluation) -> Breakdown | None:
    if len(evaluation.sides) < 2:
        return None
    return break_down(evaluation.sides[0].results, evaluation.sides[1].results)


def _side_data(side: ModelResults, ks: Iterable[int]) -> dict[str, Any]:
    rates = {}
    for rate in pass_rates(side.results, sorted(ks)):
        seeds = {str(seed): value for seed, value in rate.seeds.items()}
        figures = {"mean": rate.mean, "deviation": rate.deviation, "low": rate.low, "high": rate.high}
        rates[str(rate.k)] = {**figures, "seeds": seeds}
    return {
        "name": side.name,
        "pass_at_k": rates,
        "classes": count_classes(side.results),
        "format_only": sum(result.format_only for result in side.results),
        "results": [result_data(result) for result in side.results],
    }


def breakdown_data(breakdown: Breakdown) -> dict[str, Any]:
    def answer(result: ScoredSample) -> dict[str, Any]:
        details = {"note": result.note, "format_only": result.format_only, "answer": result.answer}
        return {**result_data(result), **details}

    def changes_data(changes: Sequence[FlippedProblem]) -> list[dict[str, Any]]:
        return [
            {
                "task_id": change.problem,
                "category": change.category,
                "kind": change.kind,
                "before": answer(change.before),
                "after": answer(change.after),
            }
            for change in changes
        ]

    sides = ("before", "after")
    return {
        "problems": breakdown.problems,
        "only_before": breakdown.only_before,
        "only_after": breakdown.only_after,
        "answers": dict(zip(sides, breakdown.answers, strict=True)),
        "format_only": dict(zip(sides, breakdown.format_only, strict=True)),
        "difference": asdict(breakdown.difference) if breakdown.difference else None,
        "classes": [{**asdict(row), "change": row.change} for row in breakdown.classes],
        "newly_passing": changes_data(breakdown.newly_passing),
        "newly_failing": changes_data(breakdown.newly_failing),
        "warnings": list(breakdown.warnings),
    }


def result_data(result: ScoredSample) -> dict[str, Any]:
    return {
        "task_id": result.problem,
        "seed": result.seed,
        "sample": result.sample,
        "passed": result.passed,
        "failure_class": result.failure_class,
    }
