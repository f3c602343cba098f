"""What the text of a Python program tells without running it: does it compile, what does it define.

Nothing here bounds what compiling takes: a text of a model comes here inside of a Parser's process (parser.py) only.
"""

import ast
import functools
import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LIMIT = 32 * 1024  # characters

_TROUBLE = (ValueError, RecursionError, MemoryError, OverflowError, SystemError)  # ValueError: NUL, lone surrogates
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_ACTIONS = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_PLAIN = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Pass)
_SELF_TESTS = (
    *(ast.Expr, ast.Assert, ast.Raise, ast.Delete),
    *(ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Match),
)


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """A source that does not compile, and the first line (from 1) that is wrong; 0 where that is not known."""

    line: int = 0


@functools.lru_cache(maxsize=8)  # one answer is often looked at twice, and a stub with each of its answers
def parse(source: str) -> ast.Module | SyntaxFault:
    """The tree of a source that compiles. A source over LIMIT is a SyntaxFault without being read."""
    if len(source) > LIMIT:
        return SyntaxFault()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<answer>", "exec", dont_inherit=True)  # also finds a `return` outside of a function
            return ast.parse(source)
        except SyntaxError as error:
            return SyntaxFault(error.lineno or 0)
        except _TROUBLE:
            return SyntaxFault()


