"""Faults of a judge's endpoint for tests. A repeated question has no fault.

The seed and the question decide whether there is a fault; the kinds follow one another.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

Reply = Mapping[str, Any]
"""The fields of a ScriptedReply."""

LATE = 3.0  # seconds; longer than the timeout of the tests
DEEP = 15_000  # brackets; more than the stack of any parser allows, in a text that is still read


JSON = {"Content-Type": "application/json"}
EMPTY = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "stop"}


def _raw(body: Mapping[str, Any]) -> Reply:
    """A response with status 200 and this body."""
    return {"raw": json.dumps({"id": "scripted", "object": "chat.completion", **body}), "headers": JSON}


def _without(text: str, *names: str) -> str:
    """The judgement without these keys, at any level."""
    data = json.loads(text)
    for name in names:
        data.pop(name, None)
        data.get("components", {}).pop(name, None)
    return json.dumps(data)


def _first_mark(text: str, value: str) -> str:
    """The judgement with another text for its first mark."""
    return re.sub(r'("components": \{"\w+": )[-0-9.]+', rf"\g<1>{value}", text, count=1)


def _torn(text: str) -> str:
    """The judgement up to the first digit of its first mark, or half of it, so that no repair is possible."""
    found = re.search(r'"components": \{"\w+": -?[0-9]', text)
    return text[: found.end() if found else len(text) // 2]


def _first_component(text: str) -> str:
    names: Mapping[str, Any] = json.loads(text).get("components", {"": 0})
    return next(iter(names))


FAULTS: Mapping[str, Callable[[str], Reply]] = {
    "busy": lambda text: {"status": 429},
    "busy for a while": lambda text: {"status": 429, "headers": {"Retry-After": "0.3"}},
    "error 500": lambda text: {"status": 500},
    "error 503": lambda text: {"status": 503},
    "rate limit in a 200": lambda text: _raw({"error": {"code": 429, "message": "rate limited upstream"}}),
    "outage in a 200": lambda text: _raw({"object": "error", "message": "overloaded", "code": 503}),
    "error in a choice": lambda text: _raw({"choices": [{**EMPTY, "error": {"code": 502, "message": "upstream"}}]}),
    "no choice": lambda text: _raw({"choices": []}),
    "choice without a message": lambda text: _raw({"choices": [{"index": 0, "finish_reason": "stop"}]}),
    "no content": lambda text: _raw({"choices": [EMPTY]}),
    "half a response": lambda text: {"raw": '{"choices": [{"index', "headers": JSON},
    "a page": lambda text: {"raw": "<html>We are back soon.</html>"},
    "connection dropped": lambda text: {"close": True},
    "too late": lambda text: {"content": text, "delay": LATE},
    "cut off": lambda text: {"content": text[: len(text) // 2], "finish_reason": "length"},
    "comma missing": lambda text: {"content": re.sub(r', (?="overall")', " ", text)},
    "torn": lambda text: {"content": _torn(text)},
    "no JSON at all": lambda text: {"content": "I would give this answer an eight."},
    "no components": lambda text: {"content": _without(text, "components")},
    "component missing": lambda text: {"content": _without(text, _first_component(text))},
    "no overall": lambda text: {"content": _without(text, "overall")},
    "not a number": lambda text: {"content": _first_mark(text, "NaN")},
    "out of range": lambda text: {"content": _first_mark(text, "1e9")},
    "key twice": lambda text: {"content": re.sub(r'("components": \{)("\w+": )', r"\1\g<2>0, \2", text, count=1)},
    "prose and a fence": lambda text: {"content": f"Here is my judgement:\n```json\n{text}\n```"},
    "ten megabytes": lambda text: {"content": text + " " * 10_000_000 + "x"},
    "deep nesting": lambda text: {"content": '{"components": ' + "[" * DEEP},
    "nothing": lambda text: {"content": ""},
}


def meets_fault(question: str, share: float, seed: int) -> bool:
    """Whether the first reply to a question is a fault, which is true for this share of the questions."""
    return random.Random(f"{seed}|fault|{question}").random() < share


def next_fault(made: Counter[str]) -> str:
    """The next kind of fault."""
    return tuple(FAULTS)[made.total() % len(FAULTS)]
