"""Reads which of two answers a judge prefers. A choice that depends on their order counts as a tie."""

import json
import re
from typing import Any, Literal

from probes.endpoint.json_replies import schema_format
from probes.scoring.judge.judgement import MAX_REPLY, UnreadableJudgement, parse_reply
from probes.scoring.protocol import Missing

Preferred = Literal["first", "second", "tie"]
CHOICES: tuple[Preferred, ...] = ("first", "second", "tie")


def preference_format() -> dict[str, Any]:
    """The reply as JSON schema, closed."""
    parts = {"note": {"type": "string"}, "preferred": {"type": "string", "enum": list(CHOICES)}}
    return schema_format("preference", parts)


def read_preference(text: str) -> Preferred:
    """The choice in a judge's reply; UnreadableJudgement says what is missing or wrong."""
    if len(text) > MAX_REPLY:
        raise UnreadableJudgement(f"it is {len(text)} characters long and at most {MAX_REPLY} are read")
    data, repaired = parse_reply(text)
    found = preference_of(data)
    if repaired and re.findall(r"""preferred["']?\s*:\s*["'](\w+)["']""", text) != [found]:
        raise UnreadableJudgement("it is no JSON and does not state preferred once")
    return found


def preference_of(data: object) -> Preferred:
    """A choice from parsed JSON; UnreadableJudgement for anything else."""
    choice = data.get("preferred") if isinstance(data, dict) else None
    for known in CHOICES:
        if choice == known:
            return known
    raise UnreadableJudgement(
        f"preferred must be one of {', '.join(CHOICES)}, and it is {json.dumps(choice, default=str)[:40]}"
    )


def agreed_preference(forward: Preferred | Missing, backward: Preferred | Missing) -> float | Missing:
    """+1 if the answer that came first in ``forward`` and second in ``backward`` is preferred both times, -1 if the
    other is, else 0, a tie."""
    for side in (forward, backward):
        if isinstance(side, Missing):
            return side
    if (forward, backward) == ("first", "second"):
        return 1.0
    return -1.0 if (forward, backward) == ("second", "first") else 0.0
