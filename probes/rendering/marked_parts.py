"""Turns and tools with a unique word in the place of each part that a chat template must write.

That a text stands somewhere in a rendering does not show that the template wrote this turn: a system turn "Yes." is in
many an answer. A unique word does.
"""

import json
from collections.abc import Mapping
from typing import Any

Messages = list[dict[str, Any]]


def structure(turns: Messages) -> tuple[Any, ...]:
    """Equal for turns that have the same parts, whatever these say."""
    return tuple((turn["role"], _shape({key: item for key, item in turn.items() if key != "role"})) for turn in turns)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_shape, value))
    return bool(value.strip()) if isinstance(value, str) else value is None


class MarkedParts:
    """``parts``: of each part what it is, its text, and the word in its place. Not marked, since templates may leave
    them out: thoughts of earlier answers, ids of calls, and a tool turn's name where a call before it has that name."""

    def __init__(self, asked: Messages, side: Messages, tools: str) -> None:
        self.parts: list[tuple[str, str, str]] = []
        self._called: dict[str, str] = {}
        self.turns = [self._turn(turn, earlier) for turns, earlier in ((asked, True), (side, False)) for turn in turns]
        self.tools = json.dumps([self._tool(tool) for tool in json.loads(tools)]) if tools else ""

    def _mark(self, what: str, said: object) -> str:
        word = f"zq{len(self.parts)}xj"
        self.parts.append((what, str(said), word))
        return word

    def _turn(self, turn: Mapping[str, Any], earlier: bool) -> dict[str, Any]:
        found = dict(turn)
        if turn["content"].strip():
            found["content"] = self._mark(f"{turn['role']} turn", turn["content"])
        if turn.get("reasoning_content") and not earlier:
            found["reasoning_content"] = self._mark("reasoning_content", turn["reasoning_content"])
        if turn.get("name"):
            known = self._called.get(turn["name"]) if turn["role"] == "tool" else None
            found["name"] = known or self._mark("name", turn["name"])
        if turn.get("tool_calls"):
            found["tool_calls"] = [self._call(call) for call in turn["tool_calls"]]
        return found

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        if "function" in call:
            return {**call, "function": self._call(call["function"])}
        found = dict(call)
        found["name"] = self._called[call["name"]] = self._mark("tool_calls", call["name"])
        if call.get("arguments"):
            found["arguments"] = self._values(call["arguments"])
        return found

    def _values(self, value: Any) -> Any:
        """Arguments with a word for each name and each value."""
        if isinstance(value, dict):
            return {self._mark("tool_calls", key): self._values(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._values(item) for item in value]
        return value if value is None or value == "" else self._mark("tool_calls", value)

    def _tool(self, tool: Any) -> dict[str, Any]:
        """The name of a tool, its description and the names of its parameters are marked."""
        if isinstance(tool.get("function"), dict):
            return {**tool, "function": self._tool(tool["function"])}
        found = dict(tool)
        for key in ("name", "description"):
            if isinstance(tool.get(key), str) and tool[key].strip():
                found[key] = self._mark("tools", tool[key])
        parameters = tool.get("parameters")
        if isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict):
            names = {name: self._mark("tools", name) for name in parameters["properties"]}
            properties = {names[name]: item for name, item in parameters["properties"].items()}
            required = parameters.get("required")
            found["parameters"] = {**parameters, "properties": properties}
            if isinstance(required, list):
                found["parameters"]["required"] = [names.get(str(name), name) for name in required]
        return found
