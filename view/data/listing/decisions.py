"""The decisions of a session as a table that can be sorted, filtered and paged. Pure, except ``decision_lines``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from agent.ledger.overview import DecisionSummary, LedgerOverview
from agent.ledger.results.promotions import PROMOTION
from agent.ledger.tables import RETRACTION
from agent.proposers.context import CALIBRATION
from common.errors import BadInput
from view.data.changes import Change

ROWS = 50
"""Rows on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """``number``: its id without the session. ``effect``: its own effect; for an A/A test that of its pairs, for a
    RETRACT that of the re-test. ``worst_guard``: the guard nearest to its margin, with the low end of its change;
    ``guards_ok``: None if no stack was compared. ``stack``: the stack that it was confirmed in. ``retracted``: why a
    KEEP does not hold."""

    number: str
    turn: int
    time: str
    status: str
    reason: str
    lane: str
    knob: str
    before: Any
    after: Any
    effect: Change | None
    chance: float | None
    worst_guard: str
    worst_guard_delta: float | None
    worst_guard_low: float | None
    guards_ok: bool | None
    stack: int | None
    proposer: str
    hypothesis: str
    retracted: str | None

    @property
    def is_aa_test(self) -> bool:
        return self.lane == CALIBRATION

    @property
    def why(self) -> str:
        """The reason code without the name after its colon."""
        return self.reason.partition(":")[0]

    @property
    def changes_something(self) -> bool:
        return bool(self.knob) and not self.is_aa_test


def decision_lines(ledger: LedgerOverview, session: str, last: int = -1) -> list[DecisionLine]:
    """The decisions, oldest first, with the baseline and without promotions, which compare full-length runs. ``last``:
    how many of the latest are given; -1 for all."""
    rows = [row for row in ledger.decision_summaries(session, last) if PROMOTION not in row.id]
    retracted = {row.id.removesuffix(RETRACTION): row.reason for row in rows if row.status == "RETRACT"}
    return [_line(session, row, retracted.get(row.id)) for row in rows]


def _line(session: str, summary: DecisionSummary, retracted: str | None) -> DecisionLine:
    row = summary.row
    figures = [row.get(name) for name in ("delta", "ci_low", "ci_high")]
    return DecisionLine(
        number=summary.id.removeprefix(f"{session}-"),
        turn=abs(summary.turn),
        time=summary.time,
        status=summary.status,
        reason=summary.reason,
        lane=row.get("lane") or "",
        knob=row.get("knob") or "",
        before=row.get("before"),
        after=row.get("after"),
        effect=None if None in figures else Change(*figures),  # type: ignore[arg-type]
        chance=row.get("chance"),
        worst_guard=row.get("worst_guard") or "",
        worst_guard_delta=row.get("worst_guard_delta"),
        worst_guard_low=row.get("worst_guard_low"),
        guards_ok=row.get("guards_ok"),
        stack=row.get("stack"),
        proposer=row.get("proposer") or "",
        hypothesis=row.get("description") or "",
        retracted=retracted,
    )


SORTS: Mapping[str, Callable[[DecisionLine], Any]] = {
    "turn": lambda one: one.turn,
    "status": lambda one: one.status,
    "lane": lambda one: one.lane or None,
    "knob": lambda one: one.knob or None,
    "before": lambda one: _ordered(one.before),
    "after": lambda one: _ordered(one.after),
    "effect": lambda one: one.effect.delta if one.effect else None,
    "chance": lambda one: one.chance,
    "guards": lambda one: one.worst_guard_low,
    "stack": lambda one: one.stack,
    "reason": lambda one: one.reason,
}
"""The columns by which a person may sort, with the key of each. Rows without a value come last."""


