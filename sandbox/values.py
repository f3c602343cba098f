"""The values that may enter and leave the sandbox, and their JSON form (also used in data files).

None, bool, int, str, finite float and list stand for themselves, and so does a dict whose keys are all plain strings
that do not start with "$". Everything else is a dict with one tag:

    {"$tuple": [...]}  {"$set": [...]}  {"$dict": [[key, value], ...]}  {"$bytes": base64}
    {"$float": "nan" | "inf" | "-inf"}  {"$int": hexadecimal}  {"$str": base64 of UTF-8 with surrogates}
    {"$laid_set": [[...], slots, [...], [...]]}    between two processes in the jail: a set in order (set_order.py)

Types are exact: subclasses are refused, so that no object with its own equality gets out. The cost of reading a form is
bounded by its size, and for sets and dicts of keys whose hashes collide by a Decoder's seconds. `canonical` compares
without hashing. Runs inside the jail, too, and imports the standard library only.
"""

import base64
import json
import math
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox import set_order

Value: TypeAlias = Any
"""None | bool | int | float | str | bytes | list | tuple | set | dict, nested, of exactly these types.

Any, because a recursive union would make every caller cast (list and dict are invariant). `encode` and `decode` check.
"""

MAX_DEPTH = 64
MAX_BYTES = 16 * 1024 * 1024
LIBRARY_DICTS = (Counter, OrderedDict, defaultdict)
HASHING_SECONDS = 0.5  # of processor time; a hundred thousand ordinary keys take a fiftieth of it
_HASHED_AT_ONCE = 64
_WIDE = 1 << 63  # other readers of the data files lose digits beyond 64 bits, and int(str) has a limit


class Unrepresentable(ValueError):
    """A value without a form: of another type, with a cycle, or too deep."""


class TooLarge(Unrepresentable):
    """A value of a known type that is larger than the caller allows."""


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """The form of a value that goes unread from one process to another."""

    json: Any

    @property
    def value(self) -> Value:
        """The value; ValueError for an invalid form."""
        return decode(self.json)


def encode(
    value: Value | EncodedValue, max_bytes: int = MAX_BYTES, library_dicts: bool = False, in_order: bool = False
) -> Any:
    """The JSON form of `value`. library_dicts: take a Counter, defaultdict or OrderedDict as a dict. in_order: sets
    keep their order, for a process of the same hash seed; else they are sorted.

    Raises Unrepresentable for a type that is not in the list, or deeper than MAX_DEPTH; TooLarge when the parts add
    up to more than about `max_bytes` bytes. Both are ValueErrors.
    """
    if type(value) is EncodedValue:
        return value.json
    return _Encoder(max_bytes, LIBRARY_DICTS if library_dicts else (), in_order).encode(value, 0)


def encode_call(
    arguments: Sequence[Value | EncodedValue], named: Mapping[str, Value | EncodedValue], in_order: bool = False
) -> tuple[list[Any], dict[str, Any]]:
    """The JSON-able forms of a call's arguments; Unrepresentable for one that cannot cross."""
    forms = [encode(argument, in_order=in_order) for argument in arguments]
    return forms, {name: encode(value, in_order=in_order) for name, value in named.items()}


def canonical(value: Value) -> str:
    """A text that is the same for equal values of the same types (nan equal to nan, 0.0 to -0.0)."""
    return json.dumps(_Encoder(MAX_BYTES, (), False, canonical=True).encode(value, 0), sort_keys=True)


def changes(arguments: Sequence[Value], forms: Sequence[Any], max_bytes: int) -> dict[str, Any]:
    """The new forms, by position, of the lists, dicts and sets that were changed."""
    found = {}
    for place, (argument, form) in enumerate(zip(arguments, forms, strict=True)):
        if type(argument) in (list, dict, set):
            try:
                now = encode(argument, max_bytes, library_dicts=True, in_order=True)
            except Unrepresentable:
                continue  # it now holds something that has no form
            if now != form and now != encode(decode(form, True), in_order=True):  # or its sets came in another order
                found[str(place)] = now
    return found


def change_in_place(arguments: Sequence[Value], changed: Mapping[str, Any], in_order: bool = False) -> None:
    """Apply what `changes` found to the lists, dicts and sets in `arguments`."""
    for place, form in changed.items():
        if not place.isdecimal() or int(place) >= len(arguments):
            continue
        target, now = arguments[int(place)], decode(form, in_order)
        if type(target) is list and type(now) is list:
            target[:] = now
        elif type(target) is dict and type(now) is dict:
            target.clear()
            target.update(now)
        elif type(target) is set and type(now) is set:
            Decoder(in_order).refill(target, form, now)


