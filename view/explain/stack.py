"""The explanation of a stack: how it was planned, what was measured, and what decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.policy.confirmation import ConfirmationInputs, Look
from agent.policy.night_plan import NightPlan
from agent.policy.settings import PolicySettings
from view.data.changes import (
    Change,
    ExpectedGuard,
    GuardChange,
    OwnEffect,
    change_of,
    expected_guards,
    guards_of,
    own_effect_of,
)
from view.data.search.alpha_spending import Spending, spendings
from view.data.search.replicates import Replicate, replicates
from view.data.search.stacks import ConfirmedStack
from view.data.session_record import SessionRecord
from view.explain.criteria import Criterion, criteria_of_stack, notes_of, notes_of_stack


@dataclass(frozen=True, slots=True)
class Member:
    """A change of a stack; ``own``: its effect by all readings when the stack was decided on, None before."""

    id: str
    knob: str
    before: Any
    after: Any
    own: OwnEffect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackExplanation:
    """``status``, ``reason``: None while it is not decided on. ``stood``: the incumbent that it was compared with;
    ``recipe``: its own. ``plan``: None for an A/A test. ``given``: the inputs of the rule; ``expected_guards``: the
    guards among them, with their margins. ``effect``: on the target, over ``pairs`` pairs. ``criteria``: the figures
    that were tested, with their thresholds; ``notes``: what else decided, in sentences."""

    session: str
    number: int
    status: str | None
    reason: str | None
    target: str
    is_aa_test: bool
    members: tuple[Member, ...]
    stood: str
    recipe: str
    plan: NightPlan | None
    noisier: float
    given: ConfirmationInputs
    expected_guards: tuple[ExpectedGuard, ...]
    looks: tuple[Look, ...]
    replicates: tuple[Replicate, ...]
    effect: Change | None
    pairs: int
    guards: tuple[GuardChange, ...]
    spending: Spending | None
    policy: Mapping[str, Any]
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...]


def explain_stack(record: SessionRecord, stack: ConfirmedStack) -> StackExplanation:
    decision, margins, target = stack.decision, record.study.guards, record.study.target
    policy = decision.policy if decision else {**record.study.file.policy.model_dump(), "guards": dict(margins)}
    thresholds = PolicySettings(
        **{name: value for name, value in policy.items() if name in PolicySettings.model_fields}
    )
    differences = stack.comparison.differences if stack.comparison else {}
    of_crash = notes_of(record, decision) if decision and decision.status == "CRASH" else []
    return StackExplanation(
        session=record.session.id,
        number=stack.number,
        status=decision.status if decision else None,
        reason=decision.reason if decision else None,
        target=target,
        is_aa_test=stack.is_aa_test,
        members=_members(stack, margins),
        stood=stack.incumbent,
        recipe=stack.recipe,
        plan=stack.plan,
        noisier=stack.noisier,
        given=stack.given,
        expected_guards=expected_guards(stack.given.guards, margins),
        looks=stack.looks,
        replicates=replicates(record, stack),
        effect=change_of(differences.get(target)),
        pairs=len(stack.comparison.seeds) if stack.comparison else 0,
        guards=guards_of(differences, margins, stack.looks[-1] if stack.looks else None),
        spending=next((one for one in spendings(record) if one.stack == stack.number), None),
        policy=policy,
        criteria=tuple(criteria_of_stack(stack, thresholds, margins)),
        notes=(*of_crash, *notes_of_stack(stack)),
    )


def _members(stack: ConfirmedStack, margins: Mapping[str, float]) -> tuple[Member, ...]:
    own = {row.id: row.basis.own for row in stack.decisions if row.basis}
    return tuple(
        Member(row.id, row.knob, row.before, row.after, own_effect_of(own.get(row.id), margins))
        for row in stack.members
    )
