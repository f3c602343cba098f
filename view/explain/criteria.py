"""What a decision was tested against: each figure beside its threshold, and sentences where no figure decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.ledger.tables import DecisionRow
from agent.policy.confirmation import GIVE_UP, Look
from agent.policy.decision_basis import OwnEffectEstimate
from agent.policy.settings import PolicySettings
from agent.policy.stack import GUARD_SLACK
from agent.proposers.dead_ends import SKIPPED, is_machine_fault
from common.wording import count
from view.data.changes import expected_guards
from view.data.decisions import crash_of
from view.data.search.alpha_spending import policy_of
from view.data.search.stacks import ConfirmedStack
from view.data.sections.checks import Holdout, LeaveOneOut
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True)
class Criterion:
    """A figure whose ``value`` has to be above ``threshold``; both are points on the score's scale, or chances."""

    figure: str
    value: float
    threshold: float
    unit: Literal["points", "chance"] = "points"

    @property
    def met(self) -> bool:
        return self.value > self.threshold or (self.unit == "chance" and self.value == self.threshold)


# of a change


def criteria_of_own(own: OwnEffectEstimate, policy: PolicySettings, margins: Mapping[str, float]) -> list[Criterion]:
    """The criteria for a change that was not confirmed."""
    guards = [
        Criterion(f"expected change of guard {guard.category}", guard.expected, -guard.margin)
        for guard in expected_guards(own.guards, margins)
    ]
    return [
        Criterion("high end of its own effect's interval", own.high, policy.smallest_effect),
        *guards,
        Criterion("chance of being worth more than nothing", own.chance, policy.member_chance, "chance"),
    ]


def notes_of(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """What decided a row without a threshold, in sentences."""
    found = []
    if decision.status == "CRASH":
        found.append(crash_note(decision.reason))
        if decision.turn:
            crash = crash_of(record, decision)
            seeds = ", ".join(map(str, crash.seeds))
            found.append(f"It said: {crash.message}" + (f" (seed {seeds})" if seeds else ""))
        if decision.basis and decision.basis.stack is None:
            found.append("No recipe that carried it has a reading, so a change beside it may be the cause.")
    elif decision.reason == SKIPPED:
        found.append("A person took it out of the search; its own effect, by the readings so far, decided nothing.")
    elif decision.reason in ("overtaken", "budget") and decision.basis and decision.basis.stack is None:
        found += _unsure_guards(record, decision) or [_not_confirmed(record, decision)]
    if taken_back := record.retractions.get(decision.id):
        found.append(f"It was kept, and taken back at the end of the session: see {_short(taken_back)}.")
    return found


def _unsure_guards(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """The guards that kept a change out of every stack."""
    own = decision.basis.own if decision.basis else None
    guards = expected_guards(own.guards, record.study.guards) if own else ()
    return [
        f"No stack took it: guard {guard.category} was expected to change by {guard.expected:+.2f}, give or take "
        f"{guard.deviation:.2f}, and must be expected to stay above -{guard.margin:g} by that deviation."
        for guard in guards
        if guard.expected - GUARD_SLACK * guard.deviation < -guard.margin
    ]


def _not_confirmed(record: SessionRecord, decision: DecisionRow) -> str:
    if decision.reason == "overtaken":
        return _overtaken(record, decision)
    return (
        "It was likely enough for a stack, but the session ended before one contained it: its probes, its time or the "
        "error that it may spend were used up. A later session may confirm it, and knows what was measured."
    )


def crash_note(reason: str) -> str:
    if is_machine_fault(reason):
        return "The machine failed, not the recipe, so there is no score. A later session may try it again."
    return (
        "The recipe itself failed, so there is no score. The search avoids recipes that share what may have caused it."
    )


def _overtaken(record: SessionRecord, decision: DecisionRow) -> str:
    """Names what was kept instead."""
    place = record.decisions.index(decision)
    kept = [row for row in record.decisions[:place] if row.status == "KEEP"]
    if not kept:
        return "Another stack was kept first."
    members = [row for row in kept if row.incumbent == kept[-1].incumbent]
    names = ", ".join(_short(row) for row in members)
    proposal = record.proposals[decision.id]
    same = [row for row in members if record.proposals[row.id].knob == proposal.knob]
    if same:
        return (
            f"It was likely enough for a stack; the stack that was kept ({names}) took another value of "
            f"{proposal.knob}, by {_short(same[0])}."
        )
    return f"It was likely enough for a stack; the stack that was kept ({names}) was worth more without it."


# of a stack


def criteria_of_stack(stack: ConfirmedStack, policy: PolicySettings, margins: Mapping[str, float]) -> list[Criterion]:
    """The criteria of its last look; empty before the first look, and if its recipe failed."""
    decision = stack.decision
    if not stack.looks or (decision is not None and decision.status == "CRASH"):
        return []
    look = stack.looks[-1]
    found = [Criterion("lower bound of the target", look.bound, policy.smallest_effect), *_guards(stack, look, margins)]
    gave_up = decision is not None and decision.reason not in ("improved", "false_alarm", "budget")
    if gave_up and look.pairs < stack.given.pairs:
        found.append(Criterion("chance to pass at the last look", look.chance, GIVE_UP, "chance"))
    return found


def _guards(stack: ConfirmedStack, look: Look, margins: Mapping[str, float]) -> list[Criterion]:
    found = []
    for name, margin in margins.items():
        found.append(Criterion(f"lower bound of guard {name}", look.guards[name], -margin))
        if name in stack.given.cumulative:
            found.append(Criterion(f"the same of all KEEPs and this, guard {name}", look.cumulative[name], -margin))
    return found


def notes_of_stack(stack: ConfirmedStack) -> list[str]:
    """What decided a stack without a threshold, in sentences."""
    decision, pairs = stack.decision, stack.looks[-1].pairs if stack.looks else 0
    if decision is None:
        return ["It is not decided yet, or its session ended first."]
    if decision.reason == "budget":
        measured = f"after {count(pairs, 'pair')}" if pairs else "before its first look"
        return [
            f"The budget ended {measured}; with a larger one, more pairs would have been measured. A later session may "
            "confirm its changes, and knows what was measured."
        ]
    if decision.reason == "calibration":
        return ["An A/A test: the candidate was the incumbent itself, which is never kept."]
    if decision.reason == "false_alarm":
        return ["An A/A test: the candidate was the incumbent itself. The rule would have kept it, by chance alone."]
    return []


# of a retraction


def criteria_of_retraction(
    decision: DecisionRow, left_out: LeaveOneOut | None, holdout: Holdout | None
) -> list[Criterion]:
    """The criteria of a RETRACT; empty if an older version took the KEEP back by another rule."""
    policy, (word, _, guard) = policy_of(decision), decision.reason.partition(":")
    if word == "leave_one_out":
        if left_out is None or left_out.chance is None:
            return []
        figure = f"chance of being worth more than {policy.smallest_effect:g}, with the re-test"
        return [Criterion(figure, left_out.chance, policy.member_chance, "chance")]
    if holdout is None or holdout.target is None:
        return []
    if word == "holdout":
        return [
            Criterion("high end of the target's interval on the holdout", holdout.target.high, policy.smallest_effect)
        ]
    return [
        Criterion(f"high end of guard {guard}'s interval on the holdout", one.change.high, -one.margin)
        for one in holdout.guards
        if one.category == guard
    ]


def _short(decision: DecisionRow) -> str:
    return decision.id.removeprefix(f"{decision.session}-")
