"""The texts of rows and prompts: plain, or the turns of a conversation."""

import json
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """One message of a conversation. ``more``: its other keys (tool_calls, name, ...) as a JSON object; "" for none."""

    role: str
    content: str
    more: str = ""

    @property
    def message(self) -> dict[str, Any]:
        """The message as chat templates take it."""
        return {"role": self.role, "content": self.content, **(json.loads(self.more) if self.more else {})}


Turns = str | tuple[Turn, ...]


def plain(text: Turns) -> str:
    """The text itself, or the contents of the turns joined by newlines."""
    return text if isinstance(text, str) else "\n".join(turn.content for turn in text)


def messages(text: Turns, role: str) -> list[dict[str, Any]]:
    """The messages as chat templates take them; a plain text is one message of ``role``."""
    return [{"role": role, "content": text}] if isinstance(text, str) else [turn.message for turn in text]