def is_idle(statement: ast.stmt) -> bool:
    """Does the statement do nothing? A docstring, `...`, or a line of English that happens to parse."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    return isinstance(statement, ast.Expr) and not any(isinstance(node, _ACTIONS) for node in ast.walk(statement))


def statements(program: ast.Module | SyntaxFault) -> int:
    """The number of statements, at all depths, that are not idle; 0 for a fault."""
    if isinstance(program, SyntaxFault):
        return 0
    return sum(isinstance(node, ast.stmt) and not is_idle(node) for node in ast.walk(program))


def defines(program: ast.Module | SyntaxFault, name: str) -> bool:
    """Does the program bind the name at top level, and if to a function, to one that is more than a skeleton?

    A skeleton holds a docstring, ``...``, ``pass``, ``raise NotImplementedError`` or ``return NotImplemented`` and
    nothing else.

    With no name to look for: does it hold any statement that is not idle?
    """
    if isinstance(program, SyntaxFault):
        return False
    if not name:
        return statements(program) > 0
    found = False
    for statement in program.body:
        if name in _bound(statement):
            found = not (isinstance(statement, _FUNCTIONS) and all(map(_is_placeholder, statement.body)))
    return found


def _is_placeholder(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return _name(raised) == "NotImplementedError"
    if isinstance(statement, ast.Return) and statement.value is not None:
        return _name(statement.value) == "NotImplemented"
    return isinstance(statement, ast.Pass) or is_idle(statement)


def only_defines(program: ast.Module | SyntaxFault) -> bool:
    """Does the program compile, and would `definitions` drop nothing of it?"""
    return isinstance(program, ast.Module) and len(_kept(program)) == len(program.body)


def needed(earlier: Sequence[ast.Module | SyntaxFault], program: ast.Module | SyntaxFault) -> list[int]:
    """The places of the earlier programs that this one needs before it: those that only define or import, and bind a
    name that it reads and does not bind itself, or that one of them reads which it needs."""
    if isinstance(program, SyntaxFault):
        return []
    missing = _names(program, ast.Load) - _all_bound(program)
    places = []
    for place, other in reversed([*enumerate(earlier)]):
        if isinstance(other, ast.Module) and only_defines(other) and (bound := _all_bound(other)) & (missing | {"*"}):
            places.append(place)
            missing = (missing - bound) | (_names(other, ast.Load) - bound)
    return places[::-1]


def _all_bound(block: ast.AST) -> set[str]:
    """What the statements at the top of a program bind, also those inside ``try`` and ``if``; "*" of a star import."""
    inner = [node for node in ast.iter_child_nodes(block) if isinstance(node, ast.stmt | ast.ExceptHandler)]
    return set[str]().union(
        *(
            _all_bound(node) if isinstance(node, ast.If | ast.Try | ast.TryStar | ast.ExceptHandler) else _bound(node)
            for node in inner
        )
    )


def definitions(source: str) -> str | None:
    """The source without its top-level self-tests; None when it does not compile or has none.

    Docstring, imports, functions, classes and assignments stay, letter by letter, and so do `if TYPE_CHECKING` and
    `try` blocks of only imports and assignments. An assignment that calls something, such as `result = f(3)` or
    `n = int(input())`, or reads what such a one gave, is a self-test, unless a function or class reads it.
    """
    program = parse(source)
    if isinstance(program, SyntaxFault) or only_defines(program):
        return None
    return "".join(f"{text}\n" for text in _texts(source, _kept(program)))


def _bound(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            return _names(statement, ast.Store)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {alias.asname or alias.name for alias in aliases}
        case _:
            return set()


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def _kept(program: ast.Module) -> list[ast.stmt]:
    read, kept, gone = _read_by_definitions(program), [], set[str]()
    for statement in program.body:
        needed = isinstance(statement, _DEFINITIONS) or bool(_bound(statement) & read)
        if _stays(statement) and (needed or not (_calls(statement) or _names(statement, ast.Load) & gone)):
            kept.append(statement)
        else:
            gone |= _bound(statement)
    return [*program.body[:1], *kept] if ast.get_docstring(program, clean=False) is not None else kept


def _read_by_definitions(program: ast.Module) -> set[str]:
    """The names that functions and classes read, and those that the assignments of such names read."""
    read = set[str]().union(*(_reads(s) for s in program.body if isinstance(s, _DEFINITIONS)))
    for statement in reversed(program.body):
        if not isinstance(statement, _DEFINITIONS) and _bound(statement) & read:
            read |= _names(statement, ast.Load)
    return read


def _stays(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        name = statement.test.attr if isinstance(statement.test, ast.Attribute) else _name(statement.test)
        return name == "TYPE_CHECKING" and _is_plain(statement)
    if isinstance(statement, ast.Try | ast.TryStar):
        return _is_plain(statement)
    return not isinstance(statement, _SELF_TESTS) and not is_idle(statement)


def _is_plain(block: ast.stmt) -> bool:
    inner = (node for node in ast.walk(block) if isinstance(node, ast.stmt) and node is not block)
    return all(isinstance(node, _PLAIN) for node in inner)


def _calls(statement: ast.stmt) -> bool:
    """Does an assignment call something when it runs? What is inside a lambda does not."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return False
    if isinstance(statement.value, ast.Lambda):
        return False
    return any(isinstance(node, ast.Call) for node in ast.walk(statement))


def _name(expression: ast.expr) -> str:
    return expression.id if isinstance(expression, ast.Name) else ""


def _reads(definition: ast.stmt) -> set[str]:
    """The names of others that a function or class reads: not those of its own variables and parameters."""
    parameters = {node.arg for node in ast.walk(definition) if isinstance(node, ast.arg)}
    return _names(definition, ast.Load) - _names(definition, ast.Store) - parameters


def _texts(source: str, chosen: Iterable[ast.stmt]) -> Iterable[str]:
    """The text of each top-level statement, with its decorators; ast counts columns in bytes."""
    text = source.replace("\r\n", "\n").replace("\r", "\n").encode()
    starts = [0, *itertools.accumulate(len(line) + 1 for line in text.split(b"\n"))]
    for statement in chosen:
        start = starts[statement.lineno - 1] + statement.col_offset
        if isinstance(statement, _DEFINITIONS) and statement.decorator_list:
            start = starts[statement.decorator_list[0].lineno - 1]
        assert statement.end_lineno is not None
        assert statement.end_col_offset is not None
        yield text[start : starts[statement.end_lineno - 1] + statement.end_col_offset].decode()
