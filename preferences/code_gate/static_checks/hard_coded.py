"""Check of the semantic layer: expected values that are hard-coded instead of computed."""

import ast
from collections.abc import Iterator

from preferences.code_gate.contract.contract import Contract
from preferences.code_gate.static_checks.syntax_tree import (
    NOT_LITERAL,
    Finding,
    Function,
    functions,
    literal,
    own,
    parameters,
    parse,
    reads,
    returns,
)
from probes.scoring.execution.checks import same
from sandbox import Value

# Arguments that an honest recursion starts from.
_BASE: tuple[Value, ...] = (None, 0, 1, 2, -1, "", True, False, 0.0, 1.0, [], (), {})


def hard_coded(tree: ast.Module, contract: Contract) -> Iterator[Finding]:
    """A function that ignores its parameters and returns a literal, or looks the cases up in a table. Nothing when the
    reference does so, too."""
    if next(_findings(parse(contract.reference), contract), None) is None:
        yield from _findings(tree, contract)


def _findings(tree: ast.Module, contract: Contract) -> Iterator[Finding]:
    for function in functions(tree):
        if function.name == contract.entry_point:
            yield from _constant(function)
            yield from _table(function, contract, _dicts(tree))


def _dicts(tree: ast.Module) -> dict[str, ast.Dict]:
    """The dict displays by the name that they are assigned to."""
    return {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _constant(function: Function) -> Iterator[Finding]:
    names, ends = parameters(function), returns(function)
    used = any(reads(statement, name) for statement in function.body for name in names)
    if names and not used and all(literal(end.value) is not NOT_LITERAL for end in ends):
        what = ast.unparse(ends[0].value) if ends and ends[0].value else "None"
        yield function.lineno, f"{function.name} reads none of its parameters and returns {what[:60]}"


def _table(function: Function, contract: Contract, dicts: dict[str, ast.Dict]) -> Iterator[Finding]:
    """At least two, and at least half, of the cases are looked up; starts of a recursion do not count."""
    places = {name: place for place, name in enumerate(parameters(function))}
    cases = [case for case in contract.cases if not any(_is_base(value) for value in case.arguments)]
    pairs = [pair for node in own(function.body) for pair in _pairs(node, dicts)]
    looked_up = [
        case
        for case in cases
        if any(
            all(same(case.arguments[places[name]], key) for name, key in keys.items()) and same(case.expected, value)
            for keys, value in pairs
            if keys and all(places.get(name, len(case.arguments)) < len(case.arguments) for name in keys)
        )
    ]
    if len(looked_up) >= max(2, len(cases) / 2):
        message = f"{function.name} looks {len(looked_up)} of {len(cases)} cases up instead of computing them"
        yield function.lineno, message


def _is_base(value: Value) -> bool:
    return any(same(value, base) for base in _BASE)


def _pairs(node: ast.AST, dicts: dict[str, ast.Dict]) -> Iterator[tuple[dict[str, Value], Value]]:
    """({parameter: literal}, literal) for each value that a statement or expression returns for given arguments."""
    match node:
        case ast.If(test=test, body=[ast.Return(value=value)]) | ast.IfExp(test=test, body=value):
            yield from _compared(test, literal(value))
        case ast.Match(subject=ast.Name(id=name), cases=cases):
            for case in cases:
                match case.pattern, case.body:
                    case ast.MatchValue(value=key), [ast.Return(value=value)]:
                        yield from _pair({name: literal(key)}, literal(value))
        case ast.Subscript(value=table, slice=key):
            yield from _entries(table, key, dicts)
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[key, *_]):
            yield from _entries(table, key, dicts)


def _compared(test: ast.expr, value: Value) -> Iterator[tuple[dict[str, Value], Value]]:
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    keys: dict[str, Value] = {}
    for part in parts:
        match part:
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq()], comparators=[key]):
                keys[name] = literal(key)
            case ast.Compare(left=key, ops=[ast.Eq()], comparators=[ast.Name(id=name)]):
                keys[name] = literal(key)
            case ast.Compare(left=ast.Tuple(elts=left), ops=[ast.Eq()], comparators=[ast.Tuple(elts=right)]):
                if len(left) == len(right):
                    keys |= {n.id: literal(k) for n, k in zip(left, right, strict=True) if isinstance(n, ast.Name)}
            case _:
                return
    yield from _pair(keys, value)


def _entries(table: ast.expr, key: ast.expr, dicts: dict[str, ast.Dict]) -> Iterator[tuple[dict[str, Value], Value]]:
    """The pairs of a lookup in a dict display, or in a name that is assigned one."""
    display = dicts.get(table.id) if isinstance(table, ast.Name) else table
    parts = key.elts if isinstance(key, ast.Tuple) else [key]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    if not isinstance(display, ast.Dict) or len(names) < len(parts):
        return
    for node, value in zip(display.keys, display.values, strict=True):
        entry = literal(node)
        values = entry if isinstance(key, ast.Tuple) and isinstance(entry, tuple) else (entry,)
        if node is not None and len(values) == len(names):
            yield from _pair(dict(zip(names, values, strict=True)), literal(value))


def _pair(keys: dict[str, Value], value: Value) -> Iterator[tuple[dict[str, Value], Value]]:
    if value is not NOT_LITERAL and all(key is not NOT_LITERAL for key in keys.values()):
        yield keys, value
