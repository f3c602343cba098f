"""Passes exceptions between processes by name, so that one process can catch by type what another raised.

Runs inside the jail too; the standard library only.
"""

import ast
import builtins
import contextlib


class ProgramEnded(Exception):
    """The program that was called has ended (out of time or memory, or by itself) or gave no plain value."""


def builtin_name(kind: type[BaseException]) -> str:
    """The nearest built-in ancestor of an exception type, by name."""
    for ancestor in type.__dict__["__mro__"].__get__(kind):
        name = type.__dict__["__name__"].__get__(ancestor)
        if type(name) is str and builtins.__dict__.get(name) is ancestor:
            return name
    return "BaseException"


def exception(name: str, message: str, builtin: str) -> Exception:
    """An exception of the nearest built-in type that shows its own name.

    SystemExit and the like become plain Exceptions, so that they do not end the process that raises them again.
    """
    kind = builtins.__dict__.get(builtin)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = Exception
    for ancestor in kind.__mro__:  # UnicodeDecodeError needs five arguments; its parent ValueError takes the message
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
