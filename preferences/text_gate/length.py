"""Layer 4: the chosen answer is no more than three times as long as the rejected one, nor as short.

What differs that much teaches length before anything else. Of two short answers, "Yes." and "No, never.", the ratio
says nothing, so a difference of at most SLACK characters passes.
"""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case

MOST = 3.0
SLACK = 40


def check(case: Case) -> Receipt:
    """Lengths in characters without the white space at the ends."""
    chosen, rejected = len(case.chosen.strip()), len(case.rejected.strip())
    ratio = chosen / max(1, rejected)
    passed = abs(chosen - rejected) <= SLACK or 1 / MOST <= ratio <= MOST
    told = f"{chosen} characters against {rejected} of the rejected side, {ratio:.2g} times as many"
    figures = {"chosen": float(chosen), "rejected": float(rejected), "ratio": round(ratio, 4)}
    return Receipt("length", passed, figures, "" if passed else f"{told}; between 1/{MOST:g} and {MOST:g} is asked")
