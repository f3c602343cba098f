"""When two outcomes agree, and when two values have the same shape."""

import math
from collections.abc import Iterator
from typing import Literal, TypeAlias

from probes.scoring.execution.checks import same
from sandbox import Ended, Outcome, Raised, Returned, Value

Compares: TypeAlias = Literal["value", "shape"]
"""value: equal, as for the checks of prompts. shape: of equal types and lengths, for functions with random results."""


def agree(outcome: Outcome, expected: Outcome, compares: Compares = "value") -> bool:
    """Whether a program did what the reference did: the same value or shape, or the same type of exception."""
    match outcome, expected:
        case _ if not is_informative(expected):
            return True
        case Returned(value), Returned(right):
            return same(value, right) if compares == "value" else same_shape(value, right)
        case Raised(exception), Raised(right):
            return exception == right
    return False


def is_informative(expected: Outcome) -> bool:
    """Whether an outcome of the reference can be compared with; not when it ran out of time, memory or stack."""
    match expected:
        case Ended():
            return False
        case Raised(builtin=name):
            return name not in ("MemoryError", "RecursionError")
    return True


def same_shape(value: Value, right: Value) -> bool:
    if type(value) is not type(right):
        return False
    if isinstance(value, list | tuple):
        return len(value) == len(right) and all(map(same_shape, value, right))
    if isinstance(value, dict):
        return value.keys() == right.keys() and all(same_shape(value[key], right[key]) for key in value)
    return True


def has_nan_or_infinity(value: Value) -> bool:
    """Whether a nan or an infinity is anywhere in the value."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(has_nan_or_infinity(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple | set) and any(map(has_nan_or_infinity, value))


def boolean_flags(value: Value, place: str = "result") -> Iterator[tuple[str, bool]]:
    """Every True or False in tuples, with its place."""
    if isinstance(value, bool):
        yield place, value
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from boolean_flags(part, f"{place}[{index}]")
