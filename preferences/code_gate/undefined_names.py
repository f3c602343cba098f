"""Names that nothing defines: a missing import, a helper that was never written. Scopes are the compiler's own."""

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterator

from preferences.code_gate.syntax_tree import Finding

_MODULE_NAMES = (
    "__name__ __doc__ __file__ __spec__ __loader__ __package__ __builtins__ "
    "__annotations__ __class__ __module__ __qualname__ __dict__ __path__"
)
_GIVEN = {*dir(builtins), *_MODULE_NAMES.split()}


def find_undefined(source: str, tree: ast.Module) -> Iterator[Finding]:
    """Every name that is looked up in the module and that neither it nor Python defines. Nothing where the program
    imports *: who knows what that brings."""
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(source, "<program>", "exec")
    tables = list(_below(top))
    defined = {symbol.get_name() for symbol in top.get_symbols() if _bound(symbol)}
    defined |= {s.get_name() for table in tables for s in table.get_symbols() if s.is_declared_global() and _bound(s)}
    wanted = {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is top or _is_global(symbol))
    }
    missing = wanted - defined - _GIVEN
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in missing:
            missing.discard(node.id)
            yield node.lineno, f"{node.id} is used, and nothing defines or imports it"


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _below(child)


def _is_global(symbol: symtable.Symbol) -> bool:
    return symbol.is_global() and not symbol.is_local()  # Python 3.11 takes a function called `top` for the module


def _bound(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
