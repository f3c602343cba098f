"""Alpha spending: what each confirmation spent of the night's error, and the thresholds of decisions."""

from dataclasses import dataclass

from agent.ledger.tables import DecisionRow
from agent.policy.session_statistics import Account, Lessons, account_from
from agent.policy.settings import Policy
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one confirmation spent of the error that was left. A KEEP starts a new budget; an A/A
    test spends nothing, though it is decided on at the same level."""

    id: str
    turn: int
    status: str
    reason: str
    before: float
    spent: float
    after: float


def policy_of(decision: DecisionRow) -> Policy:
    """The thresholds of a decision; those that an older version lacks have their defaults."""
    return Policy(**{name: value for name, value in decision.policy.items() if name in Policy.model_fields})


def account_of(decision: DecisionRow) -> Account | None:
    return account_from(decision.course["account"]) if decision.course else None


def decisions_before(record: SessionRecord, decision: DecisionRow) -> list[DecisionRow]:
    """The session's earlier decisions on candidates, in order."""
    made = [row for row in record.decisions if row.turn > 0]
    return made[: made.index(decision)]


def spendings(record: SessionRecord) -> tuple[Spending, ...]:
    """Of every confirmation, in order."""
    found, lessons = [], None
    for row in (row for row in record.decisions if row.turn > 0):
        account = account_of(row)
        if lessons is None:
            lessons = Lessons({}, row.policy["target"], policy_of(row))
        if account is None:
            continue
        before = lessons.error_left
        lessons.take(account)
        if account.error:
            found.append(
                Spending(
                    id=row.id,
                    turn=row.turn,
                    status=row.status,
                    reason=row.reason,
                    before=before,
                    spent=account.error,
                    after=lessons.error_left,
                )
            )
    return tuple(found)
