"""A decision with all that its rule was given, so that the rule can be asked again; and chances in words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.ledger.tables import DecisionRow
from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import FIRST_LOOK, Terms, error_of
from agent.policy.predictive_power import chance
from agent.policy.session_statistics import Account, Knowledge
from probes.result.comparison import Comparison, Difference
from view.data.decision_states import account_of, earlier, knowledge, terms_of
from view.data.session_record import SessionRecord

CLOSE = 1e-9


@dataclass(frozen=True)
class Case:
    """A decision with all that its rule was given. ``known``: when its last stage began; ``look``: the last; ``later``:
    whether a KEEP came before."""

    decision: DecisionRow
    terms: Terms
    account: Account
    known: Knowledge
    look: Mapping[str, object]
    later: bool

    @property
    def pairs(self) -> int:
        return int(str(self.look["pairs"]))

    @property
    def error(self) -> float:
        """The error that the budget began with which this decision drew on."""
        return self.terms.policy.later_error if self.later else self.terms.policy.night_error

    @property
    def chance(self) -> float:
        return float(str(self.look["chance"]))


def case_of(record: SessionRecord, decision: DecisionRow) -> Case | None:
    """None for a decision without a look: a crash, or one of an older ledger."""
    account = account_of(decision)
    if account is None or decision.course is None or not decision.course["looks"]:
        return None
    terms, look, before = terms_of(record, decision), decision.course["looks"][-1], earlier(record, decision)
    later = any(row.status == "KEEP" for row in before)
    case = Case(decision, terms, account, knowledge(record, before, decision).about(account.move), look, later)
    if look["stage"] != "screening":
        return case
    for end in range(len(before), -1, -1):  # screening knew nothing of what its own round came to
        later = any(row.status == "KEEP" for row in before[:end])
        then = replace(case, known=knowledge(record, before[:end], decision).about(account.move), later=later)
        if abs(hope(then) - case.chance) < CLOSE:
            return then
    return case


def moved(difference: Difference, delta: float) -> Difference:
    """At the same noise."""
    by = delta - difference.delta
    return replace(difference, delta=delta, low=difference.low + by, high=difference.high + by)


def hope(case: Case, name: str = "", delta: float = 0.0, error: float | None = None, margin: float = 0.0) -> float:
    """The chance to be kept at the last look of screening, with one category's difference, the error that the
    confirmation may spend, or one guard's margin changed."""
    terms, found = case.terms, dict(case.account.screening)
    guards = dict(terms.guards) | ({name: margin} if margin else {})
    if name and not margin:
        found[name] = moved(found[name], delta)
    seen = Comparison(found, tuple(range(case.account.seeds)), terms.policy.confidence, 0, 0)
    spent = error_of(case.known, terms.policy) if error is None else error
    last = level_at(case, spent, terms.pairs), level_at(case, terms.policy.guard_error, terms.pairs)
    return chance(seen, terms.pairs, terms.target, guards, terms.policy.smallest_effect, last, case.known)


def level_at(case: Case, error: float, pairs: int, most: int = 0) -> float:
    """The one-sided level of the look after so many pairs."""
    return levels(round(error, 12), most or case.terms.pairs, FIRST_LOOK)[pairs - FIRST_LOOK]


def percent(value: float) -> str:
    """A chance or a level: with a digit behind the point where that says something."""
    return f"{value * 100:.3g} %" if 0 < value < 0.1 else f"{value:.0%}".replace("%", " %")


def likely(chance: float) -> str:
    """A chance, without digits that nobody needs."""
    return "under 0.1 %" if chance < 0.001 else percent(chance)
