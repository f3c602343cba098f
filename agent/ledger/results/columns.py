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
    _text("time", "When the decision was made.", unit="ISO 8601, UTC", example="2026-12-01T01:36:27Z"),
    _text("session", "The session that made it.", example="20261201-013036"),
    _text("id", "The decision: its session and its turn, or baseline.", example="20261201-013036-001"),
    _text(
        "status",
        "BASELINE, KEEP, DISCARD, CRASH (a probe failed for good; no score), RETRACT (a KEEP is taken back), PROMOTE "
        "or HOLD (the incumbent against the starting recipe at full length, on the holdout prompts).",
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
        example="154262920 1114921510 1125046170 1798826232 1859703647 2049459169",
    ),
    _number("samples", "Answers per prompt.", unit="answers", example="4"),
    _number(
        "target", "The mean of the stack's recipe in the target category.", unit="points, 0 to 10", example="6.09722"
    ),
    _number("baseline", "The incumbent's mean under the same seeds.", unit="points, 0 to 10", example="5.22569"),
    _number(
        "delta",
        "The change's own effect on the target, estimated from all readings together and shrunk towards 0. For an A/A "
        "test: the difference of its pairs. For a RETRACT: the effect of having the change, by the re-test.",
        unit="points",
        example="0.766628",
    ),
    _number("ci_low", "Lower end of the interval of delta.", unit="points", example="0.479721"),
    _number("ci_high", "Upper end of the interval of delta.", unit="points", example="1.05354"),
    _number(
        "overall", "The mean of the stack's recipe over all categories.", unit="points, 0 to 10", example="7.47894"
    ),
    _number("overall_delta", "The difference of the overall means.", unit="points", example="0.219351"),
    _text(
        "worst_guard",
        "The guarded category nearest to its margin: by the stack's pairs or, if unconfirmed, by all readings.",
        example="arithmetic",
    ),
    _number("worst_guard_delta", "The difference in that category.", unit="points", example="0.0694444"),
    _text(
        "guards_ok",
        "Whether every guard is within its margin in this comparison; the sum over all KEEPs is not counted.",
        unit="yes or no",
        example="yes",
    ),
    _number("critical_failures", "Answers with a critical failure.", unit="answers", example="0"),
    _number(
        "probe_seconds",
        "Time of all probes of the stack's recipe; in the row of its first change.",
        unit="seconds",
        example="116.14",
    ),
    _number("tokens_per_second", "Training tokens per second.", unit="tokens per second", example="4332.3"),
    _number(
        "peak_gb",
        "Largest memory of a probe; with the packed engine on a GPU, of the worker that trained several at once.",
        unit="GB",
        example="0.841",
    ),
    _number(
        "cost_usd",
        "Cost since the decision before, if prices are set; of a stack, in the row of its first change.",
        unit="US dollars",
        example="0.04",
    ),
    _text("proposer", "Who proposed.", example="factorial"),
    _text("reason", "Why it was decided so: a code from the table below.", example="improved"),
    _text(
        "description",
        "The hypothesis, or what happened, for people.",
        example="learning_rate 0.0001 -> 0.0004: a first wave tries every knob on both sides",
    ),
    _number("worst_guard_low", "Lower bound of worst_guard_delta.", unit="points", example="-0.303973"),
    _number(
        "shrunk",
        "The same as delta. In older versions: delta, corrected for selection bias.",
        unit="points",
        example="0.766628",
    ),
    _number(
        "error_spent",
        "Part of the night's error that the confirmation spent; in the row of its first change.",
        unit="chance",
        example="0.0475",
    ),
    _text("policy", "Digest of the policy that decided.", example="9079712ba8835feb"),
    _number("chance", "The chance that the change's own effect is above 0.", unit="chance", example="0.999564"),
    _number("stack", "The number, in its session, of the stack that the change was in.", unit="count", example="1"),
    _number(
        "stack_delta", "The stack's effect on the target, confirmed on fresh seeds.", unit="points", example="0.871528"
    ),
    _number("stack_ci_low", "Lower end of the interval of stack_delta.", unit="points", example="0.45035"),
    _number("stack_ci_high", "Upper end of the interval of stack_delta.", unit="points", example="1.29271"),
)
COLUMNS = tuple(column.name for column in DEFINITIONS)
NUMBERS = tuple(column.name for column in DEFINITIONS if column.number)
HEADER = "\t".join(COLUMNS)
