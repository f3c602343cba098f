"""The row of results.tsv and the line of progress.log of a decision."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.ledger.tables import DecisionRow, ProposalRow
from agent.policy.confirmation import Look, Verdict, tightest_guard
from agent.policy.decision_basis import EndedConfirmation, OwnEffectEstimate
from agent.study.load import Study
from common.clock import now
from lanes import Value, show
from probes.result.comparison import OVERALL, Comparison, quantile
from probes.result.reading import Failure, ProbeKey, Reading


def value_of(stored: Any) -> Value:
    """A knob's value from the ledger's JSON, which stores a tuple as a list."""
    value: Value = tuple(stored) if isinstance(stored, list) else stored
    return value


def stored_value(text: str) -> Value:
    """A knob's value from the JSON text of the ledger."""
    return value_of(json.loads(text))


def baseline_row(
    study: Study, session: str, key: ProbeKey, verdict: Verdict, readings: Sequence[Reading], failure: Failure | None
) -> dict[str, Any]:
    """The row of the baseline at the start of a session."""
    row = _row(session, key, verdict) | {"description": "the recipe that the session starts from"}
    if failure is not None:
        return row | _costs(readings) | {"description": failure.message}
    means = {"target": mean(readings, study.target), "overall": mean(readings, OVERALL)}
    return row | {"seeds": _seeds(reading.seed for reading in readings)} | _costs(readings) | means


def member_row(
    study: Study,
    session: str,
    key: ProbeKey,
    conclusion: EndedConfirmation,
    proposal: ProposalRow,
    own: OwnEffectEstimate | None,
) -> dict[str, Any]:
    """The row of a member of a stack: its own effect, and the stack's figures. probe_seconds and error_spent are
    only in the row of the first member, so that they can be summed over rows."""
    row = _row(session, key, conclusion.verdict) | _mutation(proposal)
    if conclusion.readings:
        row |= _costs(conclusion.readings)
    first = proposal.id == conclusion.confirmed.members[0]
    if not first:
        row.pop("probe_seconds", None)
    row |= {"stack": conclusion.confirmed.number}
    if conclusion.failure is not None:
        return row | {"description": f"{proposal.hypothesis} ({conclusion.failure.message})"}
    comparison = conclusion.comparison
    if comparison is not None:
        row |= _comparison(comparison, study.target, conclusion.confirmed.looks[-1], study.guards)
        effect = comparison.differences[study.target]
        row |= {"stack_delta": effect.delta, "stack_ci_low": effect.low, "stack_ci_high": effect.high}
        if own is None:  # an A/A test changes nothing of its own
            row |= {"delta": effect.delta, "ci_low": effect.low, "ci_high": effect.high}
    if own is not None:
        row |= _own(own)
    if first and conclusion.confirmed.account.error and not conclusion.confirmed.is_aa_test:
        row["error_spent"] = conclusion.confirmed.account.error
    return row


def unconfirmed_row(
    study: Study,
    session: str,
    key: ProbeKey,
    proposal: ProposalRow,
    *,
    verdict: Verdict,
    own: OwnEffectEstimate | None,
    why: str = "",
) -> dict[str, Any]:
    """The row of a change that was measured in waves and not confirmed. ``why``: the failure of its recipes, if they
    have no reading."""
    row = _row(session, key, verdict) | _mutation(proposal)
    if why:
        return row | {"description": f"{proposal.hypothesis} ({why})"}
    if own is None:
        return row
    row |= _own(own)
    worst = tightest_guard({name: change for name, (change, _) in own.guards.items()}, study.guards)
    if worst is not None:
        mean, error = own.guards[worst]
        low = mean - quantile((1 - study.file.policy.confidence) / 2, math.inf) * error
        row |= {"worst_guard": worst, "worst_guard_delta": mean, "worst_guard_low": low}
    return row


def _own(own: OwnEffectEstimate) -> dict[str, Any]:
    return {
        "delta": own.delta,
        "ci_low": own.low,
        "ci_high": own.high,
        "shrunk": own.delta,
        "chance": own.chance,
    }


