"""Loads and unloads LoRA adapters at the scripted endpoint, with vLLM's calls and status codes, and answers by them.

An answer is a few words computed from the model's name, the prompt and the seed: the same for equal requests, others
for another adapter. The weights are not read.
"""

import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORDS = (
    "a",
    "the",
    "one",
    "some",
    "two",
    "light",
    "dark",
    "word",
    "line",
    "sum",
    "list",
    "return",
    "value",
    "first",
    "last",
    "after",
    "before",
    "and",
    "or",
    "not",
)
SHORTEST, LONGEST = 3, 30
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class ScriptedAdapters:
    """The adapters of one base model. ``calls``: (path, adapter's name) of every call that succeeded, in order."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._loaded: dict[str, str] = {}
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    def call(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        """Status and text of a call to load or unload."""
        name, folder = str(body.get("lora_name") or ""), str(body.get("lora_path") or "")
        with self._lock:
            status, text = self._load(name, folder) if path == LOAD else self._unload(name)
            if status == 200:
                self.calls.append((path, name))
        return status, text

    def knows(self, model: object) -> bool:
        return model == self._base or model in self._loaded

    def cards(self) -> list[dict[str, Any]]:
        """The loaded adapters as the list of models has them."""
        with self._lock:
            loaded = dict(self._loaded)
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": "nightlane", "root": folder, "parent": self._base}
            for name, folder in loaded.items()
        ]

    def _load(self, name: str, folder: str) -> tuple[int, str]:
        if not name or not folder:
            return 400, "Both 'lora_name' and 'lora_path' must be provided."
        if name in self._loaded:
            return 400, f"The lora adapter '{name}' has already been loaded."
        if not (Path(folder) / "adapter_config.json").is_file():
            return 404, f"Loading lora {name} failed: No adapter found for {folder}"
        self._loaded[name] = folder
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, name: str) -> tuple[int, str]:
        if not name:
            return 400, "'lora_name' needs to be provided to unload a LoRA adapter."
        if name not in self._loaded:
            return 404, f"The lora adapter '{name}' cannot be found."
        del self._loaded[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."


def answer(request: Mapping[str, Any], seed: int) -> str:
    """A text for a request of text completions."""
    chance = random.Random(f"{seed}|{request.get('model')}|{request.get('prompt')}|{request.get('seed')}")
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(SHORTEST, LONGEST)))


def text_completion(number: int, request: Mapping[str, Any], text: str, finish_reason: str) -> dict[str, Any]:
    """OpenAI's answer to a request of text completions, cut off at max_tokens; a word counts as a token."""
    limit, words = int(request.get("max_tokens") or LONGEST), text.split()
    kept, prompt = " ".join(words[:limit]) if len(words) > limit else text, len(str(request.get("prompt")).split())
    reason, used = "length" if len(words) > limit else finish_reason, min(len(words), limit)
    return {
        "id": f"scripted-{number}",
        "object": "text_completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [{"index": 0, "text": kept, "logprobs": None, "finish_reason": reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": used, "total_tokens": prompt + used},
    }
