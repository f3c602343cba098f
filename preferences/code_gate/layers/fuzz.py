"""Layer 4: on a fixed catalogue of adversarial inputs the program raises only where the reference raises."""

from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.agreement import is_informative
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from sandbox import Returned


def check(program: ProgramUnderTest) -> Receipt:
    bench, rows = program.bench, program.bench.catalogue
    expected = bench.reference(rows)
    figures = {"inputs": len(rows), "told": sum(map(is_informative, expected))}
    for row, outcome, right in zip(rows, program.run(rows), expected, strict=True):
        if isinstance(right, Returned) and not isinstance(outcome, Returned):
            return Receipt("fuzz", False, figures, bench.note(row, outcome))
    return Receipt("fuzz", True, figures)
