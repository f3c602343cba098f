"""Layer 8: the answer is not a near duplicate of the rejected one (which would leave nothing to learn) nor of an
earlier row's answer to another prompt, and the row does not repeat an earlier row."""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest
from preferences.text_gate.duplicate_rows import shingle_similarity
from probes.inputs.duplicates import Wording


def check(answer: AnswerUnderTest) -> Receipt:
    """Similarities from 0 to 1, of the shingles of three words (probes/inputs/duplicates.py)."""
    rejected, repeat = shingle_similarity(Wording.of(answer.chosen), Wording.of(answer.rejected)), answer.repeat
    near = answer.limits.least_similar
    earlier = round(repeat.similarity, 4) if repeat else 0.0
    figures = {"rejected": round(rejected, 4), "earlier": earlier, "least_similar": near}
    failing = []
    if rejected >= near:
        failing.append(f"{rejected:.2f} similar to its own rejected side; from {near:g} on there is nothing to learn")
    if repeat is not None and repeat.whole:
        failing.append(f"it repeats row {repeat.row}")
    elif repeat is not None:
        similar = f"{repeat.similarity:.2f} similar to the chosen side of row {repeat.row}"
        failing.append(f"{similar}, which answers another prompt")
    return Receipt("near_duplicate", not failing, figures, "; ".join(failing))
