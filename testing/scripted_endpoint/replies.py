"""The replies of the scripted endpoint, and their bodies in OpenAI's format.

A script has one JSON object per line, with one of these keys:

    {"content": TEXT}                     the assistant's text; optional "finish_reason" ("length": truncated)
    {"pick": "legal"}                     a proposer's reply: one of the briefing's legal moves, chosen by the seed
    {"judge": "hash"} or "words"          a judgement for the scorer "judge", computed from the request. Optional:
                                          "known", a calibration file whose answers get the middle of their range;
                                          "shift", a share of the scale that is added to all marks; "faults", the share
                                          of questions whose first reply is one of the faults in faults.py. A
                                          proposer's request gets a legal move, as from "pick"
    {"answer": "words"}                   words that depend on the model, the prompt and the seed
    {"status": 429, "headers": {...}}     an HTTP error with an OpenAI-style body
    {"raw": TEXT}                         status 200 with this body
    {"close": true}                       the connection is dropped

and optionally "delay", the seconds before the reply. The last reply repeats for ever if it is a "pick", "judge" or
"answer". After any other script, the endpoint answers 503 and tells the client not to retry, so that a test which sends
one request too many fails.
"""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.proposers.prompt import MOVES_HEADING
from common.errors import BadInput
from testing.scripted_endpoint.judge import JudgeRule

WORDS = "a the one some two light dark word line sum list return value first last after before and or not"
SHORTEST, LONGEST = 3, 30


class ScriptedReply(BaseModel):
    """One line of a script: exactly one of content, pick, judge, answer, status, raw and close."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str | None = None
    pick: Literal["legal"] | None = None
    judge: JudgeRule | None = None
    known: str = ""
    shift: float = Field(0.0, ge=-1, le=1)
    faults: float = Field(0.0, ge=0, le=1)
    answer: Literal["words"] | None = None
    status: int | None = Field(None, ge=400, le=599)
    raw: str | None = None
    close: Literal[True] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    finish_reason: str = "stop"
    delay: float = Field(0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        kinds = ("content", "pick", "judge", "answer", "status", "raw", "close")
        present = [name for name in kinds if getattr(self, name) is not None]
        if len(present) != 1:
            raise ValueError(f"a reply has one of {', '.join(kinds[:-1])} and {kinds[-1]}, and this has {len(present)}")
        return self

    @property
    def repeats(self) -> bool:
        """Whether this reply, at the end of a script, answers all further requests."""
        return any(kind is not None for kind in (self.pick, self.judge, self.answer))


def read_script(path: Path) -> list[ScriptedReply]:
    """The replies of a JSONL file; BadInput names the first invalid line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} is no readable script; give a file with one reply as a JSON object a line") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise BadInput(f'{path} holds no reply; write one JSON object a line, {{"pick": "legal"}} say')
    return [_read_line(path, number, line) for number, line in numbered]


def _read_line(path: Path, number: int, line: str) -> ScriptedReply:
    try:
        return ScriptedReply.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        law = f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"{path}, line {number} is no reply ({law}); testing/scripted_endpoint/replies.py has its forms"
        ) from None


def pick(request: Mapping[str, Any], chance: random.Random) -> str:
    """A reply with one of the legal moves in the request's briefing, or a sentence if there are none."""
    moves = legal_moves(briefing(request))
    if not moves:
        return "The briefing lists no legal moves."
    knob = chance.choice(sorted(moves))
    hypothesis = "a seeded choice among the legal moves, for a demonstration without a model"
    move = {"knob": knob, "value": chance.choice(moves[knob])}
    return json.dumps({"move": move, "hypothesis": hypothesis, "predicted_delta": 0.0})


def briefing(request: Mapping[str, Any]) -> str:
    """The first user message of a request, which is a proposer's briefing."""
    messages = request.get("messages", [])
    return next((str(message.get("content")) for message in messages if message.get("role") == "user"), "")


def legal_moves(text: str) -> dict[str, list[str]]:
    """The values of each knob in the briefing's last list of moves; the user's instructions may have an earlier one."""
    section = text.rpartition(MOVES_HEADING + "\n")[2].partition("\n\n")[0]
    matches = (re.fullmatch(r"- (.+?) \(now .*?\): (.+)", line) for line in section.splitlines())
    return {match[1]: match[2].split(", ") for match in matches if match}


def answer(request: Mapping[str, Any], seed: int) -> str:
    """Some words. Another model, adapter, prompt or seed gives other words; the adapter's weights are not read."""
    chance = random.Random(f"{seed}|{request.get('model')}|{request.get('prompt')}|{request.get('seed')}")
    words = WORDS.split()
    return " ".join(chance.choice(words) for _ in range(chance.randint(SHORTEST, LONGEST)))


def text_completion(number: int, request: Mapping[str, Any], text: str, finish_reason: str) -> dict[str, Any]:
    """The body of OpenAI's reply to a text request, truncated at max_tokens; a word counts as a token."""
    limit, words = int(request.get("max_tokens") or LONGEST), text.split()
    truncated = len(words) > limit
    shown, reason = (" ".join(words[:limit]), "length") if truncated else (text, finish_reason)
    prompt, used = len(str(request.get("prompt")).split()), min(len(words), limit)
    return {
        "id": f"scripted-{number}",
        "object": "text_completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [{"index": 0, "text": shown, "logprobs": None, "finish_reason": reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": used, "total_tokens": prompt + used},
    }


def chat_completion(number: int, request: Mapping[str, Any], text: str, finish_reason: str) -> dict[str, Any]:
    """The body of OpenAI's reply to a chat request; a word counts as a token."""
    prompt = sum(len(str(message.get("content")).split()) for message in request.get("messages", []))
    words = len(text.split())
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": f"scripted-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words},
    }
