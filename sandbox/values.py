"""The values that may cross the sandbox's wall, and their JSON form (also used in data files).

None, bool, int, str, finite float and list stand for themselves, and so does a dict whose keys are all plain strings
that do not start with "$". Everything else is a dict with one tag:

    {"$tuple": [...]}  {"$set": [...]}  {"$dict": [[key, value], ...]}  {"$bytes": base64}
    {"$float": "nan" | "inf" | "-inf"}  {"$int": hexadecimal}  {"$str": base64 of UTF-8 with surrogates}

Types are exact: a subclass of any of them is refused, so that an object with its own idea of equality never gets
out. This file also runs inside the jail and imports the standard library only.
"""

import base64
import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""None | bool | int | float | str | bytes | list | tuple | set | dict, nested, of exactly these types.

A recursive union would make every caller cast, because list and dict are invariant; `encode` and `decode` check.
"""

MAX_DEPTH = 64
MAX_BYTES = 16 * 1024 * 1024
LIBRARY_DICTS = (Counter, OrderedDict, defaultdict)
_WIDE = 1 << 63  # beyond 64 bits other readers of the data files lose digits, and int(str) has a digit limit


class Unrepresentable(ValueError):
    """A value that has no form here: another type, a cycle, too deep."""


class TooLarge(Unrepresentable):
    """A value of a known type that is larger than the caller allows."""


def encode(value: Value, max_bytes: int = MAX_BYTES, library_dicts: bool = False) -> Any:
    """The JSON-able form of `value`. library_dicts: take a Counter, defaultdict or OrderedDict as the dict it equals.

    Raises Unrepresentable for a type that is not in the list, or deeper than MAX_DEPTH; TooLarge when the parts add
    up to more than about `max_bytes` bytes. Both are ValueErrors.
    """
    return _Encoder(max_bytes, LIBRARY_DICTS if library_dicts else ()).encode(value, 0)


def encode_call(arguments: Sequence[Value], named: Mapping[str, Value]) -> tuple[list[Any], dict[str, Any]]:
    """The JSON-able forms of a call's arguments; Unrepresentable for one that cannot cross."""
    return [encode(argument) for argument in arguments], {name: encode(value) for name, value in named.items()}


def changes(arguments: Sequence[Value], forms: Sequence[Any], max_bytes: int) -> dict[str, Any]:
    """The new forms, by position, of lists, dicts and sets that no longer have the form they came in."""
    found = {}
    for place, (argument, form) in enumerate(zip(arguments, forms, strict=True)):
        if type(argument) in (list, dict, set):
            try:
                now = encode(argument, max_bytes, library_dicts=True)
            except Unrepresentable:
                continue  # something that cannot cross was put into it
            if now != form:
                found[str(place)] = now
    return found


def change_in_place(arguments: Sequence[Value], changed: Mapping[str, Any]) -> None:
    """Do to the lists, dicts and sets in `arguments` what `changes` told of those they were copied to."""
    for place, form in changed.items():
        if not place.isdecimal() or int(place) >= len(arguments):
            continue
        target, now = arguments[int(place)], decode(form)
        if type(target) is list and type(now) is list:
            target[:] = now
        elif type(target) in (dict, set) and type(now) is type(target):
            target.clear()
            target.update(now)


