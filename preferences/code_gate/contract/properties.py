"""The properties that a contract may name. To add one, add two functions and an entry in `PROPERTIES`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from preferences.code_gate.contract.agreement import agree
from probes.scoring.execution.calls import describe
from probes.scoring.execution.checks import same
from sandbox import Outcome, Returned, Value

Arguments: TypeAlias = tuple[Value, ...]
Calls: TypeAlias = Callable[[Sequence[Arguments]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class Property:
    """One of `PROPERTIES`, with its argument."""

    name: str
    argument: str = ""

    def broken(
        self,
        rows: Sequence[Arguments],
        outcomes: Sequence[Outcome],
        parameters: Sequence[str],
        call: Calls,
        helper: Callable[[str, Sequence[Arguments]], Sequence[Outcome]],
    ) -> list[str]:
        """How each row and its outcome break the property; "" for a row where it holds.

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
class PropertyDefinition:
    """takes: its argument in a contract. asks(row, outcome, place of its parameter): the further calls that it needs.
    broken(row, outcome, outcomes of the further calls): how they break it; "" if they do not.

    An exception breaks no property: the reference decides whether it may be raised.
    """

    takes: Literal["nothing", "a parameter", "a function of the reference"]
    asks: Callable[[Arguments, Outcome, int], list[Arguments]]
    broken: Callable[[Arguments, Outcome, Sequence[Outcome]], str]


def _the_same(row: Arguments, first: Outcome, _: int) -> list[Arguments]:
    return [row]


def _nothing(row: Arguments, first: Outcome, _: int) -> list[Arguments]:
    return []


def _its_own_result(row: Arguments, first: Outcome, _: int) -> list[Arguments]:
    return [(first.value, *row[1:])] if isinstance(first, Returned) else []


def _other_orders(row: Arguments, first: Outcome, place: int) -> list[Arguments]:
    items = row[place]
    if not isinstance(items, list):
        return []
    return [(*row[:place], other, *row[place + 1 :]) for other in (items[::-1], items[1:] + items[:1])]


def _differs(row: Arguments, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"called again {describe(different[0])}" if different else ""


def _changes(row: Arguments, first: Outcome, further: Sequence[Outcome]) -> str:
    changed = first.changed if isinstance(first, Returned) else {}
    return f"changed its argument number {min(changed) + 1}" if changed else ""


def _differs_on_its_result(row: Arguments, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"called with that result {describe(different[0])}" if different else ""


def _depends_on_order(row: Arguments, first: Outcome, further: Sequence[Outcome]) -> str:
    different = [second for second in further if not agree(second, first)]
    return f"in another order {describe(different[0])}" if different else ""


def _is_not_inverted(row: Arguments, first: Outcome, further: Sequence[Outcome]) -> str:
    lost = [back for back in further if not (isinstance(back, Returned) and same(back.value, row[0]))]
    return f"its inverse {describe(lost[0])}" if lost else ""


PROPERTIES: dict[str, PropertyDefinition] = {
    # calling it twice gives the same
    "deterministic": PropertyDefinition("nothing", _the_same, _differs),
    # its arguments that are lists, dicts or sets are not changed
    "keeps_arguments": PropertyDefinition("nothing", _nothing, _changes),
    # applied to its own result, it gives the same
    "idempotent": PropertyDefinition("nothing", _its_own_result, _differs_on_its_result),
    # the order of that list does not matter
    "order_free": PropertyDefinition("a parameter", _other_orders, _depends_on_order),
    # that function, the inverse, gives the first argument back
    "round_trip": PropertyDefinition("a function of the reference", _its_own_result, _is_not_inverted),
}
