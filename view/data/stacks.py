"""The stacks of a session: what was confirmed together, as it was planned and as it ended."""

from dataclasses import dataclass

from agent.ledger.tables import CheckRow, DecisionRow, ProposalRow
from agent.policy.confirmation import Given, Look
from agent.policy.decision_basis import Confirmed, given_from
from agent.policy.night_plan import Plan
from probes.result.comparison import Comparison
from view.data.session_record import SessionRecord


@dataclass(frozen=True, kw_only=True)
class Stack:
    """``recipe``, ``incumbent``: digests of the two sides. ``plan``: why it was confirmed then; None of an A/A test.
    ``noisier``: how many times the incumbent's variance its readings were taken to have. ``decisions``: of the members,
    in their order; empty while it is not decided on."""

    number: int
    time: str
    members: tuple[ProposalRow, ...]
    incumbent: str
    recipe: str
    is_aa_test: bool
    given: Given
    plan: Plan | None
    noisier: float
    decisions: tuple[DecisionRow, ...]

    @property
    def decision(self) -> DecisionRow | None:
        """That of the first member: the members of a stack share status, reason, comparison and basis."""
        return self.decisions[0] if self.decisions else None

    @property
    def confirmed(self) -> Confirmed | None:
        basis = self.decision.basis if self.decision else None
        return basis.stack if basis else None

    @property
    def comparison(self) -> Comparison | None:
        return self.decision.comparison if self.decision else None

    @property
    def looks(self) -> tuple[Look, ...]:
        return self.confirmed.looks if self.confirmed else ()


def stacks(record: SessionRecord) -> tuple[Stack, ...]:
    """All that were begun, oldest first; A/A tests are among them."""
    decided = {decision.id: decision for decision in record.decisions}
    return tuple(_stack(record, check, decided) for check in record.stacks)


def _stack(record: SessionRecord, check: CheckRow, decided: dict[str, DecisionRow]) -> Stack:
    data = check.data
    recipe = data["recipes"][0]["recipe"]
    return Stack(
        number=int(check.subject),
        time=check.time,
        members=tuple(record.proposals[name] for name in data["members"]),
        incumbent=data["incumbent"],
        recipe=recipe,
        is_aa_test=recipe == data["incumbent"],
        given=given_from(data["given"]),
        plan=Plan(**data["plan"]) if "plan" in data else None,
        noisier=data.get("noisier", 1.0),
        decisions=tuple(decided[name] for name in data["members"] if name in decided),
    )
