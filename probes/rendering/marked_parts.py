"""Turns and tools with a unique word in place of each part that a chat template must write.

A part that occurs in a rendering may come from another turn: a system turn "Yes." also occurs in answers. A unique word
shows whether the template wrote this part.
"""

import json
from collections.abc import Mapping
from typing import Any

Messages = list[dict[str, Any]]


def structure(turns: Messages) -> tuple[Any, ...]:
    """The structure of turns, which is equal for turns with the same parts and other texts."""
    return tuple((turn["role"], _shape({key: item for key, item in turn.items() if key != "role"})) for turn in turns)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_shape, value))
    return bool(value.strip()) if isinstance(value, str) else value is None


class MarkedParts:
    """``parts``: (what it is, its text, the word in its place) for each part.

    Templates may leave out thoughts of earlier answers, ids of calls, and the name of a tool turn if an earlier call
    has it, so these get no word.
    """

    def __init__(self, asked: Messages, side: Messages, tools: str) -> None:
        self.parts: list[tuple[str, str, str]] = []
        self._called: dict[str, str] = {}
        self.turns = [self._turn(turn, earlier) for turns, earlier in ((asked, True), (side, False)) for turn in turns]
        self.tools = json.dumps([self._tool(tool) for tool in json.loads(tools)]) if tools else ""

    def _mark(self, what: str, part: object) -> str:
        word = f"zq{len(self.parts)}xj"
        self.parts.append((what, str(part), word))
        return word

    def _turn(self, turn: Mapping[str, Any], earlier: bool) -> dict[str, Any]:
        marked = dict(turn)
        if turn["content"].strip():
            marked["content"] = self._mark(f"{turn['role']} turn", turn["content"])
        if turn.get("reasoning_content") and not earlier:
            marked["reasoning_content"] = self._mark("reasoning_content", turn["reasoning_content"])
        if turn.get("name"):
            known = self._called.get(turn["name"]) if turn["role"] == "tool" else None
            marked["name"] = known or self._mark("name", turn["name"])
        if turn.get("tool_calls"):
            marked["tool_calls"] = [self._call(call) for call in turn["tool_calls"]]
        return marked

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        if "function" in call:
            return {**call, "function": self._call(call["function"])}
        marked = dict(call)
        marked["name"] = self._called[call["name"]] = self._mark("tool_calls", call["name"])
        if call.get("arguments"):
            marked["arguments"] = self._values(call["arguments"])
        return marked

    def _values(self, value: Any) -> Any:
        """The arguments of a call, with a word for each name and each value."""
        if isinstance(value, dict):
            return {self._mark("tool_calls", key): self._values(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._values(item) for item in value]
        return value if value is None or value == "" else self._mark("tool_calls", value)

    def _tool(self, tool: Any) -> dict[str, Any]:
        """A tool with words for its name, its description and the names of its parameters."""
        if isinstance(tool.get("function"), dict):
            return {**tool, "function": self._tool(tool["function"])}
        marked = dict(tool)
        for key in ("name", "description"):
            if isinstance(tool.get(key), str) and tool[key].strip():
                marked[key] = self._mark("tools", tool[key])
        parameters = tool.get("parameters")
        if isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict):
            names = {name: self._mark("tools", name) for name in parameters["properties"]}
            properties = {names[name]: item for name, item in parameters["properties"].items()}
            required = parameters.get("required")
            marked["parameters"] = {**parameters, "properties": properties}
            if isinstance(required, list):
                marked["parameters"]["required"] = [names.get(str(name), name) for name in required]
        return marked
