"""An exception by its name, on either side of the wall: what one process raised, another can catch by type.

Runs inside the jail too; the standard library only.
"""

import ast
import builtins
import contextlib


class ProgramEnded(Exception):
    """The program that was called is gone or gave no plain value: it ran out of time or memory, or left."""


def builtin_name(kind: type[BaseException]) -> str:
    """The nearest built-in ancestor of an exception type, by name."""
    for ancestor in type.__dict__["__mro__"].__get__(kind):
        name = type.__dict__["__name__"].__get__(ancestor)
        if type(name) is str and builtins.__dict__.get(name) is ancestor:
            return name
    return "BaseException"


def exception(name: str, message: str, builtin: str) -> Exception:
    """An exception to raise that `except` finds under its nearest built-in ancestor, and that shows its own name.

    SystemExit and its like become plain Exceptions: they would end the process that only heard of them.
    """
    kind = builtins.__dict__.get(builtin)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = Exception
    for ancestor in kind.__mro__:  # UnicodeDecodeError takes five arguments; ValueError, above it, takes the message
        try:
            own = ancestor if ancestor.__name__ == name else type(_plain(name), (ancestor,), {})
            made = own(_key(message) if issubclass(ancestor, KeyError) else message)
        except TypeError:
            continue
        if isinstance(made, Exception):
            return made
    return Exception(message)


def _plain(name: str) -> str:
    return name if name.isidentifier() else "Exception"


def _key(message: str) -> object:
    """The key in a KeyError's message, which is its repr."""
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(message)
    return message