class _Encoder:
    def __init__(self, max_bytes: int, dicts: Sequence[type], in_order: bool, canonical: bool = False) -> None:
        self.max_bytes = max_bytes
        self.dicts = dicts
        self.in_order = in_order
        self.canonical = canonical
        self.zero = 0.0 if canonical else -0.0  # adding 0.0 turns -0.0 into 0.0; adding -0.0 changes nothing
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
            return value + self.zero if math.isfinite(value) else {"$float": repr(value)}
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
        if kind is set and self.in_order:
            return self._laid_set(value, depth + 1)
        items = [self.encode(item, depth + 1) for item in value]
        if kind is list:
            return items
        if kind is tuple:
            return {"$tuple": items}
        return {"$set": sorted(items, key=_text)}

    def _int(self, value: int) -> Any:
        self.spend(value.bit_length() // 8)
        return value if -_WIDE <= value < _WIDE else {"$int": hex(value)}

    def _str(self, value: str) -> Any:
        self.spend(len(value))
        if _is_plain(value):
            return value
        return {"$str": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")}

    def _laid_set(self, value: set[Any], depth: int) -> Any:
        self.spend(len(value))
        found = set_order.laid_out(value)
        items = [self.encode(item, depth) for item in found.items]
        if not found.slots:
            return {"$set": items}
        return {"$laid_set": [items, found.slots, list(found.places), list(found.passed)]}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str and not key.startswith("$") and _is_plain(key) for key in value):
            return {self._str(key): self.encode(item, depth) for key, item in value.items()}
        pairs = [[self.encode(key, depth), self.encode(item, depth)] for key, item in value.items()]
        return {"$dict": sorted(pairs, key=_text) if self.canonical else pairs}


def decode(form: Any, in_order: bool = False) -> Value:
    """The value of a form (parsed JSON); ValueError for one that `encode` does not write. in_order: sets get the order
    that they had, if this process has the same hash seed."""
    return Decoder(in_order).decode(form)


class Decoder:
    """Reads the forms of one writer. The time to hash their keys is bounded over all of them."""

    def __init__(self, in_order: bool = False) -> None:
        self._in_order = in_order
        self._left = HASHING_SECONDS

    def decode(self, form: Any) -> Value:
        return self._decode(form, 0)

    def _decode(self, form: Any, depth: int) -> Value:
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
            return [self._decode(item, depth + 1) for item in form]
        if any(type(key) is not str for key in form):
            raise ValueError("a JSON object has string keys only; write other keys as a $dict")
        tags = [key for key in form if key.startswith("$")]
        if not tags:
            return {key: self._decode(item, depth + 1) for key, item in form.items()}
        if len(form) != 1:
            raise ValueError(f"{tags[0]!r} must stand alone in its object; write such keys as a $dict")
        return self._tagged(tags[0], form[tags[0]], depth + 1)

    def _tagged(self, tag: str, body: Any, depth: int) -> Value:
        if tag in ("$tuple", "$set", "$dict", "$laid_set"):
            if type(body) is not list:
                raise ValueError(f"{tag} takes a list, not {_name(type(body))}")
            if tag == "$tuple":
                return tuple(self._decode(item, depth) for item in body)
            return self._dict(body, depth) if tag == "$dict" else self._set(tag, body, depth)
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

    def _set(self, tag: str, body: list[Any], depth: int) -> Value:
        if tag == "$set":
            return self._hashed(set[Value](), [self._decode(item, depth) for item in body])
        layout = self._layout(body, depth)
        plain = self._hashed(set[Value](), layout.items)  # ValueError for items that are no set
        return set_order.rebuilt(layout, set()) if self._in_order else plain

    def refill(self, target: set[Value], form: Any, now: set[Value]) -> None:
        """Give a set the items of a form, whose value is ``now``, in their order."""
        target.clear()
        match form:
            case {"$laid_set": body} if self._in_order:
                set_order.rebuilt(self._layout(body, 1), target)
            case _:
                target.update(list(now))  # one by one, as decoding makes a set: the table grows alike

    def _layout(self, body: list[Any], depth: int) -> set_order.SetLayout:
        match body:
            case [list(items), int(slots), list(places), list(passed)] if (
                len(items) == len(places)
                and len(places) + len(passed) <= slots <= set_order.MOST_SLOTS
                and all(type(slot) is int and 0 <= slot < slots for slot in (*places, *passed))
            ):
                items = [self._decode(item, depth) for item in items]
                return set_order.SetLayout(items, slots, tuple(places), tuple(passed))
        raise ValueError("a $laid_set is a list of items, the slots of their table, the items' slots, and other slots")

    def _dict(self, body: list[Any], depth: int) -> Value:
        if any(type(pair) is not list or len(pair) != 2 for pair in body):
            raise ValueError("a $dict is a list of [key, value] pairs")
        return self._hashed(
            dict[Value, Value](), [(self._decode(key, depth), self._decode(item, depth)) for key, item in body]
        )

    def _hashed(self, result: set[Value] | dict[Value, Value], items: list[Any]) -> Value:
        """Insert the items a few at a time: the time for colliding keys grows with their number squared."""
        tag = "$set" if isinstance(result, set) else "$dict"
        begun = time.thread_time()
        try:
            for start in range(0, len(items), _HASHED_AT_ONCE):
                result.update(items[start : start + _HASHED_AT_ONCE])
                if time.thread_time() - begun > self._left:
                    raise ValueError(f"the keys of a {tag} take more than {HASHING_SECONDS:g} s to tell apart")
        except TypeError:
            raise ValueError(f"a {tag} holds hashable values and keys only") from None
        finally:
            self._left -= time.thread_time() - begun
        if len(result) != len(items):
            raise ValueError(f"a {tag} holds no value or key twice")
        return result


def _wide_int(body: str) -> int:
    digits = body.removeprefix("-")
    if not digits.startswith("0x") or digits[2:].strip("0123456789abcdef") or len(digits) == 2:
        raise ValueError(f"$int takes a hexadecimal integer like -0x1f, not {body[:40]!r}")
    return int(body, 16)


def _text(form: Any) -> str:
    return json.dumps(form, sort_keys=True)


def _is_plain(text: str) -> bool:
    """Whether JSON returns the same string: two adjacent lone surrogates would become one character."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))[:80]
