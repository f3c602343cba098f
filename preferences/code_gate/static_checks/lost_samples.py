"""Check of the dataflow layer: a Metropolis-Hastings trace that leaves out the rejected steps. Every step is a sample,
whether or not its proposal was accepted.

    state, accepted = step(state, ...)
    if accepted:
        samples.append(state)

A filter is not reported: its state is not passed back into the step, or its condition is no status of the same call.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from preferences.code_gate.static_checks.syntax_tree import LOOPS, Finding, Loop, completes, names, own

_GROWS = {"append", "add", "extend", "insert", "appendleft", "update"}


@dataclass(frozen=True)
class _StateCall:
    """A call in a loop that takes a state and returns the next one with a status.

    states: source texts of expressions that hold the state. flags: source texts of expressions that are the status.
    """

    states: frozenset[str]
    flags: frozenset[str]


def lost_samples(tree: ast.Module) -> Iterator[Finding]:
    """Accumulators that get the state only if the status of the same step is true (or only if it is false)."""
    for loop in ast.walk(tree):
        if isinstance(loop, LOOPS):
            for step in _steps(loop):
                yield from _lost(loop, step)


def _steps(loop: Loop) -> Iterator[_StateCall]:
    for node in own(loop.body):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call() as call) if len(targets) > 1:
                parts = [target.id for target in targets if isinstance(target, ast.Name) and target.id.strip("_")]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                parts = _parts(loop, name)
            case _:
                continue
        arguments = set().union(*(names(argument) for argument in (*call.args, *(key.value for key in call.keywords))))
        for state in parts:
            holders = {state} | {target for target, value in _assignments(loop) if _mentions(value, {state})}
            if arguments & holders:  # the state is passed back into the step
                yield _StateCall(frozenset(holders), frozenset(parts) - {state})


def _parts(loop: Loop, name: str) -> list[str]:
    """The parts of a result that the loop uses, such as `name[0]` and `name.accepted`."""
    uses = [node for node in own(loop.body) if isinstance(node, ast.Subscript | ast.Attribute)]
    return sorted({ast.unparse(node) for node in uses if isinstance(node.value, ast.Name) and node.value.id == name})


def _assignments(loop: Loop) -> Iterator[tuple[str, ast.expr]]:
    for node in own(loop.body):
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call):
            for target in node.targets:
                pairs = (
                    zip(target.elts, node.value.elts, strict=False)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
                yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))


def _mentions(node: ast.AST, texts: Collection[str]) -> bool:
    return any(_is_any_of(part, texts) for part in ast.walk(node))


def _is_any_of(node: ast.AST, texts: Collection[str]) -> bool:
    return isinstance(node, ast.Name | ast.Subscript | ast.Attribute) and ast.unparse(node) in texts


def _asks(test: ast.expr, flags: Collection[str]) -> bool:
    """Whether a test depends on the truth of a flag, alone or with others; comparing a value is no such test."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _asks(inner, flags)
        case ast.BoolOp(op=operator, values=values):
            return (any if isinstance(operator, ast.And) else all)(_asks(value, flags) for value in values)
        case ast.Compare(left=left, comparators=[ast.Constant(value=True | False)]):
            return _is_any_of(left, flags)
    return _is_any_of(test, flags)


def _lost(loop: Loop, step: _StateCall) -> Iterator[Finding]:
    for body in _bodies(loop):
        for place, statement in enumerate(body):
            if not isinstance(statement, ast.If) or not _asks(statement.test, step.flags):
                continue
            rest = body[place + 1 :]
            # after `if not accepted: continue`, the rest of the body belongs to the other branch
            yes = [*statement.body, *(rest if completes(statement.body) else [])]
            no = [*statement.orelse, *(rest if completes(statement.orelse) else [])]
            for here, there in ((yes, no), (no, yes)):
                elsewhere = [*body[:place], *there]
                if _grown(elsewhere, step.states):
                    continue  # the other branch keeps the state, too
                lost = _grown(here, step.states) - _grown(elsewhere, None)
                for accumulator in sorted(lost):
                    yield statement.lineno, f"{accumulator} gets the state only if {ast.unparse(statement.test)[:60]}"


def _bodies(loop: Loop) -> Iterator[Sequence[ast.stmt]]:
    yield loop.body
    for node in own(loop.body):
        if isinstance(node, ast.If | ast.With | ast.Try):
            yield node.body
            yield getattr(node, "orelse", [])


def _grown(statements: Sequence[ast.stmt], states: frozenset[str] | None) -> set[str]:
    """The accumulators that these statements add to: the state if `states` are given, else anything."""
    accumulators = set()
    for node in own(statements):
        match node:
            case ast.Call(func=ast.Attribute(value=target, attr=name), args=[*values]) if name in _GROWS:
                pass
            case ast.AugAssign(target=target, op=ast.Add(), value=value):
                values = [value]
            case ast.Assign(targets=[ast.Subscript(value=target)], value=value):
                values = [value]
            case ast.Assign(targets=[ast.Name() as target], value=ast.BinOp(left=ast.Name(id=name), right=value)):
                if target.id != name:
                    continue
                values = [value]
            case ast.Yield(value=ast.expr() as value):
                target, values = ast.Name("the generator"), [value]
            case _:
                continue
        if states is None or any(_mentions(value, states) for value in values):
            accumulators.add(ast.unparse(target))
    return accumulators
