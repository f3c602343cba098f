"""Layer 4: neither of the two answers is more than ``most_length_ratio`` times as long as the other.

Sides that differ more teach length before anything else. The ratio of two short answers, "Yes." and "No, never.", does
not matter, so a difference of at most ``length_slack`` characters passes.
"""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest


def check(answer: AnswerUnderTest) -> Receipt:
    """Lengths are in characters, without white space at the ends."""
    chosen, rejected = len(answer.chosen.strip()), len(answer.rejected.strip())
    ratio, most, slack = chosen / max(1, rejected), answer.limits.most_length_ratio, answer.limits.length_slack
    passed = abs(chosen - rejected) <= slack or 1 / most <= ratio <= most
    failing = (
        f"{chosen} characters against {rejected} of the rejected side, {ratio:.2g} times as many; "
        f"1/{most:g} to {most:g} times are allowed (most_length_ratio under [text_gate])"
    )
    figures = {"chosen": float(chosen), "rejected": float(rejected), "ratio": round(ratio, 4)}
    figures |= {"most_length_ratio": most, "length_slack": float(slack)}
    return Receipt("length", passed, figures, "" if passed else failing)
