"""The text gate: certifies that an answer in words may be a chosen side before a model is trained on it.

    for answer in answers_under_test(rows):    # of the pairs of one store, which are compared with each other
        certificate = certify(answer)
        certificate.certified                  # True only when all layers passed
        certificate.reason                     # else which layers refused it, and the passage or row that failed

    1 components      it has a score or components, none of them below its limit
    2 critical        no critical failure
    3 topic           it answers its own prompt: no other prompt of the set is clearly nearer to it
    4 length          not many times longer or shorter than the rejected side
    5 repetition      no loop of words or of lines
    6 language        in the script and language of its prompt, or one that the prompt names
    7 refusal         it does not begin with a refusal
    8 near_duplicate  not nearly the rejected side, nor the answer of an earlier row to another prompt

The limits are settings of a study (settings.py), and each receipt has those of its layer. All layers run, even after
one has refused, so that `catches` can count what each layer alone caught. Only topic may use a model, when
`answers_under_test` gets an embedder. Nothing is random: the same set and limits give the same certificates.
"""

from common.digests import digest_of
from preferences.certify.certificate import Certificate
from preferences.store.rows import text_to_json
from preferences.text_gate.answer_under_test import AnswerUnderTest, answers_under_test
from preferences.text_gate.layers import LAYERS

__all__ = ["LAYERS", "AnswerUnderTest", "answers_under_test", "certify"]


def certify(answer: AnswerUnderTest) -> Certificate:
    """The chosen side of a row through all layers; a mechanically made one is refused before any layer."""
    origin = answer.side.origin
    receipts = () if origin == "mechanical" else tuple(check(answer) for check in LAYERS.values())
    digest = digest_of(text_to_json(answer.row.texts[0]))
    return Certificate("text", digest, answer.against, origin, 0, receipts)
