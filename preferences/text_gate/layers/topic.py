"""Layer 3: the answer is to its own prompt and did not leak from another prompt of the set (topic_similarity.py)."""

from common.wording import one_line
from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest


def check(answer: AnswerUnderTest) -> Receipt:
    """told_apart: whether the answers of the set distinguish its prompts. If they do not, nothing is refused."""
    near = answer.nearness
    figures = {
        "own": round(near.own, 4),
        "other": round(near.other, 4),
        "prompts": float(near.prompts),
        "told_apart": float(near.told_apart),
    }
    failing = (
        f"{near.other:.2f} near to {one_line(near.prompt, 60)!r} of row {near.row}, {near.own:.2f} to its own prompt"
    )
    return Receipt("topic", not near.leaked, figures, failing if near.leaked else "")
