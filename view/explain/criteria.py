"""What a decision was tested against: each figure beside its threshold, and sentences where no figure decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.ledger.tables import CheckRow, DecisionRow
from agent.policy.decision_rule import GIVE_UP
from agent.proposers.dead_ends import is_machine_fault
from view.data.alpha_spending import decisions_before, policy_of
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True)
class Criterion:
    """``value`` has to be above ``threshold``; both are points on the score's scale, or chances."""

    figure: str
    value: float
    threshold: float
    unit: Literal["points", "chance"] = "points"

    @property
    def met(self) -> bool:
        return self.value > self.threshold or (self.unit == "chance" and self.value == self.threshold)


def criteria_of(record: SessionRecord, decision: DecisionRow) -> list[Criterion]:
    """Empty for a baseline, a crash, and a candidate that was never measured."""
    if decision.turn == 0 or decision.status == "CRASH":
        return []
    if decision.status == "RETRACT":
        return _of_retraction(record, decision)
    looks = (decision.course or {}).get("looks", ())
    if not looks:
        return _of_interval(decision)
    return _of_look(decision, looks[-1])


def _of_look(decision: DecisionRow, look: Mapping[str, Any]) -> list[Criterion]:
    policy, margins = policy_of(decision), decision.policy["guards"]
    chance = Criterion("chance to be kept in the end", look["chance"], policy.hopeless, "chance")
    if look["stage"] != "confirmation":
        return [chance]
    found = [Criterion("lower bound of the target", look["bound"], policy.smallest_effect)]
    for name, margin in margins.items():
        found += [
            Criterion(f"lower bound of guard {name}", look["guards"][name], -margin),
            Criterion(f"the same of all KEEPs and this, guard {name}", look["cumulative"][name], -margin),
        ]
    if decision.status == "KEEP" or all(one.met for one in found):
        return found
    least = policy.hopeless * GIVE_UP
    return [*found, Criterion("chance to be kept, to be measured on", look["chance"], least, "chance")]


def _of_interval(decision: DecisionRow) -> list[Criterion]:
    """Of an older session, whose decisions rested on one interval each."""
    row, margins = decision.row, decision.policy.get("guards", {})
    if row.get("ci_low") is None:
        return []
    small, name = decision.policy.get("smallest_effect", 0.0), row.get("worst_guard")
    found = [Criterion("low end of the target's interval", row["ci_low"], small)]
    if name in margins and decision.comparison:
        low = decision.comparison["differences"][name]["low"]
        found.append(Criterion(f"low end of guard {name}'s interval", low, -margins[name]))
    return found


def check_of(record: SessionRecord, decision: DecisionRow) -> CheckRow | None:
    """What a retraction rests on."""
    subject = decision.proposal if decision.reason == "leave_one_out" else ""
    kind = "leave_one_out" if subject else "holdout"
    return next((check for check in record.checks if (check.kind, check.subject) == (kind, subject)), None)


def _of_retraction(record: SessionRecord, decision: DecisionRow) -> list[Criterion]:
    check, small = check_of(record, decision), policy_of(decision).smallest_effect
    if check is None or "comparison" not in check.data:
        return []
    word, _, guard = decision.reason.partition(":")
    if word == "leave_one_out":
        return [Criterion("lower bound of the confirmation and the re-test together", check.data["bound"], small)]
    differences = check.data["comparison"]["differences"]
    if word == "holdout_guard":
        margin = decision.policy["guards"][guard]
        return [Criterion(f"high end of guard {guard}'s interval on the holdout", differences[guard]["high"], -margin)]
    high = differences[decision.policy["target"]]["high"]
    return [Criterion("high end of the target's interval on the holdout", high, small)]


def notes_of(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """Reasons without a threshold, in sentences."""
    if decision.status == "CRASH":
        return [crash_note(decision.reason)]
    if decision.reason == "calibration":
        return ["An A/A test: the candidate was the incumbent itself, which is never kept."]
    if decision.reason == "false_alarm":
        return ["An A/A test: the candidate was the incumbent itself. The rule would have kept it, by chance alone."]
    if decision.reason == "overtaken":
        return _overtaken(record, decision)
    looks = (decision.course or {}).get("looks", ())
    if decision.reason == "budget" and looks:
        return [
            f"The budget ended after {looks[-1]['pairs']} pairs of its {looks[-1]['stage']}; with a larger budget it "
            "would have been measured on. A later session may try it again, and knows what was measured of it."
        ]
    return []


def crash_note(reason: str) -> str:
    if is_machine_fault(reason):
        return "The machine failed, not the recipe, so nothing was measured. A later session may try it again."
    return "The recipe itself failed, so nothing was measured. It is not tried again."


def _overtaken(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """Which candidate was kept first, and whether this one was proposed again."""
    first = [row for row in decisions_before(record, decision) if row.status == "KEEP"][-1]
    found = [f"{first.id[-3:]} of the same round had the better chance and was kept first; a round keeps one."]
    decided = {row.id: row for row in record.decisions}
    again = [row for row in record.proposals.values() if row.proposer == f"retest of {decision.id[-3:]}"]
    for row in again:
        ended = f"{decided[row.id].status} {decided[row.id].reason}" if row.id in decided else "not decided yet"
        found.append(f"It was proposed again from the recipe that was kept, as {row.id[-3:]}: {ended}.")
    return found if again else [*found, "It was not proposed again in this session."]
