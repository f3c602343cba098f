"""Judgements without a model, for the scripted endpoint: computed from the request, the same for the same request.

"hash": marks that mean nothing. "words": the more different words an answer has, up to 40, the better, within a tenth
of the scale; so a session that searches for something finds it.
"""

import json
import random
import re
from collections.abc import Mapping
from typing import Any, Literal

from probes.scoring.judge_question import SCALE_HEADING, SCHEMA_HEADING

JudgeRule = Literal["hash", "words"]
ENOUGH_WORDS, CRITICAL_SHARE = 40, 0.08


def judgement(request: Mapping[str, Any], rule: JudgeRule, seed: int) -> str:
    """A full judgement for a request of the judge's scorer; a plain sentence for any other."""
    said = {str(message.get("role")): str(message.get("content")) for message in reversed(request.get("messages", []))}
    scale, schema = _after(SCALE_HEADING, said.get("system", "")), _after(SCHEMA_HEADING, said.get("system", ""))
    if not scale or not schema:
        return "OK"
    chance = random.Random(f"{seed}|{said.get('user', '')}")
    names, failures = _names(schema)
    shares = {name: _share(said.get("user", ""), rule, chance) for name in names}
    marks = {name: _mark(share, scale) for name, share in shares.items()}
    found = [name for name in failures if rule == "hash" and chance.random() < CRITICAL_SHARE]
    critical = {"critical_failures": found} if failures else {}
    overall = _mark(sum(shares.values()) / len(shares), scale)
    return json.dumps({"note": f"computed, by {rule}", **critical, "components": marks, "overall": overall})


def _after(heading: str, text: str) -> Any:
    found = re.search(rf"^{re.escape(heading)}(.*)$", text, re.MULTILINE)
    return json.loads(found[1]) if found else None


def _names(schema: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Components, and critical failures if the rubric has some."""
    parts = schema["properties"]
    failures = parts["critical_failures"]["items"]["enum"] if "critical_failures" in parts else []
    return list(parts["components"]["properties"]), failures


def _share(question: str, rule: JudgeRule, chance: random.Random) -> float:
    """Of the scale, from 0 to 1."""
    if rule == "hash":
        return chance.randint(0, 10) / 10
    words = set(re.findall(r"\w+", str(json.loads(question.rpartition("\n")[2])["answer"]).lower()))
    share = min(1.0, len(words) / ENOUGH_WORDS) + chance.uniform(-0.1, 0.1)
    return max(0.0, min(1.0, share)) if words else 0.0


def _mark(share: float, scale: Mapping[str, float]) -> float:
    return round(scale["low"] + share * (scale["high"] - scale["low"]), 2)
