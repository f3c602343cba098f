"""Layer 7: the answer does not begin by declining.

`refuses` (probes/scoring/passages.py) is made for programs, where any "I cannot" is a refusal. In a text it may as
well be an answer: "I cannot say", "I will not change my mind", "I am sorry to hear that". What is no declining to do
as asked is passed over. A set that is to teach refusing is no set for this gate.
"""

import re

from preferences.receipt import Receipt
from preferences.text_gate.case import Case
from probes.scoring.passages import refusal
from probes.text import one_line

_SERVES = (
    r"access|advise|answer|assist|assume|browse|comment|complete|comply|continue|create|describe|discuss|engage|explain|"
    r"fulfil|fulfill|generate|give|help|offer|participate|perform|process|produce|provide|recommend|respond|share|show|"
    r"speak|suggest|support|talk|teach|tell|translate|view|write|do\s+(?:that|this|so)"
)
_FEELS = r"to\s+(?:hear|learn|read)|for\s+(?:your|you|the|what)|about|you|it|if|that\s+(?:you|it)"
_HARMLESS = re.compile(
    rf"""
    (?:\bI(?:'m|\s+am)\s+(?:\w+\s+){{0,2}}|^\s*)sorry\s+(?:{_FEELS})\b
    | \bI\s+(?:can't|cannot|can\s+not)\s+(?:\w+\s+)?help\s+(?:but|\w+ing)\b
    | \bI\s+(?:can't|cannot|can\s+not|won't|will\s+not)\b(?!\s+(?:\w+\s+){{0,2}}(?:{_SERVES})\b)
    | \bI(?:'m|\s+am)\s+(?:\w+\s+)?(?:unable|not\s+able)\b(?!\s+to\s+(?:\w+\s+)?(?:{_SERVES})\b)
    | \bAs\s+an?\s+(?:AI|artificial|(?:large\s+)?language)\s+(?!language|assistant|model|system|program|I\b)\w
    """,
    re.IGNORECASE | re.VERBOSE,
)


def check(case: Case) -> Receipt:
    """Looks where `refuses` does, at the first 300 characters, once what is harmless is taken out."""
    text = case.chosen[:400].replace("\u2019", "'")
    found = refusal(_HARMLESS.sub("", text))
    return Receipt("refusal", not found, {"refuses": float(bool(found))}, repr(one_line(found, 80)) if found else "")
