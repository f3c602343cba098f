"""Judgements without a model for the scripted endpoint, computed from the request alone.

"hash": meaningless marks. "words": an answer's mark grows with its number of different words, up to 40 and without
those of the rubric, plus noise of a tenth of the scale. So a session has an effect to find, and an answer that repeats
the rubric scores 0. Of two answers, the better one is preferred if it is better by a twentieth of the scale.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from probes.inputs.files.text import read_jsonl
from probes.scoring.judge.question import SCALE_HEADING, SCHEMA_HEADING

JudgeRule = Literal["hash", "words"]
ENOUGH_WORDS, CRITICAL_SHARE, CLEARLY = 40, 0.08, 0.05


@dataclass(frozen=True)
class ScriptedJudge:
    """A judge with one rule. ``known``: fixed shares of the scale, by (prompt, answer). ``shift``: a share that is
    added to every mark, as if the provider had changed the model."""

    rule: JudgeRule
    seed: int = 0
    known: Mapping[tuple[str, str], float] = field(default_factory=dict)
    shift: float = 0.0

    def reply(self, request: Mapping[str, Any]) -> str:
        """The reply to a request of the judge scorer; "OK" to any other request."""
        system, question = _messages(request)
        asked = _asked(question)
        if asked is None:
            return "OK"
        if "answer" not in asked:
            return self._choice(system, asked)
        scale, schema = _after(SCALE_HEADING, system), _after(SCHEMA_HEADING, system)
        return self._judgement(system, question, asked, scale, schema) if scale and schema else "OK"

    def _judgement(
        self, system: str, question: str, asked: Mapping[str, str], scale: Mapping[str, float], schema: Any
    ) -> str:
        chance = random.Random(f"{self.seed}|{question}")
        names, failures = _names(schema)
        shares = {name: self._share(system, asked["prompt"], asked["answer"], chance) for name in names}
        marks = {name: _mark(share, scale) for name, share in shares.items()}
        found = [name for name in failures if self.rule == "hash" and chance.random() < CRITICAL_SHARE]
        critical = {"critical_failures": found} if failures else {}
        overall = _mark(sum(shares.values()) / len(shares), scale)
        return json.dumps({"note": f"computed, by {self.rule}", **critical, "components": marks, "overall": overall})

    def _choice(self, system: str, asked: Mapping[str, str]) -> str:
        shares = {}
        for place in ("first", "second"):
            chance = random.Random(f"{self.seed}|{asked[place]}")
            shares[place] = self._share(system, asked["prompt"], asked[place], chance)
        ahead = shares["first"] - shares["second"]
        preferred = "tie" if abs(ahead) <= CLEARLY else "first" if ahead > 0 else "second"
        return json.dumps({"note": f"computed, by {self.rule}", "preferred": preferred})

    def _share(self, system: str, prompt: str, answer: str, chance: random.Random) -> float:
        """The mark as a share of the scale."""
        if (prompt, answer) in self.known:
            share = self.known[prompt, answer]
        elif self.rule == "hash":
            share = chance.randint(0, 10) / 10
        else:
            words = _words(answer) - _words(system)
            share = min(1.0, len(words) / ENOUGH_WORDS) + chance.uniform(-0.1, 0.1) if words else 0.0
        return max(0.0, min(1.0, share + self.shift))


@cache
def read_known(path: str) -> Mapping[tuple[str, str], float]:
    """The answers of a calibration file with the middle of their range as a share of the scale; "" is no file."""
    rows = read_jsonl(Path(path)) if path else ()
    return {(row["prompt"], row["answer"]): (row["low"] + row["high"]) / 20 for _, row in rows}


def question_of(request: Mapping[str, Any]) -> str | None:
    """The question in a request of the judge scorer, also in a repeated one; None for any other request."""
    question = _messages(request)[1]
    return question if _asked(question) is not None else None


def _messages(request: Mapping[str, Any]) -> tuple[str, str]:
    """The first system message and the first user message."""
    texts = {str(message.get("role")): str(message.get("content")) for message in reversed(request.get("messages", []))}
    return texts.get("system", ""), texts.get("user", "")


def _asked(question: str) -> dict[str, str] | None:
    """The prompt and the answer, or the first and the second answer."""
    try:
        data = json.loads(question.rpartition("\n")[2])
    except ValueError:
        return None
    known = isinstance(data, dict) and "prompt" in data and ("answer" in data or {"first", "second"} <= data.keys())
    return {name: str(value) for name, value in data.items()} if known else None


def _after(heading: str, text: str) -> Any:
    found = re.search(rf"^{re.escape(heading)}(.*)$", text, re.MULTILINE)
    return json.loads(found[1]) if found else None


def _names(schema: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The names of the components and of the critical failures."""
    parts = schema["properties"]
    failures = parts["critical_failures"]["items"]["enum"] if "critical_failures" in parts else []
    return list(parts["components"]["properties"]), failures


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _mark(share: float, scale: Mapping[str, float]) -> float:
    return round(scale["low"] + share * (scale["high"] - scale["low"]), 2)
