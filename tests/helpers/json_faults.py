"""Finds where the JSON output of a command differs from docs/json.md."""

from collections.abc import Iterator
from typing import Any


def faults(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """The places where a JSON value does not match a schema of ``Output``, including unknown and missing keys. Covers
    only the part of JSON Schema that pydantic writes for these types."""
    yield from _faults(schema, value, "", schema.get("$defs", {}))


def _faults(schema: dict[str, Any], value: Any, where: str, known: dict[str, Any]) -> Iterator[str]:
    if reference := schema.get("$ref"):
        schema = known[reference.rpartition("/")[2]]
    if several := schema.get("anyOf") or schema.get("oneOf"):
        found = [list(_faults(one, value, where, known)) for one in several]
        yield from [] if not all(found) else min(found, key=len)
        return
    kind, shown = schema.get("type"), where or "the whole"
    if "enum" in schema or "const" in schema:
        if value not in schema.get("enum", [schema.get("const")]):
            yield f"{shown} is {value!r}"
    elif kind is not None and not _is(kind, value):
        yield f"{shown} is no {kind}: {value!r:.80}"
    elif kind == "array":
        parts, rest = schema.get("prefixItems", []), schema.get("items", {})
        for place, one in enumerate(value):
            own = parts[place] if place < len(parts) else rest
            yield from _faults(own if isinstance(own, dict) else {}, one, f"{where}[{place}]", known)
    elif kind == "object":
        named, more = schema.get("properties", {}), schema.get("additionalProperties", not schema.get("properties"))
        yield from (f"{shown} lacks {name!r}" for name in schema.get("required", ()) if name not in value)
        for name, one in value.items():
            if name not in named and more is False:
                yield f"{shown} has {name!r}, which is not documented"
            own = named.get(name, more if isinstance(more, dict) else {})
            yield from _faults(own, one, f"{where}.{name}".lstrip("."), known)


def _is(kind: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "string": isinstance(value, str),
        "integer": number and float(value).is_integer(),
        "number": number,
        "boolean": isinstance(value, bool),
        "null": value is None,
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }[kind]
