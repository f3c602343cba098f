"""Layer 2: no critical failure, such as an answer out of character, which no good component makes up for."""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case


def check(case: Case) -> Receipt:
    """Those that were recorded with the answer, by name; where nobody looked for any there is none."""
    critical = case.side.critical
    return Receipt("critical", not critical, {"failures": float(len(critical))}, ", ".join(critical))
