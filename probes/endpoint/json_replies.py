"""JSON in what a language model wrote, which is untrusted: strict where it can be, repaired where it must be."""

import json
from typing import Any

from common.wording import one_line

LONGEST_REPAIRED = 8192  # characters; json-repair takes a second for that many braces, and minutes for eight times more


class Ambiguous(Exception):
    """JSON that says a thing twice, or a number that is none; the text says which, for the model."""


def strict_json(text: str) -> object:
    """JSON, or the JSON between the outermost braces (prose, a fence); None where neither is any."""
    for candidate in (text, text[text.find("{") : text.rfind("}") + 1]):
        try:
            parsed: object = json.loads(candidate, parse_constant=_no_constant, object_pairs_hook=_without_twins)
        except (ValueError, RecursionError):
            continue
        return parsed if parsed is not None else []  # a bare null is JSON too, and no object
    return None


def after_first_object(text: str) -> str:
    """What follows a whole JSON value at the start of a text; "" where there is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ""
    return text[end:]


def repaired_json(text: str) -> object:
    """What json-repair makes of it; None where it makes nothing, or where the text is longer than LONGEST_REPAIRED."""
    if len(text) > LONGEST_REPAIRED:
        return None
    from json_repair import repair_json  # half a second to import, and seldom needed

    try:
        return repair_json(text, return_objects=True)
    except Exception:  # json-repair is handed hostile text here, part of the boundary around the endpoint
        return None


def _no_constant(name: str) -> float:
    raise Ambiguous(f"{name} is not a JSON number")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json.loads keeps the last of two equal keys."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Ambiguous(f"it gives {one_line(name, 80)!r} more than once")
        found[name] = value
    return found
