"""Check of the semantic layer: a status that is always True, or always False, such as an accept flag never computed."""

import ast
from collections.abc import Iterator

from preferences.code_gate.static_checks.syntax_tree import (
    Finding,
    Function,
    completes,
    functions,
    is_called,
    is_generator,
    own,
    parameters,
    returns,
)


def constant_status(tree: ast.Module) -> Iterator[Finding]:
    """Functions of which every path returns the same True or False at one place of a tuple, or alone where a caller
    branches on it."""
    for function in functions(tree):
        if not completes(function.body) and not is_generator(function):
            for column in _columns(function, tree):
                values = {_flag(node, function) for node in column}
                if len(values) == 1 and None not in values:
                    yield function.lineno, f"every path of {function.name} returns {values.pop()} as its status"


def _columns(function: Function, tree: ast.Module) -> list[tuple[ast.expr, ...]]:
    """What may be a status: for each place of the returned tuples, the expressions that the paths return there."""
    values = [end.value for end in returns(function) if end.value is not None]
    rows = [value.elts for value in values if isinstance(value, ast.Tuple) and len(value.elts) > 1]
    if rows and len(rows) == len(returns(function)) and len({len(row) for row in rows}) == 1:
        return list(zip(*rows, strict=True))
    alone = values and len(values) == len(returns(function)) and _is_branched_on(function.name, tree)
    return [tuple(values)] if alone else []


def _flag(node: ast.expr, function: Function) -> bool | None:
    """The True or False that an expression is, also a name that is only ever assigned that; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return node.value
    if not isinstance(node, ast.Name) or node.id in parameters(function):
        return None
    stores = [n for n in own(function.body) if isinstance(n, ast.Name) and n.id == node.id and not _is_load(n)]
    assigned = [
        statement.value.value
        for statement in own(function.body)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and any(isinstance(target, ast.Name) and target.id == node.id for target in statement.targets)
    ]
    constant = len(set(assigned)) == 1 and len(assigned) == len(stores) and isinstance(assigned[0], bool)
    return bool(assigned[0]) if constant else None


def _is_load(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _is_branched_on(name: str, tree: ast.Module) -> bool:
    """Whether the result of that function decides a branch, directly or through a name."""
    tests = [n.test for n in ast.walk(tree) if isinstance(n, ast.If | ast.While | ast.IfExp | ast.Assert)]
    tests += [test for n in ast.walk(tree) if isinstance(n, ast.comprehension) for test in n.ifs]
    parts = [part for test in tests for part in ast.walk(test)]
    results = {
        target.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and is_called(n.value, name)
        for target in n.targets
        if isinstance(target, ast.Name)
    }
    return any(is_called(part, name) or (isinstance(part, ast.Name) and part.id in results) for part in parts)
