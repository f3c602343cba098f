"""Layer 3: the answer is to its own prompt, and not one that leaked from another prompt of the set (nearness.py)."""

from common.wording import one_line
from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case


def check(case: Case) -> Receipt:
    """Figures are how near (nearness.py), and whether the answers of the set tell its prompts apart: where not, nothing
    is refused."""
    near = case.nearness
    figures = {
        "own": round(near.own, 4),
        "other": round(near.other, 4),
        "prompts": float(near.prompts),
        "told_apart": float(near.told_apart),
    }
    told = f"{near.other:.2f} near to {one_line(near.prompt, 60)!r} of row {near.row}, {near.own:.2f} to its own prompt"
    return Receipt("topic", not near.leaked, figures, told if near.leaked else "")
