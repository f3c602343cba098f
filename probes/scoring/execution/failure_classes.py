"""The failure classes of executed answers: one word for how an answer or a call ended."""

import builtins
from typing import Literal, TypeAlias, get_args

from sandbox import Ended, Raised

FailureClass: TypeAlias = Literal[
    "PASS",
    "SYNTAX_ERROR",
    "NAME_ERROR",
    "IMPORT_ERROR",
    "TYPE_ERROR",
    "VALUE_ERROR",
    "INDEX_ERROR",
    "KEY_ERROR",
    "ATTRIBUTE_ERROR",
    "ZERO_DIVISION",
    "RECURSION",
    "ASSERTION_FAIL",  # it ran, and the answer is wrong
    "TIMEOUT",
    "MEMORY",
    "BROKE_SANDBOX",  # the sandbox failed with this program each time, and worked with another
    "NO_CODE",
    "REFUSAL",
    "OTHER_RUNTIME",
]
CLASSES: tuple[FailureClass, ...] = get_args(FailureClass)

# None of these is a subclass of another, so the order does not matter.
_ANCESTORS: dict[type[BaseException], FailureClass] = {
    SyntaxError: "SYNTAX_ERROR",
    NameError: "NAME_ERROR",
    ImportError: "IMPORT_ERROR",
    TypeError: "TYPE_ERROR",
    ValueError: "VALUE_ERROR",
    IndexError: "INDEX_ERROR",
    KeyError: "KEY_ERROR",
    AttributeError: "ATTRIBUTE_ERROR",
    ZeroDivisionError: "ZERO_DIVISION",
    RecursionError: "RECURSION",
    AssertionError: "ASSERTION_FAIL",
    MemoryError: "MEMORY",
}


def class_of(outcome: Raised | Ended, loading: bool = False) -> FailureClass:
    """The class of a failed call, or of a failure while the source was loading.

    An exception has the class of its nearest built-in ancestor, or OTHER_RUNTIME. The program chose its name and text.
    """
    if isinstance(outcome, Raised):
        return _class_of_name(outcome.builtin or outcome.exception)
    match outcome.reason:
        case "timeout":
            return "TIMEOUT"
        case "memory":
            return "MEMORY"
        case "broke_sandbox":
            return "BROKE_SANDBOX"
        case "output" | "unrepresentable" if not loading:
            return "ASSERTION_FAIL"  # it ran, and its value cannot be right
        case _:
            return "OTHER_RUNTIME"


def _class_of_name(name: str) -> FailureClass:
    kind = vars(builtins).get(name)
    if isinstance(kind, type):
        for ancestor, failure in _ANCESTORS.items():
            if issubclass(kind, ancestor):
                return failure
    return "OTHER_RUNTIME"
