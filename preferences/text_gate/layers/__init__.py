"""The layers in order. To add one, add a file with a `check`, an entry here, and its name in GATES of
preferences/certify/certificate.py."""

from collections.abc import Callable

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest
from preferences.text_gate.layers import (
    components,
    critical,
    language,
    length,
    near_duplicate,
    refusal,
    repetition,
    topic,
)

LAYERS: dict[str, Callable[[AnswerUnderTest], Receipt]] = {
    "components": components.check,
    "critical": critical.check,
    "topic": topic.check,
    "length": length.check,
    "repetition": repetition.check,
    "language": language.check,
    "refusal": refusal.check,
    "near_duplicate": near_duplicate.check,
}
