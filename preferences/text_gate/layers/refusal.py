"""Layer 7: the answer does not begin with a refusal.

`refusal` (probes/scoring/execution/answer_parts.py) is made for programs, where any "I cannot" is a refusal. In a text
it may be part of an answer: "I cannot say", "I will not change my mind", "I am sorry to hear that". Such phrases are
removed first. A set that should teach a model to refuse cannot use this gate.
"""

import re

from common.wording import one_line
from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest
from probes.scoring.execution.answer_parts import refusal

_TASKS = (
    r"access|advise|answer|assist|assume|browse|comment|complete|comply|continue|create|describe|discuss|engage|explain|"
    r"fulfil|fulfill|generate|give|help|offer|participate|perform|process|produce|provide|recommend|respond|share|show|"
    r"speak|suggest|support|talk|teach|tell|translate|view|write|do\s+(?:that|this|so)"
)
_UNABLE = r"(?:can't|cannot|can\s+not|won't|will\s+not|(?:am|are|is)\s+(?:unable|not\s+able))"
_SYMPATHY = (
    rf"to\s+(?:hear|learn|read)|for\s+(?:your|you|the|what)|about|you|it|if|that\s+(?!(?:\w+\s+){{1,2}}{_UNABLE}\b)"
)
_HARMLESS = re.compile(
    rf"""
    (?:\bI(?:'m|\s+am)\s+(?:\w+\s+){{0,2}}|^\s*)sorry\s+(?:{_SYMPATHY})\b
    | \bI\s+(?:can't|cannot|can\s+not)\s+(?:\w+\s+)?help\s+(?:but|\w+ing)\b
    | \bI\s+(?:can't|cannot|can\s+not|won't|will\s+not)\b(?!\s+(?:\w+\s+){{0,2}}(?:{_TASKS})\b)
    | \bI(?:'m|\s+am)\s+(?:\w+\s+)?(?:unable|not\s+able)\b(?!\s+to\s+(?:\w+\s+)?(?:{_TASKS})\b)
    | \bAs\s+an?\s+(?:AI|artificial|(?:large\s+)?language)\s+(?!language|assistant|model|system|program|I\b)\w
    """,
    re.IGNORECASE | re.VERBOSE,
)


_MORE = re.compile(
    r"""
    \bI(?:'m|\s+am)\s+(?:\w+\s+)?not\s+(?:permitted|allowed|comfortable)\b
    | \bI\s+(?:must|have\s+to)\s+(?:respectfully\s+)?(?:refuse|decline)\b
    | \bI\s+(?:don't|do\s+not)\s+feel\s+comfortable\b | \bI\s+(?:can't|cannot|won't)\s+in\s+good\s+conscience\b
    | ^\s*no,?\s+I\s+(?:will\s+not|won't)\s+do\b
    | ^\W*(?:es\s+)?tut\s+mir\s+leid,?\s+(?:aber\s+)?(?:da(?:bei|mit)\s+)?(?:ich\s+)?(?:kann|darf)\b
    | ^\W*je\s+suis\s+désolée?,?\s+(?:mais\s+)?je\s+ne\s+peux\b | ^\W*lo\s+siento,?\s+(?:pero\s+)?no\s+puedo\b
    | ^\W*(?:对不起|抱歉|很抱歉)[，,]?\s*(?:我|但)?(?:我)?(?:无法|不能) | ^\W*申し訳(?:ありません|ございません)が
    """,
    re.IGNORECASE | re.VERBOSE,
)


def declines(answer: str) -> str:
    """The words that refuse, in the first 300 characters of an answer; "" for none. Also looks for common refusals in a
    few other languages."""
    text = answer[:400].replace("\u2019", "'")
    more = _MORE.search(text[:300])
    return more[0].strip() if more else refusal(_HARMLESS.sub("", text))


def check(answer: AnswerUnderTest) -> Receipt:
    words = declines(answer.chosen)
    return Receipt("refusal", not words, {"refuses": float(bool(words))}, repr(one_line(words, 80)) if words else "")
