"""Layer 8: the answer is not nearly the rejected one, which leaves nothing to learn, nor that of an earlier row with
another prompt, nor the whole row an earlier one."""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case
from preferences.text_gate.duplicate_rows import alike
from probes.inputs.duplicates import NEAR, Wording


def check(case: Case) -> Receipt:
    """Similarities from 0 to 1, of the shingles of three words (probes/inputs/duplicates.py)."""
    rejected, repeat = alike(Wording.of(case.chosen), Wording.of(case.rejected)), case.repeat
    figures = {"rejected": round(rejected, 4), "earlier": round(repeat.similarity, 4) if repeat else 0.0}
    told = [f"{rejected:.2f} similar to its own rejected side, from {NEAR:g} on nothing is to be learnt"]
    told = told if rejected >= NEAR else []
    if repeat is not None:
        what = "it says what row" if repeat.whole else f"{repeat.similarity:.2f} similar to the chosen side of row"
        told.append(f"{what} {repeat.row}{' says' if repeat.whole else ', which answers another prompt'}")
    return Receipt("near_duplicate", not told, figures, "; ".join(told))
