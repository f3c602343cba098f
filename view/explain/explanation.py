"""nightlane explain: the figures of one decision and the thresholds that decided it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.ledger.results.promotions import PROMOTION
from agent.ledger.tables import DecisionRow
from agent.proposers.context import CALIBRATION
from agent.workspace.folder import Workspace
from common.errors import BadInput
from view.data.changes import OwnEffect, own_effect_of
from view.data.search.alpha_spending import policy_of
from view.data.search.stacks import stacks
from view.data.sections.checks import Holdout, LeaveOneOut, NoiseFloorFigures, floor, holdout, left_out
from view.data.session_record import SessionRecord, load_record
from view.explain.criteria import Criterion, criteria_of_own, criteria_of_retraction, notes_of
from view.explain.names import STACK_NAME, resolve
from view.explain.stack import StackExplanation, explain_stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``stood``, ``stands``: the incumbent before and after. ``predicted``: by the proposer. ``own``: its own effect;
    None for a baseline, an A/A test, a CRASH, a RETRACT. ``waves``: numbers of the waves that carried it. ``stack``:
    the stack that it was confirmed in. ``left_out``, ``holdout``: what a RETRACT rests on; for a KEEP, its re-test.
    ``criteria``: the figures that were tested, with their thresholds; those of its stack if it had one. ``notes``: what
    else decided, in sentences. ``results``: the row of results.tsv of a decision by an older version, which is all that
    is known of it."""

    id: str
    session: str
    turn: int
    status: str
    reason: str
    target: str
    is_aa_test: bool
    lane: str
    knob: str | None
    before: Any
    after: Any
    proposer: str
    hypothesis: str
    predicted: float | None
    stood: str
    stands: str
    own: OwnEffect | None
    waves: tuple[int, ...]
    stack: StackExplanation | None
    left_out: LeaveOneOut | None
    holdout: Holdout | None
    floor: NoiseFloorFigures | None
    results: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.id.removeprefix(f"{self.session}-")


def explain(workspace: Workspace, asked: str) -> Explanation | StackExplanation:
    """Explain the decision or stack of that name, or of that short name in the latest session. BadInput with the
    nearest names for an unknown one."""
    session, name = resolve(workspace.ledger, asked)
    record = load_record(workspace, session)
    if name.startswith(STACK_NAME):
        stack = next(one for one in stacks(record) if f"{STACK_NAME}{one.number}" == name)
        return explain_stack(record, stack)
    decision = next(row for row in record.decisions if row.id == name)
    if PROMOTION in name:
        raise BadInput(
            f"explain is for the decisions of a session, and {name} compared full-length runs; read "
            f"{workspace.runs / f'promotion-{name.partition(PROMOTION)[2]}' / 'report.md'}"
        )
    return explain_decision(record, decision)


def explain_decision(record: SessionRecord, decision: DecisionRow) -> Explanation:
    proposal, row, basis = record.proposals.get(decision.id), decision.row, decision.basis
    own, target = basis.own if basis else None, decision.policy["target"]
    confirmed = basis.stack if basis else None
    stack = next((one for one in stacks(record) if confirmed and one.number == confirmed.number), None)
    explained = explain_stack(record, stack) if stack else None
    again, held, retracted = _left_out(record, decision), holdout(record), decision.status == "RETRACT"
    criteria, notes = list[Criterion](), notes_of(record, decision)
    if explained is not None:
        criteria, notes = list(explained.criteria), list(dict.fromkeys([*explained.notes, *notes]))
    elif own is not None:
        criteria = criteria_of_own(own, policy_of(decision), decision.policy["guards"])
    elif retracted:
        criteria = criteria_of_retraction(decision, again, held)
        notes += [] if criteria else ["An older version of nightlane took it back, by another rule."]
    return Explanation(
        id=decision.id,
        session=decision.session,
        turn=decision.turn,
        status=decision.status,
        reason=decision.reason,
        target=target,
        is_aa_test=proposal is not None and proposal.lane == CALIBRATION,
        lane=str(row.get("lane") or ""),
        knob=row.get("knob"),
        before=row.get("before"),
        after=row.get("after"),
        proposer=str(row.get("proposer") or ""),
        hypothesis=proposal.hypothesis if proposal else str(row.get("description") or ""),
        predicted=proposal.predicted if proposal else None,
        stood=_incumbent_before(record, decision),
        stands=decision.incumbent,
        own=own_effect_of(own, decision.policy["guards"]),
        waves=_waves(record, decision.id),
        stack=explained,
        left_out=again,
        holdout=held if retracted and decision.reason.startswith("holdout") else None,
        floor=floor(record) if decision.turn == 0 else None,
        results=_results(decision),
        policy=decision.policy,
        criteria=tuple(criteria),
        notes=tuple(notes),
    )


def explain_data(found: Explanation | StackExplanation) -> dict[str, Any]:
    """The explanation as plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(found), allow_nan=False))
    return data


def _left_out(record: SessionRecord, decision: DecisionRow) -> LeaveOneOut | None:
    """The leave-one-out re-test of a KEEP, also of one that it retracted."""
    if decision.status != "KEEP" and decision.reason != "leave_one_out":
        return None
    return next((one for one in left_out(record) if one.kept == decision.proposal), None)


def _waves(record: SessionRecord, proposal: str) -> tuple[int, ...]:
    return tuple(wave.number for wave in record.waves if proposal in wave.proposals)


def _results(decision: DecisionRow) -> Mapping[str, Any] | None:
    """The row of results.tsv; None for a decision of this version, and for rows that never have a basis."""
    if decision.basis is not None or decision.turn <= 0:
        return None
    return {name: value for name, value in decision.row.items() if value is not None}


def _incumbent_before(record: SessionRecord, decision: DecisionRow) -> str:
    proposal = record.proposals.get(decision.id)
    if decision.turn > 0 and proposal is not None:
        return proposal.parent
    made = [row for row in record.decisions[: record.decisions.index(decision)] if row.status in ("KEEP", "RETRACT")]
    return made[-1].incumbent if made else record.session.start
