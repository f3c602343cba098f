"""An evaluation for people, as Markdown, and for scripts, as JSON values."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files import write_durably
from common.printable import printable
from evaluation.breakdown import Breakdown, break_down, count_classes
from evaluation.results import Evaluation, Side
from evaluation.statistics import PassRate, pass_rates
from view.report.breakdown import (
    MOST_NAMED,
    breakdown_data,
    breakdown_markdown,
    breakdown_sections,
    result_data,
    warning_lines,
)
from view.report.markdown import code, count, duration, table, text

__all__ = ["breakdown_markdown", "evaluation_data", "evaluation_markdown", "write_evaluation"]


BEFORE_AFTER = ("before", "after")


def evaluation_markdown(evaluation: Evaluation) -> str:
    """The report: warnings first, then pass@k, how answers ended, what flipped, and what was left out."""
    sides, breakdown = evaluation.sides, _breakdown(evaluation)
    warned = [*_unanswered(evaluation), *(warning_lines(breakdown) if breakdown else [])]
    found = [_opening(evaluation), warned, _pass_table(evaluation)]
    if breakdown:
        found += breakdown_sections(breakdown, BEFORE_AFTER)
    else:
        found.append(_ended(sides[0]))
    return "\n\n".join("\n".join(lines) for lines in [*found, _left_out(evaluation)] if lines) + "\n"


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """report.md and evaluation.json, beside results.jsonl."""
    write_durably(folder / "report.md", printable(evaluation_markdown(evaluation)))
    write_durably(folder / "evaluation.json", json.dumps(evaluation_data(evaluation), indent=1) + "\n")


def evaluation_data(evaluation: Evaluation) -> dict[str, Any]:
    """The figures as plain JSON values; those of the only or the later side also stand at the top."""
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


def _opening(evaluation: Evaluation) -> list[str]:
    left = {"refused": len(evaluation.refused), "without an answer": len(evaluation.missing)}
    apart = ", ".join(f"{count(number, 'problem')} {what}" for what, number in left.items() if number)
    return [
        f"# Evaluation on {text(evaluation.problems_file)}", "",
        f"{count(evaluation.problems, 'problem')}, {duration(evaluation.seconds)}."
        + (f" Left out, see the end: {apart}." if apart else ""), "",
        *(f"- {name}: {code(side.name)}, {count(len(side.results), 'answer')}" for name, side in _named(evaluation)),
    ]  # fmt: skip


def _unanswered(evaluation: Evaluation) -> list[str]:
    """Answers that never came are in no figure, and those that came may be the easier ones."""
    if not evaluation.unanswered:
        return []
    came = sum(len(side.results) for side in evaluation.sides)
    asked = came + evaluation.unanswered
    return [f"- **Warning:** {evaluation.unanswered} of {asked} answers never came and are in no figure; ask again."]


def _named(evaluation: Evaluation) -> list[tuple[str, Side]]:
    """Short names for tables: what a side consists of is told once."""
    return list(zip(BEFORE_AFTER if len(evaluation.sides) > 1 else ("answers",), evaluation.sides, strict=True))


def _pass_table(evaluation: Evaluation) -> list[str]:
    named = _named(evaluation)
    rates = [(name, rate) for name, side in named for rate in pass_rates(side.results, evaluation.ks)]
    seeds = sorted({seed for _, rate in rates for seed in rate.seeds})
    per_seed = seeds if len(seeds) > 1 else []
    rows = [
        (name, str(rate.k), *_rate_cells(rate), *(_percent(rate.seeds.get(seed)) for seed in per_seed))
        for name, rate in rates
    ]
    headings = ("side", "k", "mean", "deviation", "95 % interval", *(f"seed {seed}" for seed in per_seed))
    rule = "The chance that one of k answers passes (unbiased estimate, Chen et al. 2021)."
    lines = ["## pass@k", "", f"{rule} {_about(rates)}", "", *table(headings, rows, right=range(1, len(headings)))]
    short = [k for k in evaluation.ks if sum(rate.k == k for _, rate in rates) < len(evaluation.sides)]
    if short:
        names = ", ".join(f"pass@{k}" for k in short)
        lines += [
            "",
            f"Left out where it cannot be told: {names}. pass@k needs k answers to each problem of each seed.",
        ]
    return lines


def _about(rates: Sequence[tuple[str, PassRate]]) -> str:
    """What the deviation and the interval cover."""
    if any(rate.low is None for _, rate in rates):
        return "An interval takes two problems or more, and the same problems with each seed."
    if all(len(rate.seeds) == 1 for _, rate in rates):
        return "The interval covers the problems and the sampling; with one seed it cannot cover seeds."
    return "The deviation is that between seeds; the interval covers the problems, the seeds and the sampling."


def _rate_cells(rate: PassRate) -> tuple[str, str, str]:
    bounds = "" if rate.low is None or rate.high is None else f"{rate.low * 100:.1f} to {rate.high * 100:.1f} %"
    return _percent(rate.mean), _percent(rate.deviation), bounds


def _ended(side: Side) -> list[str]:
    """How the answers of one side ended."""
    answers = len(side.results)
    rows = [
        (text(name, 40), str(number), f"{number / answers:.1%}") for name, number in count_classes(side.results).items()
    ]
    by_format = sum(result.format_only for result in side.results)
    return [
        "## How answers ended", "",
        *table(("class", "answers", "share"), rows, right=(1, 2)), "",
        f"Failed by format alone: {by_format} of {count(answers, 'answer')}."
        + (" The code in them passes on its own." if by_format else ""),
    ]  # fmt: skip


def _left_out(evaluation: Evaluation) -> list[str]:
    refused = {item.task_id for item in evaluation.refused}
    unknown = {name: number for name, number in evaluation.unknown.items() if name not in refused}
    lines = []
    if evaluation.refused:
        why = [f"  - {code(item.task_id)}, line {item.line}: {text(item.why, 300)}" for item in evaluation.refused]
        lines += [f"- {count(len(why), 'problem')} refused, since no answer can be judged:", *_most(why)]
    if unknown:
        names = [f"{code(name)} ({count(number, 'sample')})" for name, number in unknown.items()]
        lines.append(f"- {count(len(names), 'id')} that the problem file does not have: {_listed(names)}.")
    if evaluation.missing:
        names = [code(name) for name in evaluation.missing]
        lines.append(f"- {count(len(names), 'problem')} without an answer, in no figure above: {_listed(names)}.")
    return ["## Left out", "", *lines] if lines else []


def _most(lines: list[str]) -> list[str]:
    more = [f"  - and {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else []
    return [*lines[:MOST_NAMED], *more]


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"


def _side_data(side: Side, ks: Iterable[int]) -> dict[str, Any]:
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
