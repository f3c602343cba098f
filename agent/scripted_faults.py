"""Faults that a judge's endpoint may have, made on purpose: every one is gone when the question is asked again.

Which question meets which fault follows from the seed and the question, never from the order in which they come.
"""

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

Reply = Mapping[str, Any]
"""The fields of a ScriptedReply."""

LATE = 3.0  # seconds: beyond the timeout of a client that is told to be quick


def _without(text: str, *names: str) -> str:
    """The judgement without these keys, wherever they stand."""
    data = json.loads(text)
    for name in names:
        data.pop(name, None)
        data.get("components", {}).pop(name, None)
    return json.dumps(data)


def _first_mark(text: str, value: str) -> str:
    """The judgement with another text for its first mark."""
    return re.sub(r'("components": \{"\w+": )[-0-9.]+', rf"\g<1>{value}", text, count=1)


def _first_component(text: str) -> str:
    names: Mapping[str, Any] = json.loads(text).get("components", {"": 0})
    return next(iter(names))


FAULTS: Mapping[str, Callable[[str], Reply]] = {
    "busy": lambda text: {"status": 429},
    "busy for a while": lambda text: {"status": 429, "headers": {"Retry-After": "0.3"}},
    "error 500": lambda text: {"status": 500},
    "error 503": lambda text: {"status": 503},
    "connection dropped": lambda text: {"close": True},
    "too late": lambda text: {"content": text, "delay": LATE},
    "cut off": lambda text: {"content": text[: len(text) // 2], "finish_reason": "length"},
    "comma missing": lambda text: {"content": re.sub(r', (?="overall")', " ", text)},
    "no JSON at all": lambda text: {"content": "I would give this answer an eight."},
    "no components": lambda text: {"content": _without(text, "components")},
    "component missing": lambda text: {"content": _without(text, _first_component(text))},
    "no overall": lambda text: {"content": _without(text, "overall")},
    "not a number": lambda text: {"content": _first_mark(text, "NaN")},
    "out of range": lambda text: {"content": _first_mark(text, "99")},
    "key twice": lambda text: {"content": re.sub(r'("components": \{)("\w+": )', r"\1\g<2>0, \2", text, count=1)},
    "prose and a fence": lambda text: {"content": f"Here is my judgement:\n```json\n{text}\n```\nThat is all."},
    "ten megabytes": lambda text: {"content": text + " " * 10_000_000 + "x"},
    "deep nesting": lambda text: {"content": '{"components": ' + "[" * 100_000},
    "nothing": lambda text: {"content": ""},
}


def fault_of(question: str, share: float, seed: int) -> str | None:
    """The fault that the first reply to a question has; None for all but this share of them."""
    chance = random.Random(f"{seed}|fault|{question}")
    return chance.choice(list(FAULTS)) if chance.random() < share else None
