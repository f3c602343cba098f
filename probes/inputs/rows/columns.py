"""The columns of a row by their meaning: those that are read, and those that are refused because they change it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from common.errors import BadInput

PAIR = ("chosen", "rejected")
WHOLE = ("conversations", "messages")
"""Columns that may repeat the prompt, or the prompt and an answer."""
_READ = frozenset({"prompt", *WHOLE, "system", "tools"})
_LOWER_CASE = _READ | {*PAIR, "completion", "difficulty"}

_REMEDIES = {
    "if it is the question, rename the column to prompt": (
        "instruction",
        "instructions",
        "question",
        "questions",
        "query",
    ),
    "write it into the prompt, or take the column out": (
        *("input", "inputs", "context", "contexts", "document", "documents", "passage", "passages", "article"),
        *("background", "knowledge", "premise", "examples", "few_shot"),
    ),
    "write its turns into the prompt, or take the column out": ("history", "chat_history", "dialog", "dialogue"),
    "rename the column to conversations, or take it out": ("conversation",),
    "rename the column to system, or take it out": (
        *("system_prompt", "system_prompts", "system_message", "system_messages", "system_instruction"),
        *("system_instructions", "sys", "sys_prompt", "developer", "developer_message", "persona", "character"),
    ),
    "rename the column to tools, with a list of JSON schemas, or take it out": (
        *("functions", "function", "tool", "available_tools"),
    ),
    "only texts are trained on, so leave the row out": (
        *("image", "images", "image_url", "image_urls", "images_url", "image_path", "image_paths"),
        *("video", "videos", "video_url", "audio", "audios", "audio_url"),
    ),
    "set chat_template_kwargs under [model] to what the rows need, or take the column out": ("chat_template_kwargs",),
    "set chat_template under [model], or take the column out": ("chat_template",),
}
MEANINGFUL = {name: remedy for remedy, names in _REMEDIES.items() for name in names}
"""Columns that would change what a row says, and what to do with them."""
USED = _READ | MEANINGFUL.keys()
"""The columns, besides the sides, that are read or refused."""


def require_no_other_meaning(record: Mapping[str, Any]) -> None:
    """BadInput for a column that changes what the row says, however its name is written; one that repeats the prompt
    does not."""
    for name, value in record.items():
        if not value or (isinstance(value, str) and not value.strip()):
            continue
        known = _plain(name)
        if known in MEANINGFUL and value != record.get("prompt"):
            raise BadInput(f"it has the column {name!r}, which would change what the row says; {MEANINGFUL[known]}")
        if known != name and known in _LOWER_CASE:
            raise BadInput(f"it has the column {name!r}, and only {known!r} is read; rename it, or take it out")


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """The name in lower case with underscores: "System Prompt" is system_prompt."""
    return re.sub(r"[\s-]+", "_", name.strip().casefold())
