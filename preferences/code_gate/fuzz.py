"""Layer 4: on a fixed catalogue of adversarial inputs the program raises only where the reference raises."""

from preferences.certify.receipt import Receipt
from preferences.code_gate.agreement import tells
from preferences.code_gate.trial import Trial
from sandbox import Returned


def check(trial: Trial) -> Receipt:
    bench, rows = trial.bench, trial.bench.catalogue
    expected = bench.reference(rows)
    figures = {"inputs": len(rows), "told": sum(map(tells, expected))}
    for row, outcome, right in zip(rows, trial.run(rows), expected, strict=True):
        if isinstance(right, Returned) and not isinstance(outcome, Returned):
            return Receipt("fuzz", False, figures, bench.note(row, outcome))
    return Receipt("fuzz", True, figures)
