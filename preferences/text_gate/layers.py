"""The eight layers in their order. A newcomer is one file with a `check`, one entry here and its name in GATES."""

from collections.abc import Callable

from preferences.certify.receipt import Receipt
from preferences.text_gate import components, critical, language, length, near_duplicate, refusal, repetition, topic
from preferences.text_gate.answer_under_test import Case

LAYERS: dict[str, Callable[[Case], Receipt]] = {
    "components": components.check,
    "critical": critical.check,
    "topic": topic.check,
    "length": length.check,
    "repetition": repetition.check,
    "language": language.check,
    "refusal": refusal.check,
    "near_duplicate": near_duplicate.check,
}
