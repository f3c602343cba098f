"""Reads the messages of a row as turns. An unknown key is refused by its name, never ignored."""

import json
from collections.abc import Mapping
from typing import Any

from common.errors import BadInput
from probes.inputs.files.text import parse_object, require_whole_characters
from probes.inputs.rows.turns import Turn, Turns

KEPT = ("tool_calls", "name", "tool_call_id", "reasoning_content")
"""The keys besides role and content that chat templates use, in the order of ``Turn.more``."""
SPEAKERS = {"human": "user", "gpt": "assistant"}
ROLES = ("system", "developer", "user", "assistant", "tool")


def turns_of(name: str, value: object) -> Turns:
    """The value of the column ``name``: a text unchanged, a message or a list of messages as turns; else BadInput."""
    if isinstance(value, str):
        return value
    turns = [value] if isinstance(value, dict) else value
    empty = ", which is empty" if value is None or value == [] else ""
    if not isinstance(turns, list) or not turns or not all(isinstance(message, dict) for message in turns):
        raise BadInput(
            f"it has no text (or list of turns with role and content) in {name!r}{empty}; write one, or leave the row "
            "out"
        )
    return tuple(_turn(name, message) for message in turns)


def canonical(value: object) -> str:
    """The value as compact JSON; the keys keep their order, in which templates write them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _turn(name: str, message: Mapping[str, Any]) -> Turn:
    speaker, said = ("from", "value") if "from" in message and "role" not in message else ("role", "content")
    _require_known_keys(name, message, {speaker, said, *KEPT})
    role, content, more = message.get(speaker), message.get(said), _more(name, message)
    if not isinstance(role, str) or not role:
        raise BadInput(f"it has a turn without a role in {name!r}; give every turn role and content")
    if content is None and "tool_calls" in more:
        content = ""
    if not isinstance(content, str):
        raise BadInput(
            f"it has a turn of the {role} whose {said} is {_kind(content)} in {name!r}; a turn holds one text"
        )
    return Turn(SPEAKERS.get(role, role) if speaker == "from" else role, content, canonical(more) if more else "")


def _require_known_keys(name: str, message: Mapping[str, Any], known: set[str]) -> None:
    odd = next((key for key, value in message.items() if key not in known and value is not None), None)
    if odd is not None:
        raise BadInput(
            f"it has a turn with the key {odd!r} in {name!r}, and nightlane keeps role, content, {', '.join(KEPT)}; "
            "take the key out"
        )


def _more(name: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the KEPT keys, without null and empty lists."""
    more = {key: message[key] for key in KEPT if message.get(key) is not None and message[key] != []}
    for key, value in more.items():
        if key == "tool_calls":
            more[key] = _calls(name, value)
        elif not isinstance(value, str):
            raise BadInput(f"it has a turn whose {key} is {_kind(value)} in {name!r}; write a text")
    return more


def _calls(name: str, value: object) -> list[dict[str, Any]]:
    """The tool calls, with their arguments as objects."""
    calls = []
    for item in value if isinstance(value, list) else [None]:
        call = item if isinstance(item, dict) else {}
        function = call.get("function", call)
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadInput(
                f"it has tool_calls in {name!r} that are no list of calls; write "
                '[{"type": "function", "function": {"name": ..., "arguments": {...}}}]'
            )
        if function.get("arguments") is not None:
            function = {**function, "arguments": _arguments(name, function)}
        calls.append({**call, "function": function} if "function" in call else function)
    return calls


def _arguments(name: str, function: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as an object; OpenAI writes them as a JSON text."""
    value = function["arguments"]
    try:
        arguments = parse_object(value) if isinstance(value, str) else value
        if isinstance(value, str):
            require_whole_characters(value, arguments)
        if isinstance(arguments, dict):
            return arguments
    except ValueError:
        pass  # the error below explains it
    raise BadInput(
        f"it calls the tool {function['name']!r} in {name!r} with arguments that are no JSON object; write an object, "
        "or the JSON text of one"
    )


def _kind(value: object) -> str:
    names = {type(None): "empty", list: "a list", dict: "an object", bool: "true or false"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")
