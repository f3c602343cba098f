"""Helpers to read a syntax tree: what belongs to a function, which paths end, what is a literal."""

import ast
import builtins
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
Finding: TypeAlias = tuple[int, str]
"""A line of the program, and what is wrong there."""

LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
NOT_LITERAL = object()
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `parse` raises for a text that is no Python, or too deeply nested to be read."""


def parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about foreign code
        return ast.parse(source)


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def methods(tree: ast.AST) -> set[Function]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {node for one in classes for node in one.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def own(nodes: Iterable[ast.AST], stop: tuple[type[ast.AST], ...] = _SCOPES) -> Iterator[ast.AST]:
    """These nodes and their descendants, in order, without the bodies of inner functions and classes."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, stop):
            waiting += list(ast.iter_child_nodes(node))[::-1]


def returns(function: Function) -> list[ast.Return]:
    return [node for node in own(function.body) if isinstance(node, ast.Return)]


def is_generator(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own(function.body))


def parameters(function: Function) -> list[str]:
    """All names that a call binds, those of * and ** last."""
    every = function.args
    stars = [one for one in (every.vararg, every.kwarg) if one is not None]
    return [one.arg for one in (*every.posonlyargs, *every.args, *every.kwonlyargs, *stars)]


def reads(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(node))


def names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def literal(node: ast.AST | None) -> Any:
    """The value of a literal, of None for an absent node; NOT_LITERAL for anything else."""
    if node is None:
        return None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id in ("set", "list", "dict", "tuple", "float") and all(
            isinstance(argument, ast.Constant) for argument in node.args
        ):
            return getattr(builtins, node.func.id)() if not node.args else ast.unparse(node)
        return NOT_LITERAL
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return NOT_LITERAL


def numbers(tree: ast.AST) -> set[float]:
    """The numbers that are written in it."""
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, int | float) and abs(value) < 10**6}


def is_called(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def without_docstring(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements that do something; a text or `...` as a statement does nothing."""
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


def completes(body: Sequence[ast.stmt]) -> bool:
    """Whether control may reach the end of these statements."""
    return all(map(_completes, body))


def _completes(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return False
        case ast.If(body=body, orelse=orelse):
            return completes(body) or completes(orelse)
        case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
            return completes(body) or any("suppress" in ast.unparse(item) for item in items)
        case (
            ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final)
            | ast.TryStar(body=body, handlers=handlers, orelse=orelse, finalbody=final)
        ):
            ways = [[*body, *orelse], *(handler.body for handler in handlers)]
            return completes(final) and any(map(completes, ways))
        case ast.While(test=ast.Constant(value=value)) if value:
            return any(isinstance(node, ast.Break) for node in leaving(statement))
        case ast.Match(cases=cases):
            whole = any(isinstance(c.pattern, ast.MatchAs) and c.pattern.pattern is None and not c.guard for c in cases)
            return not whole or any(completes(case.body) for case in cases)
    return True


def leaving(loop: Loop) -> Iterator[ast.Break | ast.Continue]:
    """The break and continue statements that belong to this loop."""
    for node in own(loop.body, (*_SCOPES, *LOOPS)):
        if isinstance(node, ast.Break | ast.Continue):
            yield node
        elif isinstance(node, LOOPS):  # one in the else of an inner loop belongs to this one
            yield from (n for n in own(node.orelse) if isinstance(n, ast.Break | ast.Continue))
