"""Layer 6: where values go, from the syntax tree.

Samples lost where a step was not accepted (static_checks/lost_samples.py), a loop that never repeats, a parameter that
is never read. To add a check, add a function to `CHECKS`.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

from preferences.certify.receipt import Receipt
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from preferences.code_gate.static_checks.lost_samples import lost_samples
from preferences.code_gate.static_checks.program_analysis import ParsedProgram
from preferences.code_gate.static_checks.syntax_tree import (
    LOOPS,
    Finding,
    Function,
    completes,
    functions,
    leaving,
    methods,
    names,
    own,
    parameters,
    parse,
    reads,
    without_docstring,
)


def check(program: ProgramUnderTest) -> Receipt:
    found = program.analysis.findings["dataflow"]
    failing = "; ".join(f"line {line}: {what}" for line, what in found[:3])
    return Receipt("dataflow", not found, {"checks": len(CHECKS), "findings": len(found)}, failing)


def _lost_samples(parsed: ParsedProgram) -> Iterator[Finding]:
    return lost_samples(parsed.tree)


def _never_repeats(parsed: ParsedProgram) -> Iterator[Finding]:
    """A loop whose body always ends in a return. `for x in xs: return x` is an idiom for the first item, if any."""
    for loop in ast.walk(parsed.tree):
        if not isinstance(loop, LOOPS) or completes(loop.body) or any(leaving(loop)):
            continue
        returned = any(isinstance(node, ast.Return) for node in own(loop.body))
        if returned and not (isinstance(loop, ast.For) and isinstance(loop.body[0], ast.Return)):
            yield loop.lineno, "this loop returns in its first iteration on every path"


def _unread_parameters(parsed: ParsedProgram) -> Iterator[Finding]:
    """A parameter of the entry point, or of a function that is only ever called, that is never read. Not where the
    reference does not read it either, or where the name begins with an underscore."""
    tree, contract = parsed.tree, parsed.contract
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    passed_on = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}
    excused = _unread_places(parse(contract.reference), contract.entry_point)
    for function in functions(tree):
        handed_on = function.name in passed_on or function in methods(tree) or function.decorator_list
        if handed_on and function.name != contract.entry_point:
            continue
        for place, name in enumerate(_unread(function)):
            if name and not (function.name == contract.entry_point and place in excused):
                yield function.lineno, f"{function.name} never reads its parameter {name}"


def _unread_places(tree: ast.Module, name: str) -> set[int]:
    return {
        place
        for function in functions(tree)
        if function.name == name
        for place, unread in enumerate(_unread(function))
        if unread
    }


def _unread(function: Function) -> list[str]:
    """The parameters by place: "" for one that is read, or need not be."""
    whole = any(isinstance(n, ast.Call) and ast.unparse(n.func) in ("locals", "vars") for n in own(function.body))
    stub = not without_docstring(function.body) or isinstance(without_docstring(function.body)[0], ast.Raise)
    return [
        "" if whole or stub or name.startswith("_") or _is_read(function.body, name) else name
        for name in parameters(function)
    ]


def _is_read(body: Sequence[ast.stmt], name: str) -> bool:
    for statement in body:
        if reads(statement, name) or (isinstance(statement, ast.AugAssign) and name in names(statement)):
            return True
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return False  # overwritten before it is read
    return any(isinstance(n, ast.AugAssign) and name in names(n.target) for part in body for n in ast.walk(part))


CHECKS: tuple[Callable[[ParsedProgram], Iterator[Finding]], ...] = (_lost_samples, _never_repeats, _unread_parameters)
