"""The figures of a decision as a row of results.tsv and a line of progress.log."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.decision import Verdict, failing_guards, room
from agent.ledger import DecisionRow, ProposalRow
from agent.study import Study
from lanes import Value, show
from probes.comparison import OVERALL, Comparison
from probes.reading import Failure, Reading


def now() -> str:
    """ISO-8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def value_of(stored: Any) -> Value:
    """A knob's value as the ledger's JSON gives it back."""
    value: Value = tuple(stored) if isinstance(stored, list) else stored
    return value


def result_row(
    study: Study,
    session: str,
    verdict: Verdict,
    readings: Sequence[Reading],
    comparison: Comparison | None,
    proposal: ProposalRow | None,
    failure: Failure | None,
) -> dict[str, Any]:
    """Every column of results.tsv by name; None where there is nothing to say."""
    target, probe = study.target, study.file.probe
    row: dict[str, Any] = {
        "time": now(), "session": session, "status": verdict.status, "steps": probe.steps,
        "seeds": " ".join(map(str, probe.seeds)), "samples": probe.samples, "reason": verdict.reason,
        "proposer": proposal.proposer if proposal else None,
        "description": proposal.hypothesis if proposal else "the recipe that the session starts from",
    }  # fmt: skip
    if proposal is not None:
        before, after = value_of(proposal.before), value_of(proposal.after)
        row |= {"lane": proposal.lane, "knob": proposal.knob, "before": plain(before), "after": plain(after)}
    if failure is not None:
        row["description"] = f"{row['description']} ({failure.message})" if proposal else failure.message
    if readings:
        row |= _measured(readings)
    if comparison is not None:
        row |= _compared(comparison, target, study.guards)
    elif readings and failure is None:
        row |= {"target": mean(readings, target), "overall": mean(readings, OVERALL)}
    return row


def _measured(readings: Sequence[Reading]) -> dict[str, Any]:
    tokens, training = sum(reading.tokens for reading in readings), sum(reading.timing.train for reading in readings)
    return {
        "critical_failures": sum(reading.critical_failures for reading in readings),
        "probe_seconds": round(sum(reading.timing.total for reading in readings), 2),
        "tokens_per_second": round(tokens / training, 1) if training else None,
        "peak_gb": max(reading.peak_gb for reading in readings),
    }


def _compared(comparison: Comparison, target: str, guards: Mapping[str, float]) -> dict[str, Any]:
    effect, overall = comparison.differences[target], comparison.differences[OVERALL]
    row: dict[str, Any] = {
        "target": effect.candidate, "baseline": effect.baseline, "delta": effect.delta, "ci_low": effect.low,
        "ci_high": effect.high, "overall": overall.candidate, "overall_delta": overall.delta,
    }  # fmt: skip
    if guards:
        worst = min(guards, key=lambda name: room(comparison.differences[name].low, guards[name]))
        row |= {
            "worst_guard": worst,
            "worst_guard_delta": comparison.differences[worst].delta,
            "worst_guard_low": comparison.differences[worst].low,
            "guards_ok": not failing_guards(comparison, guards),
        }
    return row


def mean(readings: Sequence[Reading], category: str) -> float:
    return sum(reading.mean(category) for reading in readings) / len(readings)


def plain(value: Value) -> str | int | float:
    return show(value) if isinstance(value, tuple) else value


def event_text(decision: DecisionRow) -> str:
    """One line for people: what was moved, what was decided, with which figures."""
    row = decision.row
    name = decision.id.removeprefix(f"{decision.session}-")
    if decision.turn == 0:
        figure = f"target {row['target']:.2f} overall {row['overall']:.2f}" if "target" in row else row["description"]
        return f"{decision.status} {decision.reason} {figure}"
    moved = f"{row['knob']} {show(row['before'])} -> {show(row['after'])}"
    figures = row["description"]
    if row.get("delta") is not None:
        figures = f"{row['delta']:+.2f} [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"
    return f"{decision.status} {decision.reason} {name} {moved}: {figures}"
