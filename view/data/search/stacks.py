"""The stacks of a session: what was confirmed together, as it was planned and as it ended."""

from dataclasses import dataclass

from agent.ledger.designs import RecordedStack
from agent.ledger.tables import DecisionRow, ProposalRow
from agent.policy.confirmation import ConfirmationInputs, Look
from agent.policy.decision_basis import ConfirmationRecord
from agent.policy.night_plan import NightPlan
from probes.result.comparison import Comparison
from view.data.session_record import SessionRecord


@dataclass(frozen=True, kw_only=True)
class ConfirmedStack:
    """``recipe``, ``incumbent``: digests of the two sides. ``plan``: why it was confirmed then; None for an A/A test.
    ``noisier``: the assumed variance of its readings, as a multiple of the incumbent's. ``decisions``: those on the
    members, in their order; empty while it is not decided on."""

    number: int
    time: str
    members: tuple[ProposalRow, ...]
    incumbent: str
    recipe: str
    is_aa_test: bool
    given: ConfirmationInputs
    plan: NightPlan | None
    noisier: float
    decisions: tuple[DecisionRow, ...]

    @property
    def decision(self) -> DecisionRow | None:
        """The decision on the first member: all members share status, reason, comparison and basis."""
        return self.decisions[0] if self.decisions else None

    @property
    def confirmed(self) -> ConfirmationRecord | None:
        basis = self.decision.basis if self.decision else None
        return basis.stack if basis else None

    @property
    def comparison(self) -> Comparison | None:
        return self.decision.comparison if self.decision else None

    @property
    def looks(self) -> tuple[Look, ...]:
        return self.confirmed.looks if self.confirmed else ()


def stacks(record: SessionRecord) -> tuple[ConfirmedStack, ...]:
    """All stacks whose confirmation began, A/A tests included, oldest first."""
    decided = {decision.id: decision for decision in record.decisions}
    return tuple(_stack(record, stack, decided) for stack in record.stacks)


def _stack(record: SessionRecord, stack: RecordedStack, decided: dict[str, DecisionRow]) -> ConfirmedStack:
    return ConfirmedStack(
        number=stack.number,
        time=stack.time,
        members=tuple(record.proposals[name] for name in stack.members),
        incumbent=stack.incumbent,
        recipe=stack.recipe.digest,
        is_aa_test=stack.is_aa_test,
        given=stack.given,
        plan=stack.plan,
        noisier=stack.noisier,
        decisions=tuple(decided[name] for name in stack.members if name in decided),
    )
