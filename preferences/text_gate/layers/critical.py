"""Layer 2: no critical failure, such as an answer out of character, however good its components are."""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case


def check(case: Case) -> Receipt:
    """The critical failures that were recorded with the answer, by name."""
    critical = case.side.critical
    return Receipt("critical", not critical, {"failures": float(len(critical))}, ", ".join(critical))
