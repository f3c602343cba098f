"""The shape of what a command prints with --json, as Markdown: for docs/json.md and nightlane schema."""

from collections.abc import Iterator
from typing import Any

TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false", None: "any value"}


def shape(schema: dict[str, Any]) -> Iterator[str]:
    """Blocks of Markdown: the description of an object and its keys, or the type of anything else."""
    if about := schema.get("description"):
        yield about.replace("<", "&lt;")
    if keys := schema.get("properties"):
        yield "\n".join(_key(schema, name, own) for name, own in keys.items())
    else:
        yield f"{_type(schema)}."


def types(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The types that a schema refers to, by name."""
    return dict(sorted(schema.get("$defs", {}).items()))


def _key(schema: dict[str, Any], name: str, own: dict[str, Any]) -> str:
    optional = name not in schema.get("required", (name,)) and "default" not in own
    return f"- `{name}`{'?' if optional else ''}: {_type(own)}. {own['description']}".replace("<", "&lt;")


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    if "enum" in schema or "const" in schema:
        return ", ".join(f'`"{one}"`' for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        parts = schema.get("prefixItems")
        return f"list of ({', '.join(map(_type, parts))})" if parts else f"list of {_type(schema['items'])}"
    if kind == "object" and isinstance(more := schema.get("additionalProperties"), dict):
        return f"object of {_type(more)}"
    return TYPES.get(kind, str(kind))