class _Encoder:
    def __init__(self, max_bytes: int, dicts: Sequence[type]) -> None:
        self.max_bytes = max_bytes
        self.dicts = dicts
        self.used = 0

    def spend(self, amount: int) -> None:
        self.used += amount
        if self.used > self.max_bytes:
            raise TooLarge(f"a value may take {self.max_bytes} bytes at most; return less")

    def encode(self, value: Value, depth: int) -> Any:
        self.spend(1)
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self._int(value)
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is str:
            return self._str(value)
        if kind is bytes:
            self.spend(len(value))
            return {"$bytes": base64.b64encode(value).decode("ascii")}
        if kind in self.dicts:
            kind, value = dict, dict(value)
        if kind not in (list, tuple, set, dict):
            raise Unrepresentable(f"a value of type {_name(kind)} cannot cross; return a plain value")
        if depth >= MAX_DEPTH:
            raise Unrepresentable(f"a value may be nested {MAX_DEPTH} deep at most; return a flatter one")
        if kind is dict:
            return self._dict(value, depth + 1)
        items = [self.encode(item, depth + 1) for item in value]
        if kind is list:
            return items
        if kind is tuple:
            return {"$tuple": items}
        return {"$set": sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}

    def _int(self, value: int) -> Any:
        self.spend(value.bit_length() // 8)
        return value if -_WIDE <= value < _WIDE else {"$int": hex(value)}

    def _str(self, value: str) -> Any:
        self.spend(len(value))
        if _is_plain(value):
            return value
        return {"$str": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str and not key.startswith("$") and _is_plain(key) for key in value):
            return {self._str(key): self.encode(item, depth) for key, item in value.items()}
        pairs = [[self.encode(key, depth), self.encode(item, depth)] for key, item in value.items()]
        return {"$dict": pairs}


def decode(form: Any) -> Value:
    """The value that `form` (parsed JSON) stands for; ValueError when it is not what `encode` could have written."""
    return _decode(form, 0)


def _decode(form: Any, depth: int) -> Value:
    kind = type(form)
    if form is None or kind in (bool, int, str):
        return form
    if kind is float:
        if not math.isfinite(form):
            raise ValueError(f"{form} is not JSON; write it as a $float")
        return form
    if kind not in (list, dict):
        raise ValueError(f"{_name(kind)} is not a JSON type; decode takes what json.loads returns")
    if depth >= MAX_DEPTH:
        raise ValueError(f"a value may be nested {MAX_DEPTH} deep at most")
    if kind is list:
        return [_decode(item, depth + 1) for item in form]
    if any(type(key) is not str for key in form):
        raise ValueError("a JSON object has string keys only; write other keys as a $dict")
    tags = [key for key in form if key.startswith("$")]
    if not tags:
        return {key: _decode(item, depth + 1) for key, item in form.items()}
    if len(form) != 1:
        raise ValueError(f"{tags[0]!r} must stand alone in its object; write such keys as a $dict")
    return _tagged(tags[0], form[tags[0]], depth + 1)


def _tagged(tag: str, body: Any, depth: int) -> Value:
    if tag in ("$tuple", "$set", "$dict"):
        if type(body) is not list:
            raise ValueError(f"{tag} takes a list, not {_name(type(body))}")
        if tag == "$tuple":
            return tuple(_decode(item, depth) for item in body)
        return _set(body, depth) if tag == "$set" else _pairs(body, depth)
    if type(body) is not str:
        raise ValueError(f"{tag} takes a string, not {_name(type(body))}")
    if tag == "$bytes":
        return base64.b64decode(body, validate=True)
    if tag == "$str":
        return base64.b64decode(body, validate=True).decode("utf-8", "surrogatepass")
    if tag == "$float" and body in ("nan", "inf", "-inf"):
        return float(body)
    if tag == "$int":
        return _wide_int(body)
    raise ValueError(f"{tag}: {body[:40]!r} has no meaning here")


def _wide_int(body: str) -> int:
    digits = body.removeprefix("-")
    if not digits.startswith("0x") or digits[2:].strip("0123456789abcdef") or len(digits) == 2:
        raise ValueError(f"$int takes a hexadecimal integer like -0x1f, not {body[:40]!r}")
    return int(body, 16)


def _set(body: list[Any], depth: int) -> Value:
    items = [_decode(item, depth) for item in body]
    try:
        result = set(items)
    except TypeError:
        raise ValueError("a $set holds hashable values only") from None
    if len(result) != len(items):
        raise ValueError("a $set holds no value twice")
    return result


def _pairs(body: list[Any], depth: int) -> Value:
    if any(type(pair) is not list or len(pair) != 2 for pair in body):
        raise ValueError("a $dict is a list of [key, value] pairs")
    pairs = [(_decode(key, depth), _decode(item, depth)) for key, item in body]
    try:
        result = dict(pairs)
    except TypeError:
        raise ValueError("a $dict has hashable keys only") from None
    if len(result) != len(pairs):
        raise ValueError("a $dict holds no key twice")
    return result


def _is_plain(text: str) -> bool:
    """Whether JSON gives the same string back: two lone surrogates side by side would come back as one character."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))[:80]
