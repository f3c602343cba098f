"""Layer 1: the contract's invariants hold on drawn inputs."""

from common.errors import BadInput
from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.agreement import is_informative
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from sandbox import Returned


def check(program: ProgramUnderTest) -> Receipt:
    """A call that returns no value where the reference returns one fails."""
    bench, rows = program.bench, program.drawn
    outcomes, expected = program.outcomes, bench.reference(rows)
    figures = {"inputs": len(rows), "invariants": len(program.contract.invariants)}
    for row, outcome, right in zip(rows, outcomes, expected, strict=True):
        if isinstance(right, Returned) and not isinstance(outcome, Returned):
            return Receipt("invariant", False, figures, bench.note(row, outcome))
    returned = [
        (row, outcome.value, right)
        for row, outcome, right in zip(rows, outcomes, expected, strict=True)
        if isinstance(outcome, Returned) and is_informative(right)
    ]
    breaches = bench.breaches([row for row, _, _ in returned], [value for _, value, _ in returned])
    for (row, value, right), breach in zip(returned, breaches, strict=True):
        if breach:
            if isinstance(right, Returned) and bench.breaches([row], [right.value]) == [breach]:
                raise BadInput(
                    f"an invariant must hold for the reference, and {breach!r} does not: {bench.note(row, right)}; "
                    "mend the invariant or the reference"
                )
            return Receipt("invariant", False, figures, f"{bench.note(row, Returned(value))}, which breaks {breach}")
    return Receipt("invariant", True, figures)
