"""Layer 1: what the contract says of every result holds on drawn inputs."""

from common.errors import BadInput
from preferences.certify.receipt import Receipt
from preferences.code_gate.agreement import is_informative
from preferences.code_gate.program_under_test import ProgramUnderTest
from sandbox import Returned


def check(program: ProgramUnderTest) -> Receipt:
    """A call without a value, where the reference has one, keeps no invariant."""
    bench, rows = program.bench, program.drawn
    outcomes, expected = program.outcomes, bench.reference(rows)
    figures = {"inputs": len(rows), "invariants": len(program.contract.invariants)}
    for row, outcome, right in zip(rows, outcomes, expected, strict=True):
        if isinstance(right, Returned) and not isinstance(outcome, Returned):
            return Receipt("invariant", False, figures, bench.note(row, outcome))
    told = [
        (row, outcome.value, right)
        for row, outcome, right in zip(rows, outcomes, expected, strict=True)
        if isinstance(outcome, Returned) and is_informative(right)
    ]
    breaches = bench.breaches([row for row, _, _ in told], [value for _, value, _ in told])
    for (row, value, right), breach in zip(told, breaches, strict=True):
        if breach:
            if isinstance(right, Returned) and bench.breaches([row], [right.value]) == [breach]:
                raise BadInput(
                    f"an invariant holds for the reference, and {breach!r} does not: {bench.note(row, right)}; "
                    "mend the invariant or the reference"
                )
            return Receipt("invariant", False, figures, f"{bench.note(row, Returned(value))}, which breaks {breach}")
    return Receipt("invariant", True, figures)
