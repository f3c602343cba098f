"""nightlane explain: one decision as figures that a person can follow, and what would have changed it."""

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
from view.data.changes import Change, GuardChange, change_of, guards_of
from view.data.decision_states import Spending, earlier, spendings
from view.data.replicates import Replicate, replicates
from view.data.session_record import SessionRecord, load_record
from view.explain.counterfactuals import confirmation, screening
from view.explain.decision_inputs import Case, case_of, likely
from view.explain.retractions import by_interval, check_of, crashed, retraction


@dataclass(frozen=True, slots=True)
class Estimate:
    """The effect on the target that was decided on, over so many pairs, and what is expected of it after shrinking.
    ``expected``: mean and standard deviation of what the comparisons before let expect of the move."""

    effect: Change
    pairs: int
    shrunk: float | None
    expected: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """``stood``, ``stands``: the recipe before and after. ``looks``: as the ledger keeps them. ``check``: what a
    retraction rests on. ``otherwise``: what would have changed the decision."""

    id: str
    session: str
    turn: int
    status: str
    reason: str
    target: str
    disguised: bool
    lane: str
    knob: str | None
    before: Any
    after: Any
    proposer: str
    hypothesis: str
    stood: str
    stands: str
    looks: tuple[Mapping[str, Any], ...]
    replicates: tuple[Replicate, ...]
    estimate: Estimate | None
    guards: tuple[GuardChange, ...]
    spending: Spending | None
    check: Mapping[str, Any] | None
    floor: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    otherwise: tuple[str, ...]

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
        decision.id, session, decision.turn, decision.status, decision.reason, target,
        proposal is not None and proposal.lane == CALIBRATION,
        str(row.get("lane") or ""), row.get("knob"), row.get("before"), row.get("after"),
        str(row.get("proposer") or ""), str(row.get("description") or ""), _stood(record, decision, proposal),
        decision.incumbent, tuple(course["looks"]), replicates(record, decision),
        Estimate(effect, len(comparison["seeds"]), row.get("shrunk"), _expected(record, decision))
        if effect and comparison
        else None,
        guards_of(differences, margins, course["looks"][-1] if course["looks"] else None),
        next((one for one in spendings(record) if one.id == decision.id), None),
        check.data if check and decision.status == "RETRACT" else None,
        floor.data if floor and decision.turn == 0 else None,
        decision.policy, tuple(_otherwise(record, decision)),
    )  # fmt: skip


def explain_data(found: Explanation) -> dict[str, Any]:
    """As plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(found), allow_nan=False))
    return data


def _expected(record: SessionRecord, decision: DecisionRow) -> tuple[float, float] | None:
    case = case_of(record, decision) if decision.turn > 0 else None
    if case is None or case.known.move is None:
        return None
    mean, variance = case.known.expected
    return mean, variance**0.5


def _stood(record: SessionRecord, decision: DecisionRow, proposal: ProposalRow | None) -> str:
    if decision.turn > 0 and proposal is not None:
        return proposal.parent
    made = [row for row in record.decisions[: record.decisions.index(decision)] if row.status in ("KEEP", "RETRACT")]
    return made[-1].incumbent if made else record.session.start


def _otherwise(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """For every reason code there is."""
    if decision.turn == 0:
        return []
    if decision.status == "RETRACT":
        return retraction(record, decision)
    if decision.status == "CRASH":
        return crashed(decision)
    case = case_of(record, decision)
    if case is None:
        return by_interval(decision)
    if decision.reason == "overtaken":
        return _overtaken(record, decision)
    if decision.reason == "budget":
        return _cut_short(case)
    found = screening(case) if case.look["stage"] == "screening" else confirmation(case)
    if decision.reason == "calibration":
        return ["Nothing: it was the incumbent itself, which is never kept. As a candidate:", *found]
    if decision.reason == "false_alarm":
        return ["Nothing: it was the incumbent itself, and the rule would have kept it, by chance alone.", *found]
    return found


def _overtaken(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """Which candidate came first, and what became of this one."""
    mine = record.proposals[decision.id]
    first = [row for row in earlier(record, decision) if row.status == "KEEP"][-1]
    ours, theirs = (row.course["looks"] for row in (decision, first) if row.course)
    hope = [look["chance"] for look in theirs if look["stage"] != "confirmation"][-1]
    found = [
        f"It would have gone to its confirmation had {first.id[-3:]} not been kept first: that one's chance was "
        f"{likely(hope)}, this one's {likely(ours[-1]['chance'])}, and a round keeps one"
    ]
    again = [row for row in record.proposals.values() if row.proposer == f"retest of {mine.id[-3:]}"]
    decided = {row.id: row for row in record.decisions}
    for row in again:
        ended = f"{decided[row.id].status} {decided[row.id].reason}" if row.id in decided else "not decided yet"
        found.append(f"It was proposed again from what stood then, as {row.id[-3:]}: {ended}")
    return found if again else [*found, "It was not proposed again in this session"]


def _cut_short(case: Case) -> list[str]:
    """How far it had come, and what happens to it."""
    most = case.terms.pairs if case.look["stage"] == "confirmation" else case.terms.policy.screening_seeds
    return [
        f"A larger budget: it ended after {case.pairs} of at most {most} pairs of its {case.look['stage']}, when the "
        f"chance that it would be kept in the end was {likely(case.chance)}",
        "A later session may try it again, and knows what was measured of it",
    ]


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
        "report "
        "names all"
    )


def _nearest(short: str, known: Sequence[str]) -> list[str]:
    """By number where one is asked for, else by letters."""
    if short.isdecimal():
        numbers = [name for name in known if name.isdecimal()]
        return sorted(numbers, key=lambda name: abs(int(name) - int(short)))[:3]
    return difflib.get_close_matches(short, known, n=3, cutoff=0.4)
