"""Layer 2: no critical failure, such as an answer out of character, however good its components are."""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest


def check(answer: AnswerUnderTest) -> Receipt:
    """The critical failures that were recorded with the answer, by name."""
    critical = answer.side.critical
    return Receipt("critical", not critical, {"failures": float(len(critical))}, ", ".join(critical))
