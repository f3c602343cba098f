"""Alpha spending: what each confirmation spent of the night's error, and the thresholds of decisions."""

from dataclasses import dataclass

from agent.ledger.tables import DecisionRow
from agent.policy.confirmation import ErrorSpending, error_budget
from agent.policy.settings import PolicySettings
from view.data.search.stacks import ConfirmedStack, stacks
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What the confirmation of a stack spent of the remaining error. A KEEP starts a new budget. ``level``: the error
    level at which it was decided; an A/A test does not spend it. ``turn``: that of its first member."""

    stack: int
    turn: int
    changes: int
    status: str
    reason: str
    is_aa_test: bool
    before: float
    level: float
    spent: float
    after: float


def policy_of(decision: DecisionRow) -> PolicySettings:
    """The thresholds of a decision; those that an older version lacks have their defaults."""
    return PolicySettings(
        **{name: value for name, value in decision.policy.items() if name in PolicySettings.model_fields}
    )


def spendings(record: SessionRecord) -> tuple[Spending, ...]:
    """A row for every confirmation that was decided on, in order."""
    found, accounts = list[Spending](), list[ErrorSpending]()
    for stack in stacks(record):
        if stack.confirmed is not None and stack.decision is not None:
            if not stack.is_aa_test:
                accounts.append(stack.confirmed.account)
            left = error_budget(accounts, policy_of(stack.decision)).error_left
            found.append(_spending(stack, stack.decision, found[-1].after if found else None, left))
    return tuple(found)


def _spending(stack: ConfirmedStack, decision: DecisionRow, before: float | None, after: float) -> Spending:
    return Spending(
        stack=stack.number,
        turn=decision.turn,
        changes=len(stack.members),
        status=decision.status,
        reason=decision.reason,
        is_aa_test=stack.is_aa_test,
        before=policy_of(decision).night_error if before is None else before,
        level=stack.given.error,
        spent=0.0 if stack.is_aa_test else stack.given.error,
        after=after,
    )
