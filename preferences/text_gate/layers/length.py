"""Layer 4: the chosen answer is at most three times as long as the rejected one, and at least a third as long.

Sides that differ more teach length before anything else. The ratio of two short answers, "Yes." and "No, never.", does
not matter, so a difference of at most SLACK characters passes.
"""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest

MOST = 3.0
SLACK = 40


def check(answer: AnswerUnderTest) -> Receipt:
    """Lengths are in characters, without white space at the ends."""
    chosen, rejected = len(answer.chosen.strip()), len(answer.rejected.strip())
    ratio = chosen / max(1, rejected)
    passed = abs(chosen - rejected) <= SLACK or 1 / MOST <= ratio <= MOST
    failing = (
        f"{chosen} characters against {rejected} of the rejected side, {ratio:.2g} times as many; "
        f"1/{MOST:g} to {MOST:g} times are allowed"
    )
    figures = {"chosen": float(chosen), "rejected": float(rejected), "ratio": round(ratio, 4)}
    return Receipt("length", passed, figures, "" if passed else failing)
