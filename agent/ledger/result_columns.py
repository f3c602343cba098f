"""The columns of results.tsv in their order: what each means, its unit and an example. New ones go to the right."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """``number``: cells are numbers with a dot; other cells are text. ``unit``: of the values, for people."""

    name: str
    meaning: str
    unit: str = ""
    example: str = ""
    number: bool = False


def _text(name: str, meaning: str, *, unit: str = "", example: str) -> Column:
    return Column(name, meaning, unit, example)


def _number(name: str, meaning: str, *, unit: str, example: str) -> Column:
    return Column(name, meaning, unit, example, number=True)


DEFINITIONS = (
    _text("time", "When the decision was made.", unit="ISO 8601, UTC", example="2026-11-29T13:29:54Z"),
    _text("session", "The session that made it.", example="20261129-132716"),
    _text("id", "The decision: its session and its turn, or baseline.", example="20261129-132716-001"),
    _text(
        "status",
        "BASELINE, KEEP, DISCARD, CRASH (a probe failed for good; no score), or RETRACT (a KEEP is taken back).",
        example="KEEP",
    ),
    _text("lane", "The lane of the knob: hyperparameters, mixture or curriculum.", example="hyperparameters"),
    _text("knob", "The parameter that was changed; baseline for an A/A test.", example="learning_rate"),
    _text("before", "The incumbent's value.", example="0.0001"),
    _text("after", "The value that it is changed to.", example="0.0004"),
    _number("steps", "Optimizer steps of every probe.", unit="steps", example="60"),
    _text(
        "seeds",
        "Training seeds of the pairs of its stack, with spaces between them.",
        example="154262920 1798826232 2049459169",
    ),
    _number("samples", "Answers per prompt.", unit="answers", example="4"),
    _number(
        "target", "The mean of the stack's recipe in the target category.", unit="points, 0 to 10", example="5.94792"
    ),
    _number("baseline", "The incumbent's mean under the same seeds.", unit="points, 0 to 10", example="5.35417"),
    _number(
        "delta",
        "The change's own effect on the target, by all readings together, shrunk towards nothing.",
        unit="points",
        example="0.59375",
    ),
    _number("ci_low", "Lower end of the interval of delta.", unit="points", example="0.228064"),
    _number("ci_high", "Upper end of the interval of delta.", unit="points", example="0.959436"),
    _number(
        "overall", "The mean of the stack's recipe over all categories.", unit="points, 0 to 10", example="7.47112"
    ),
    _number("overall_delta", "The difference of the overall means.", unit="points", example="0.171244"),
    _text(
        "worst_guard",
        "The guarded category nearest to its margin, by the stack's pairs or, unconfirmed, by the readings.",
        example="conditions",
    ),
    _number("worst_guard_delta", "The difference in that category.", unit="points", example="0.149306"),
    _text("guards_ok", "Whether every guard is within its margin.", unit="yes or no", example="yes"),
    _number("critical_failures", "Answers with a critical failure.", unit="answers", example="0"),
    _number(
        "probe_seconds",
        "Time of the stack's probes together; in the row of its first change.",
        unit="seconds",
        example="104.75",
    ),
    _number("tokens_per_second", "Training tokens per second.", unit="tokens per second", example="4658.7"),
    _number("peak_gb", "Largest memory of a probe.", unit="GB", example="0.851"),
    _number("cost_usd", "Cost of the decision, if prices are set.", unit="US dollars", example="0.04"),
    _text("proposer", "Who proposed.", example="optuna"),
    _text("reason", "Why it was decided so: a code of the table below.", example="improved"),
    _text(
        "description",
        "The hypothesis, or what happened, for people.",
        example="TPE after 0 decision(s): learning_rate 0.0001 -> 0.0004",
    ),
    _number("worst_guard_low", "Lower bound of worst_guard_delta.", unit="points", example="-0.370476"),
    _number(
        "shrunk",
        "The same as delta. Of older versions: delta, corrected for having been selected.",
        unit="points",
        example="0.559218",
    ),
    _number(
        "error_spent",
        "Part of the night's error that the confirmation spent; in the row of its first change.",
        unit="chance",
        example="0.025",
    ),
    _text("policy", "Digest of the policy that decided.", example="9d554e78cb626a45"),
    _number("chance", "The chance that the change alone is worth more than nothing.", unit="chance", example="0.93"),
    _number("stack", "The stack that the change was confirmed in, counted in its session.", unit="count", example="2"),
    _number(
        "stack_delta", "The stack's effect on the target, confirmed on fresh seeds.", unit="points", example="0.81"
    ),
    _number("stack_ci_low", "Lower end of the interval of stack_delta.", unit="points", example="0.42"),
    _number("stack_ci_high", "Upper end of the interval of stack_delta.", unit="points", example="1.2"),
)
COLUMNS = tuple(column.name for column in DEFINITIONS)
NUMBERS = tuple(column.name for column in DEFINITIONS if column.number)
HEADER = "\t".join(COLUMNS)
