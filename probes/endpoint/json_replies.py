"""JSON that a language model writes: schemas to request it, a strict parser, and a parser that repairs it."""

import json
from collections.abc import Mapping
from typing import Any

from common.wording import one_line

LONGEST_REPAIRED = 8192  # characters; json-repair takes a second for this many braces, and minutes for 65536


class Ambiguous(Exception):
    """JSON with a repeated key, NaN or Infinity. The message is for the model."""


def closed_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object with exactly these properties."""
    parts = dict(properties)
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def schema_format(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The response format that asks for such an object."""
    schema = {"name": name, "strict": True, "schema": closed_object(properties)}
    return {"type": "json_schema", "json_schema": schema}


def strict_json(text: str) -> object:
    """Parse the text, or else what is between its outermost braces; None if neither is JSON."""
    for candidate in (text, text[text.find("{") : text.rfind("}") + 1]):
        try:
            parsed: object = json.loads(candidate, parse_constant=_no_constant, object_pairs_hook=_with_unique_keys)
        except (ValueError, RecursionError):
            continue
        return parsed if parsed is not None else []  # a bare null is JSON, but no object
    return None


def after_first_object(text: str) -> str:
    """The text after a complete JSON value at its start; "" if there is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ""
    return text[end:]


def repaired_json(text: str) -> object:
    """The text as json-repair reads it; None if it fails or the text is longer than LONGEST_REPAIRED."""
    if len(text) > LONGEST_REPAIRED:
        return None
    from json_repair import repair_json  # takes half a second to import, and is rarely needed

    try:
        return repair_json(text, return_objects=True)
    except Exception:  # the text may be hostile; part of the boundary around the endpoint
        return None


def _no_constant(name: str) -> float:
    raise Ambiguous(f"{name} is not a JSON number")


def _with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Ambiguous for a repeated key, of which json.loads would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Ambiguous(f"it gives {one_line(name, 80)!r} more than once")
        found[name] = value
    return found
