"""What stands behind a change between two sides, in Markdown and in JSON: warnings, classes, flipped problems."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from common.printable import printable
from evaluation.breakdown import Breakdown, Change, ClassCount
from evaluation.results import Result
from evaluation.statistics import PassDifference
from view.report.markdown import count, table, text

MOST_NAMED = 10
MOST_LINES, MOST_CHARACTERS = 30, 1200


def breakdown_markdown(
    breakdown: Breakdown, names: tuple[str, str], most: int = MOST_NAMED, kept_in: str = "results.jsonl"
) -> list[str]:
    """Lines of what stands behind a change: warnings, the change, how answers ended, the problems that flipped.

    At most ``most`` of them each way are shown; ``kept_in`` says where the others are.
    """
    found = [warning_lines(breakdown), *breakdown_sections(breakdown, names, most, kept_in)]
    return "\n\n".join("\n".join(lines) for lines in found if lines).split("\n")


def breakdown_sections(
    breakdown: Breakdown, names: tuple[str, str], most: int = MOST_NAMED, kept_in: str = "results.jsonl"
) -> list[list[str]]:
    return [
        [f"## From {text(names[0], 80)} to {text(names[1], 80)}", "", *_change_lines(breakdown)],
        _class_table(breakdown, names),
        _changes("Newly passing", breakdown.newly_passing, names, most, kept_in),
        _changes("Newly failing", breakdown.newly_failing, names, most, kept_in),
    ]


def _change_lines(breakdown: Breakdown) -> list[str]:
    difference = breakdown.difference
    if difference is None:
        return ["The two sides answered no problem in common, so they cannot be compared."]
    over = count(difference.problems, "problem")
    over += f" and {count(difference.seeds, 'seed')}" if difference.seeds else "; their seeds differ and are not paired"
    lines = [f"pass@1 changed by {_points(difference)}, paired over {over}."]
    flips = (("newly solved", breakdown.newly_passing), ("no longer solved", breakdown.newly_failing))
    for what, changes in flips:
        kinds = Counter(change.kind for change in changes)
        split = f", {kinds['algorithmic']} by their code and {kinds['format']} by their format" if changes else ""
        lines.append(f"{count(len(changes), 'problem')} {what}{split}.")
    lines.append("A problem counts as solved when more than half of its answers pass.")
    if alone := breakdown.only_before + breakdown.only_after:
        told = f"{breakdown.only_before} before, {breakdown.only_after} after"
        lines.append(f"Left out of the comparison: {count(alone, 'problem')} answered by one side alone ({told}).")
    return [" ".join(lines)]


def _class_table(breakdown: Breakdown, names: tuple[str, str]) -> list[str]:
    if not breakdown.classes:
        return []
    equal = breakdown.answers[0] == breakdown.answers[1]
    rows = [_class_row(row, equal) for row in breakdown.classes]
    before, after = breakdown.format_only
    return [
        "## How answers ended", "",
        *table(("class", *(text(name, 80) for name in names), "change"), rows, right=(1, 2, 3)), "",
        f"Failed by format alone: {before} of {breakdown.answers[0]} answers before, {after} of {breakdown.answers[1]} "
        "after. The code in them passes on its own.",
    ]  # fmt: skip


def _class_row(row: ClassCount, equal: bool) -> tuple[str, str, str, str]:
    """Counts change by a number where both sides have as many answers, else shares by points."""
    change = f"{row.change:+d}" if equal else f"{(row.after_share - row.before_share) * 100:+.1f} points"
    cells = (f"{row.before} ({row.before_share:.1%})", f"{row.after} ({row.after_share:.1%})")
    return text(row.failure_class, 40), *cells, "0" if equal and not row.change else change


def _changes(title: str, changes: Sequence[Change], names: tuple[str, str], most: int, kept_in: str) -> list[str]:
    if not changes:
        return []
    lines = [f"## {title}: {count(len(changes), 'problem')}"]
    for change in changes[:most]:
        ends = f"{text(change.before.failure_class, 40)} -> {text(change.after.failure_class, 40)}"
        lines += ["", f"### {text(change.problem, 80)}: {ends}, {change.kind}"]
        for name, result in zip(names, (change.before, change.after), strict=True):
            lines += ["", *_answer(name, result)]
    if len(changes) > most:
        lines += ["", f"And {len(changes) - most} more in {kept_in}."]
    return lines


def _answer(name: str, result: Result) -> list[str]:
    ended = f"{text(result.failure_class, 40)}{', by format alone' if result.format_only else ''}"
    note = f". {text(result.note, 300)}" if result.note else ""
    lines = [f"Answer {result.sample + 1} of seed {result.seed} from {text(name, 80)}: {ended}{note}"]
    if not result.answer.strip():
        return [*lines, "", "(the answer is empty)"]
    shown, whole = _shortened(result.answer)
    lines += ["", *_block(shown)]
    return lines if whole else [*lines, "", f"(shortened; the answer has {_size(result.answer)})"]


def _size(answer: str) -> str:
    return f"{count(len(answer.splitlines()), 'line')} and {count(len(answer), 'character')}"


def _shortened(answer: str) -> tuple[list[str], bool]:
    kept = answer[:MOST_CHARACTERS].splitlines()[:MOST_LINES]
    whole = len(answer) <= MOST_CHARACTERS and len(answer.splitlines()) <= MOST_LINES
    return [printable(line.expandtabs(4)).rstrip() for line in kept], whole


def _block(lines: Sequence[str]) -> list[str]:
    """A block that shows the backticks of an answer as they are, often what is wrong with it; it cannot be closed."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *lines, fence]


def _points(difference: PassDifference) -> str:
    told = f"{difference.delta * 100:+.1f} points"
    if difference.low is None or difference.high is None:
        return told
    return f"{told} [{difference.low * 100:+.1f}, {difference.high * 100:+.1f}]"


def warning_lines(breakdown: Breakdown) -> list[str]:
    return [f"- **Warning:** {text(warning)}" for warning in breakdown.warnings]


def breakdown_data(breakdown: Breakdown) -> dict[str, Any]:
    def answer(result: Result) -> dict[str, Any]:
        said = {"note": result.note, "format_only": result.format_only, "answer": result.answer}
        return {**result_data(result), **said}

    def changes(found: Sequence[Change]) -> list[dict[str, Any]]:
        return [
            {
                "task_id": change.problem, "category": change.category, "kind": change.kind,
                "before": answer(change.before), "after": answer(change.after),
            }
            for change in found
        ]  # fmt: skip

    sides = ("before", "after")
    return {
        "problems": breakdown.problems,
        "only_before": breakdown.only_before,
        "only_after": breakdown.only_after,
        "answers": dict(zip(sides, breakdown.answers, strict=True)),
        "format_only": dict(zip(sides, breakdown.format_only, strict=True)),
        "difference": asdict(breakdown.difference) if breakdown.difference else None,
        "classes": [{**asdict(row), "change": row.change} for row in breakdown.classes],
        "newly_passing": changes(breakdown.newly_passing),
        "newly_failing": changes(breakdown.newly_failing),
        "warnings": list(breakdown.warnings),
    }


def result_data(result: Result) -> dict[str, Any]:
    return {
        "task_id": result.problem, "seed": result.seed, "sample": result.sample, "passed": result.passed,
        "failure_class": result.failure_class,
    }  # fmt: skip
