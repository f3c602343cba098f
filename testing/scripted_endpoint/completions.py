"""The bodies of completions in OpenAI's format, and answers that depend on the request and the seed alone."""

import random
from collections.abc import Mapping
from typing import Any

WORDS = "a the one some two light dark word line sum list return value first last after before and or not"
SHORTEST, LONGEST = 3, 30


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
