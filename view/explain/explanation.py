"""nightlane explain: one decision as figures that a person can follow, and the thresholds that decided."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.ledger.file import no_session_error
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow
from agent.proposers.context import CALIBRATION
from agent.workspace.folder import Workspace
from common.errors import BadInput
from view.data.alpha_spending import Spending, spendings
from view.data.changes import Change, GuardChange, change_of, guards_of
from view.data.replicates import Replicate, replicates
from view.data.session_record import SessionRecord, load_record
from view.explain.criteria import Criterion, check_of, criteria_of, notes_of


@dataclass(frozen=True, slots=True)
class Estimate:
    """The effect on the target that was decided on, over so many pairs, and what is expected of it after shrinking."""

    effect: Change
    pairs: int
    shrunk: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``stood``, ``stands``: the incumbent before and after. ``looks``: as in the ledger. ``given``: the inputs of the
    rule, by stage; None in an older ledger. ``check``: what a retraction rests on. ``criteria``: the figures that were
    tested and their thresholds; ``notes``: what else decided, in sentences."""

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
    stood: str
    stands: str
    looks: tuple[Mapping[str, Any], ...]
    given: Mapping[str, Mapping[str, Any]] | None
    replicates: tuple[Replicate, ...]
    estimate: Estimate | None
    guards: tuple[GuardChange, ...]
    spending: Spending | None
    check: Mapping[str, Any] | None
    floor: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.id.removeprefix(f"{self.session}-")


def explain(workspace: Workspace, asked: str) -> Explanation:
    """The decision of that id, or of that short name in the latest session; BadInput with the nearest ids."""
    session, decision_id = _resolve(workspace, asked)
    record = load_record(workspace, session)
    decision = next(row for row in record.decisions if row.id == decision_id)
    proposal, row = record.proposals.get(decision.proposal), decision.row
    course, comparison = decision.course or {"looks": []}, decision.comparison
    target, margins = decision.policy["target"], decision.policy["guards"]
    differences = comparison["differences"] if comparison else {}
    effect, check, floor = change_of(differences.get(target)), check_of(record, decision), record.check("floor")
    return Explanation(
        id=decision.id,
        session=session,
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
        hypothesis=str(row.get("description") or ""),
        stood=_incumbent_before(record, decision, proposal),
        stands=decision.incumbent,
        looks=tuple(course["looks"]),
        given=course.get("given"),
        replicates=replicates(record, decision),
        estimate=Estimate(effect, len(comparison["seeds"]), row.get("shrunk")) if effect and comparison else None,
        guards=guards_of(differences, margins, course["looks"][-1] if course["looks"] else None),
        spending=next((one for one in spendings(record) if one.id == decision.id), None),
        check=check.data if check and decision.status == "RETRACT" else None,
        floor=floor.data if floor and decision.turn == 0 else None,
        policy=decision.policy,
        criteria=tuple(criteria_of(record, decision)),
        notes=tuple(notes_of(record, decision)),
    )


def explain_data(found: Explanation) -> dict[str, Any]:
    """As plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(found), allow_nan=False))
    return data


def _incumbent_before(record: SessionRecord, decision: DecisionRow, proposal: ProposalRow | None) -> str:
    if decision.turn > 0 and proposal is not None:
        return proposal.parent
    made = [row for row in record.decisions[: record.decisions.index(decision)] if row.status in ("KEEP", "RETRACT")]
    return made[-1].incumbent if made else record.session.start


def _resolve(workspace: Workspace, asked: str) -> tuple[str, str]:
    """(session, decision id)."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        latest = ledger.session()
        if latest is None:
            raise no_session_error(workspace.ledger)
        short = asked.zfill(3) if asked.isdecimal() else asked
        for name in (asked, f"{latest.id}-{short}"):
            if decision := ledger.decision(name):
                return decision.session, name
            if ledger.proposals("WHERE id = ?", (name,)):
                raise BadInput(f"{name} was proposed and is not decided yet; see nightlane status")
        full = {row.id: row.session for row in ledger.decisions()}
    own = [name.removeprefix(f"{latest.id}-") for name, session in full.items() if session == latest.id]
    near = _nearest(short, own) or difflib.get_close_matches(asked, [*full], n=3) or own[-3:]
    raise BadInput(
        f"there is no decision {asked!r} in {workspace.ledger}; the nearest are {', '.join(near)}, and nightlane "
        "report names all"
    )


def _nearest(short: str, known: Sequence[str]) -> list[str]:
    """By number where one is asked for, else by letters."""
    if short.isdecimal():
        numbers = [name for name in known if name.isdecimal()]
        return sorted(numbers, key=lambda name: abs(int(name) - int(short)))[:3]
    return difflib.get_close_matches(short, known, n=3, cutoff=0.4)
