"""Layer 2: on drawn inputs, and on the contract's cases, the program does what the reference does.

A function that uses random numbers is compared by shape. Then a True or False that varies in the reference must vary
in the program, too.
"""

from collections.abc import Iterable

from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.agreement import agree, boolean_flags, is_informative
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from probes.scoring.execution.calls import describe
from sandbox import Outcome, Returned


def check(program: ProgramUnderTest) -> Receipt:
    bench, rows, compares = program.bench, program.drawn, program.contract.compares
    outcomes, expected = program.outcomes, bench.reference(rows)
    figures = {"inputs": len(rows), "compared": sum(map(is_informative, expected))}
    for row, outcome, right in zip(rows, outcomes, expected, strict=True):
        if not agree(outcome, right, compares):
            failing = f"{bench.note(row, outcome)}, and the reference {describe(right)}"
            return Receipt("differential", False, figures, failing)
    if compares == "shape":
        stuck = _varying(expected) - _varying(outcomes)
        if stuck:
            failing = f"{min(stuck)} is the same for all {len(rows)} inputs, but varies in the reference"
            return Receipt("differential", False, figures, failing)
    return Receipt("differential", True, figures)


def _varying(outcomes: Iterable[Outcome]) -> set[str]:
    """The places of flags that are True for one input and False for another."""
    seen = {flag for outcome in outcomes if isinstance(outcome, Returned) for flag in boolean_flags(outcome.value)}
    return {place for place, value in seen if value and (place, False) in seen}
