"""Layer 7: the program runs on the ends of its domain: empty, huge, negative, nan, inf, unicode, extreme functions.

It fails by an exception that the reference does not raise, a nan or an infinity that the reference does not return, a
broken invariant, or a round trip that does not give the input back. What the reference itself breaks is excused.
"""

from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.agreement import has_nan_or_infinity
from preferences.code_gate.contract.properties import Arguments
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from sandbox import Returned


def check(program: ProgramUnderTest) -> Receipt:
    bench, rows = program.bench, program.bench.edges
    outcomes, expected = program.run(rows), bench.reference(rows)
    figures = {"inputs": len(rows), "told": sum(isinstance(right, Returned) for right in expected)}
    both: list[tuple[Arguments, Returned, Returned]] = []
    for row, outcome, right in zip(rows, outcomes, expected, strict=True):
        if not isinstance(right, Returned):
            continue
        if not isinstance(outcome, Returned):
            return Receipt("edge_cases", False, figures, bench.note(row, outcome))
        if has_nan_or_infinity(outcome.value) and not has_nan_or_infinity(right.value):
            return Receipt(
                "edge_cases", False, figures, f"{bench.note(row, outcome)}, which the reference does not return"
            )
        both.append((row, outcome, right))
    failing = _invariants(program, both) or _round_trips(program, both)
    return Receipt("edge_cases", not failing, figures, failing)


def _invariants(program: ProgramUnderTest, both: list[tuple[Arguments, Returned, Returned]]) -> str:
    bench = program.bench
    rows = [row for row, _, _ in both]
    breaches = bench.breaches(rows, [outcome.value for _, outcome, _ in both])
    if any(breaches):
        own = bench.breaches(rows, [right.value for _, _, right in both])
        for (row, outcome, _), breach, excused in zip(both, breaches, own, strict=True):
            if breach and not excused:
                return f"{bench.note(row, outcome)}, which breaks {breach}"
    return ""


def _round_trips(program: ProgramUnderTest, both: list[tuple[Arguments, Returned, Returned]]) -> str:
    bench, parameters = program.bench, list(program.contract.parameters)
    rows = [row for row, _, _ in both]
    for property_ in program.contract.properties:
        if property_.name == "round_trip":
            broken = property_.broken(
                rows, [outcome for _, outcome, _ in both], parameters, bench.reference_calls, bench.helper
            )
            excused = property_.broken(
                rows, [right for _, _, right in both], parameters, bench.reference_calls, bench.helper
            )
            for (row, outcome, _), how, excuse in zip(both, broken, excused, strict=True):
                if how and not excuse:
                    return f"{bench.note(row, outcome)}, and {how}"
    return ""