def _ordered(value: object) -> tuple[int, float, str] | None:
    """Numbers before texts."""
    if value is None:
        return None
    return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionQuery:
    """Filters, order and page that a person asked for; "" filters nothing. ``text``: is searched in the knob, the
    values, the proposer, the reason and the hypothesis."""

    status: str = ""
    lane: str = ""
    knob: str = ""
    reason: str = ""
    stack: str = ""
    text: str = ""
    sort: str = "turn"
    order: str = "down"
    page: int = 1

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise BadInput(f"sort={self.sort} is not a column; choose one of {', '.join(SORTS)}")
        if self.order not in ("up", "down"):
            raise BadInput(f"order={self.order} is neither up nor down; choose one of them")
        if self.page < 1:
            raise BadInput(f"page={self.page} is before the first page, 1; choose a later one")

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "DecisionQuery":
        """The query of a URL's parameters; BadInput for an unknown one."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(parameters.keys() - names):
            raise BadInput(f"{unknown[0]} is not a parameter of this page; choose among {', '.join(sorted(names))}")
        values: dict[str, Any] = dict(parameters)
        if "page" in values:
            if not values["page"].isascii() or not values["page"].isdecimal() or len(values["page"]) > 9:
                raise BadInput(f"page={values['page']} is not a page number; choose 1 or a later one")
            values["page"] = int(values["page"])
        return cls(**values)

    def parameters(self, **changed: object) -> dict[str, str]:
        """The parameters of this page's URL, with some of them changed; those with default values are left out."""
        changed_query = replace(self, **{"page": 1, **changed})  # type: ignore[arg-type]
        first = DecisionQuery()
        values = {field.name: getattr(changed_query, field.name) for field in fields(self)}
        return {name: str(value) for name, value in values.items() if value != getattr(first, name)}

    def by(self, column: str) -> dict[str, str]:
        """The parameters of the page sorted by a column; in the opposite order if it is sorted so already."""
        other = "up" if self.order == "down" else "down"
        return self.parameters(sort=column, order=other if column == self.sort else "down")

    @property
    def is_filtered(self) -> bool:
        return any((self.status, self.lane, self.knob, self.reason, self.stack, self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPage:
    """``found``: how many of ``total`` decisions pass the filters; ``first``: the number of the first row, from 1."""

    query: DecisionQuery
    rows: tuple[DecisionLine, ...]
    found: int
    total: int
    first: int
    pages: int


def select(lines: Sequence[DecisionLine], query: DecisionQuery) -> DecisionPage:
    """The requested page; the last one if there are fewer."""
    found = [line for line in lines if _meets(line, query)]
    ordered = in_order(found, query.sort, query.order)
    pages = max(1, -(-len(found) // ROWS))
    query = replace(query, page=min(query.page, pages))
    start = (query.page - 1) * ROWS
    return DecisionPage(
        query=query,
        rows=tuple(ordered[start : start + ROWS]),
        found=len(found),
        total=len(lines),
        first=start + 1 if found else 0,
        pages=pages,
    )


def choices(lines: Sequence[DecisionLine]) -> dict[str, tuple[str, ...]]:
    """The values that occur, by filter."""
    return {
        "status": _values(line.status for line in lines),
        "lane": _values(line.lane for line in lines),
        "knob": _values(line.knob for line in lines),
        "reason": _values(line.why for line in lines),
    }


def in_order(lines: Iterable[DecisionLine], sort: str, order: str) -> list[DecisionLine]:
    """``order``: "down" has the largest first. Among equals the latest decision comes first. Decisions without a value
    come last."""
    key = SORTS[sort]
    latest_first = sorted(lines, key=lambda one: -one.turn)
    known = [one for one in latest_first if key(one) is not None]
    unknown = [one for one in latest_first if key(one) is None]
    return [*sorted(known, key=key, reverse=order == "down"), *unknown]


def neighbours(lines: Sequence[DecisionLine], query: DecisionQuery, number: str) -> tuple[str | None, str | None]:
    """The decisions before and after one in the order that was asked for."""
    ordered = [one.number for one in in_order((one for one in lines if _meets(one, query)), query.sort, query.order)]
    if number not in ordered:
        return None, None
    at = ordered.index(number)
    return (ordered[at - 1] if at else None), (ordered[at + 1] if at + 1 < len(ordered) else None)


def _meets(line: DecisionLine, query: DecisionQuery) -> bool:
    if not query.is_filtered:
        return True
    exact = ((query.status, line.status), (query.lane, line.lane), (query.knob, line.knob), (query.reason, line.why))
    if any(asked and asked != own for asked, own in exact):
        return False
    if query.stack and query.stack != str(line.stack):
        return False
    return not query.text or query.text.casefold() in _text(line).casefold()


def _text(line: DecisionLine) -> str:
    parts = (line.number, line.knob, line.before, line.after, line.proposer, line.reason, line.hypothesis)
    return " ".join(str(part) for part in parts if part is not None)


def _values(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in found if value}))