def retraction_row(
    study: Study, kept: DecisionRow, proposal: ProposalRow, verdict: Verdict, comparison: Comparison
) -> dict[str, Any]:
    """The row of a RETRACT; ``before`` and ``after`` are swapped."""
    mutation = _mutation(proposal)
    reversal = {"before": mutation["after"], "after": mutation["before"], "proposer": None}
    what = "leave-one-out on fresh seeds" if verdict.reason == "leave_one_out" else "on the holdout prompts"
    description = {"description": f"{kept.id} does not hold: {what}"}
    row = {key: kept.row.get(key) for key in ("session", "steps", "samples")}
    row |= {"time": now(), "status": verdict.status, "reason": verdict.reason}
    effect = comparison.differences[study.target]
    change = {"delta": effect.delta, "ci_low": effect.low, "ci_high": effect.high}
    return row | mutation | reversal | description | _figures(comparison, study.target) | change


def promotion_row(
    session: str,
    *,
    status: str,
    reason: str,
    description: str,
    comparison: Comparison | None,
    target: str,
    guards: Mapping[str, float],
    length: Mapping[str, Any],
) -> dict[str, Any]:
    """The row of a promotion: incumbent against starting recipe, at full length, on the holdout prompts."""
    said = {"status": status, "reason": reason, "description": description}
    row: dict[str, Any] = {"time": now(), "session": session, **said, **length}
    if comparison is None:
        return row
    effect = comparison.differences[target]
    bounds = {name: comparison.differences[name].low for name in guards if name in comparison.differences}
    row |= _figures(comparison, target) | {"delta": effect.delta, "ci_low": effect.low, "ci_high": effect.high}
    if worst := tightest_guard(bounds, guards):
        row |= {
            "worst_guard": worst,
            "worst_guard_delta": comparison.differences[worst].delta,
            "worst_guard_low": bounds[worst],
            "guards_ok": all(bound + guards[name] >= 0 for name, bound in bounds.items()),
        }
    return row | {"critical_failures": comparison.critical_candidate}


def _row(session: str, key: ProbeKey, verdict: Verdict) -> dict[str, Any]:
    return {
        "time": now(),
        "session": session,
        "status": verdict.status,
        "steps": key.steps,
        "samples": key.samples,
        "reason": verdict.reason,
    }


def _mutation(proposal: ProposalRow) -> dict[str, Any]:
    return {
        "lane": proposal.lane,
        "knob": proposal.knob,
        "before": plain(value_of(proposal.before)),
        "after": plain(value_of(proposal.after)),
        "proposer": proposal.proposer,
        "description": proposal.hypothesis,
    }


def _seeds(seeds: Iterable[int]) -> str:
    return " ".join(map(str, seeds))


def _costs(readings: Sequence[Reading]) -> dict[str, Any]:
    if not readings:
        return {}
    tokens, training = sum(reading.tokens for reading in readings), sum(reading.timing.train for reading in readings)
    return {
        "critical_failures": sum(reading.critical_failures for reading in readings),
        "probe_seconds": round(sum(reading.timing.total for reading in readings), 2),
        "tokens_per_second": round(tokens / training, 1) if training else None,
        "peak_gb": max(reading.peak_gb for reading in readings),
    }


def _figures(comparison: Comparison, target: str) -> dict[str, Any]:
    effect, overall = comparison.differences[target], comparison.differences[OVERALL]
    return {
        "seeds": _seeds(comparison.seeds),
        "target": effect.candidate,
        "baseline": effect.baseline,
        "overall": overall.candidate,
        "overall_delta": overall.delta,
    }


def _comparison(comparison: Comparison, target: str, look: Look, guards: Mapping[str, float]) -> dict[str, Any]:
    row = _figures(comparison, target)
    if worst := tightest_guard(look.guards, guards):
        row |= {
            "worst_guard": worst,
            "worst_guard_delta": comparison.differences[worst].delta,
            "worst_guard_low": look.guards[worst],
            "guards_ok": all(look.guards[name] + margin > 0 for name, margin in guards.items()),
        }
    return row


def mean(readings: Sequence[Reading], category: str) -> float:
    return sum(reading.mean(category) for reading in readings) / len(readings)


def plain(value: Value) -> str | int | float:
    return show(value) if isinstance(value, tuple) else value


def event_text(decision: DecisionRow) -> str:
    """One line of the progress log: the change, the decision and its figures."""
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
