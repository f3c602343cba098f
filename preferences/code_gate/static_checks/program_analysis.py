"""Parses a program once for the layers that only read it. This runs in the process of a Parser, because the program is
untrusted."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from preferences.code_gate.contract.contract import Contract
from preferences.code_gate.static_checks.syntax_tree import UNREADABLE, Finding, numbers, parse

LONGEST_NUMBER = 10_000  # bits


@dataclass(frozen=True)
class ParsedProgram:
    """A program that Python can parse, with its contract."""

    program: str
    contract: Contract
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class ProgramAnalysis:
    """JSON values: the numbers in a program and the findings of each layer; or the fault, why it cannot be parsed."""

    fault: str = ""
    numbers: Sequence[float] = ()
    findings: dict[str, list[Finding]] = field(default_factory=dict)


def analyse_program(program: str, contract: dict[str, Any]) -> ProgramAnalysis:
    """The findings of the layers that read the program, by layer, each in order of the lines."""
    from preferences.code_gate.layers import dataflow, semantic

    try:
        tree = parse(program)
    except UNREADABLE as error:
        return ProgramAnalysis(f"it is not Python: {type(error).__name__}: {error}"[:300])
    integers = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int)
    if any(number.bit_length() > LONGEST_NUMBER for number in integers):
        return ProgramAnalysis("not read: a number in it is longer than Python writes out")
    parsed = ParsedProgram(program, Contract.from_json(contract), tree)
    layers = {"semantic": semantic.CHECKS, "dataflow": dataflow.CHECKS}
    try:
        findings = {
            name: sorted({found for check in checks for found in check(parsed)}) for name, checks in layers.items()
        }
    except RecursionError:
        return ProgramAnalysis("the program is too deeply nested to be read")
    return ProgramAnalysis("", sorted(numbers(tree)), findings)
