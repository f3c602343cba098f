"""Layer 5: mistakes that a reviewer would see, from the syntax tree.

Undefined names (pyflakes), hard-coded expected values (static_checks/hard_coded.py), a status that is always the same
(static_checks/constant_status.py), results of a step that are discarded, checks that check nothing, exceptions that are
swallowed. To add a check, add a function to `CHECKS`.
"""

import ast
import re
from collections.abc import Callable, Iterator

from preferences.certify.receipt import Receipt
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from preferences.code_gate.static_checks.constant_status import constant_status
from preferences.code_gate.static_checks.hard_coded import hard_coded
from preferences.code_gate.static_checks.program_analysis import ParsedProgram
from preferences.code_gate.static_checks.syntax_tree import (
    NOT_LITERAL,
    Finding,
    Function,
    completes,
    functions,
    literal,
    methods,
    parameters,
    returns,
    without_docstring,
)

_CHECKS_SOMETHING = re.compile(r"(^|_)(check|assert|verify|validate|ensure|require|test)(_|$)")
_BROAD = {"Exception", "BaseException"}
_LOGGING = {"print", "warn", "debug", "info", "warning", "error", "exception", "log"}


def check(program: ProgramUnderTest) -> Receipt:
    found = program.analysis.findings["semantic"]
    failing = "; ".join(f"line {line}: {what}" for line, what in found[:3])
    return Receipt("semantic", not found, {"checks": len(CHECKS), "findings": len(found)}, failing)


def _undefined_names(parsed: ParsedProgram) -> Iterator[Finding]:
    """Names that the program reads and never defines or imports. Nothing in a program that imports *: pyflakes reports
    those otherwise."""
    from pyflakes.checker import Checker
    from pyflakes.messages import UndefinedName

    undefined = [message for message in Checker(parsed.tree).messages if isinstance(message, UndefinedName)]
    first = {name: message.lineno for message in reversed(undefined) for name in message.message_args}
    for name, line in first.items():
        yield line, f"{name} is used, and nothing defines or imports it"


def _hard_coded(parsed: ParsedProgram) -> Iterator[Finding]:
    return hard_coded(parsed.tree, parsed.contract)


def _constant_status(parsed: ParsedProgram) -> Iterator[Finding]:
    return constant_status(parsed.tree)


def _discarded_step(parsed: ParsedProgram) -> Iterator[Finding]:
    """`_ = step(...)` for a function of the program or a parameter, `_, _ = f(...)`, and a bare call of a function of
    the program that always returns a tuple."""
    tree = parsed.tree
    tupled = {f.name for f in functions(tree) if _always_tuple(f)}
    known = {f.name for f in functions(tree)} | {name for f in functions(tree) for name in parameters(f)}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=parts) | ast.List(elts=parts)], value=ast.Call()):
                discarded = bool(parts) and all(_is_blank(part) for part in parts)
            case ast.Assign(targets=[target], value=ast.Call(func=ast.Name(id=name))):
                discarded = _is_blank(target) and name in known
            case ast.Assign(targets=[target], value=ast.Call(func=ast.Attribute(value=ast.Name(id="self")))):
                discarded = _is_blank(target)
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
                discarded = name in tupled
            case _:
                continue
        if discarded:
            yield node.lineno, f"the result of a step is discarded: {ast.unparse(node)[:80]}"


def _is_blank(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and not target.id.strip("_")


def _always_tuple(function: Function) -> bool:
    ends = returns(function)
    return bool(ends) and not completes(function.body) and all(isinstance(end.value, ast.Tuple) for end in ends)


def _checks_nothing(parsed: ParsedProgram) -> Iterator[Finding]:
    """An assert that always holds, a `pass` next to other statements, an `if` that only passes, and a function that
    does nothing although it is called or named as a check."""
    called = {n.func.id for n in ast.walk(parsed.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    inside = methods(parsed.tree)
    for node in ast.walk(parsed.tree):
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            for statement in body if isinstance(body, list) and len(without_docstring(body)) > 1 else []:
                if isinstance(statement, ast.Pass):
                    yield statement.lineno, "a pass among other statements"
        match node:
            case ast.Assert(test=test) if _always_true(test):
                yield node.lineno, f"{ast.unparse(node)[:80]} always holds"
            case ast.If(body=body, orelse=[]) if _only_passes(body) and not _is_elif(node, parsed.program):
                yield node.lineno, f"if {ast.unparse(node.test)[:60]}: does nothing"
            case ast.FunctionDef(name=name, body=body) if _only_passes(body):
                wanted = node not in inside and (name in called or name == parsed.contract.entry_point)
                if wanted or _CHECKS_SOMETHING.search(name):
                    yield node.lineno, f"{name} does nothing"


def _always_true(test: ast.expr) -> bool:
    value = literal(test)
    return (value is not NOT_LITERAL and bool(value)) or (isinstance(test, ast.Tuple) and bool(test.elts))


def _only_passes(body: list[ast.stmt]) -> bool:
    return all(isinstance(statement, ast.Pass) for statement in without_docstring(body))


def _is_elif(node: ast.If, program: str) -> bool:
    """The last `elif` of a chain may do nothing on purpose."""
    return program.splitlines()[node.lineno - 1].lstrip().startswith("elif")


def _swallowed_exception(parsed: ParsedProgram) -> Iterator[Finding]:
    """A bare or broad except that ignores the exception: pass, continue, a constant, a message."""
    for node in ast.walk(parsed.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and all(map(_is_idle, node.body)):
            yield node.lineno, f"every exception is swallowed: {ast.unparse(node).splitlines()[0]}"
        elif isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                arguments = call.args if isinstance(call, ast.Call) else []
                if any(map(_is_broad, arguments)) and ast.unparse(call).split("(")[0].endswith("suppress"):
                    yield node.lineno, f"every exception is swallowed: {ast.unparse(call)}"


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(one, ast.Name) and one.id in _BROAD for one in kinds)


def _is_idle(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Continue() | ast.Break():
            return True
        case ast.Return(value=value) | ast.Assign(value=value):
            return literal(value) is not NOT_LITERAL
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name in _LOGGING
    return False


CHECKS: tuple[Callable[[ParsedProgram], Iterator[Finding]], ...] = (
    _undefined_names,
    _hard_coded,
    _constant_status,
    _discarded_step,
    _checks_nothing,
    _swallowed_exception,
)
