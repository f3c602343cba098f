"""The properties that a contract may name. A newcomer adds one here: two functions and a line in `PROPERTIES`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from preferences.code_gate.agreement import agree
from probes.scoring.execution.calls import describe
from probes.scoring.execution.checks import same
from sandbox import Outcome, Returned, Value

Row: TypeAlias = tuple[Value, ...]
Calls: TypeAlias = Callable[[Sequence[Row]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class Property:
    """One of `PROPERTIES`, with what it takes."""

    name: str
    argument: str = ""

    def broken(
        self,
        rows: Sequence[Row],
        outcomes: Sequence[Outcome],
        parameters: Sequence[str],
        call: Calls,
        helper: Callable[[str, Sequence[Row]], Sequence[Outcome]],
    ) -> list[str]:
        """How it is broken for each row and the outcome of a first call with it, "" where it holds.

        call makes further calls of the function, helper calls of another function of the reference.
        """
        law = PROPERTIES[self.name]
        place = parameters.index(self.argument) if law.takes == "a parameter" else 0
        asked = [law.asks(row, outcome, place) for row, outcome in zip(rows, outcomes, strict=True)]
        every = [row for some in asked for row in some]
        answers = iter(helper(self.argument, every) if law.takes == "a function of the reference" else call(every))
        further = [[next(answers) for _ in some] for some in asked]
        return [law.broken(*parts) for parts in zip(rows, outcomes, further, strict=True)]


@dataclass(frozen=True)
class Law:
    """What a property takes in a contract; the further calls it needs after one of a row, given the place of its
    parameter; and how their outcomes break it.

    An exception breaks no property here: whether it may be raised is for the reference to say.
    """

    takes: Literal["nothing", "a parameter", "a function of the reference"]
    asks: Callable[[Row, Outcome, int], list[Row]]
    broken: Callable[[Row, Outcome, Sequence[Outcome]], str]


def _the_same(row: Row, first: Outcome, _: int) -> list[Row]:
    return [row]


def _nothing(row: Row, first: Outcome, _: int) -> list[Row]:
    return []


def _its_own_result(row: Row, first: Outcome, _: int) -> list[Row]:
    return [(first.value, *row[1:])] if isinstance(first, Returned) else []


def _other_orders(row: Row, first: Outcome, place: int) -> list[Row]:
    items = row[place]
    if not isinstance(items, list):
        return []
    return [(*row[:place], other, *row[place + 1 :]) for other in (items[::-1], items[1:] + items[:1])]


def _differs(row: Row, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"called again {describe(different[0])}" if different else ""


def _changes(row: Row, first: Outcome, further: Sequence[Outcome]) -> str:
    changed = first.changed if isinstance(first, Returned) else {}
    return f"changed its argument number {min(changed) + 1}" if changed else ""


def _moves_on(row: Row, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"called with that {describe(different[0])}" if different else ""


def _depends_on_order(row: Row, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"in another order {describe(different[0])}" if different else ""


def _does_not_come_back(row: Row, first: Outcome, further: Sequence[Outcome]) -> str:
    lost = [back for back in further if not (isinstance(back, Returned) and same(back.value, row[0]))]
    return f"its inverse {describe(lost[0])}" if lost else ""


PROPERTIES: dict[str, Law] = {
    "deterministic": Law("nothing", _the_same, _differs),  # the same when called twice
    "keeps_arguments": Law("nothing", _nothing, _changes),  # lists, dicts and sets it is given stay as they are
    "idempotent": Law("nothing", _its_own_result, _moves_on),  # once more, on its own result, changes nothing
    "order_free": Law("a parameter", _other_orders, _depends_on_order),  # the order of that list does not matter
    "round_trip": Law("a function of the reference", _its_own_result, _does_not_come_back),  # that gives it back
}
