"""The eight layers in their order. A newcomer is one file with a `check` and one entry here."""

from collections.abc import Callable

from preferences.certify.receipt import Receipt
from preferences.code_gate import coverage, dataflow, differential, edge_cases, fuzz, invariant, semantic
from preferences.code_gate import property as properties
from preferences.code_gate.program_under_test import ProgramUnderTest

LAYERS: dict[str, Callable[[ProgramUnderTest], Receipt]] = {
    "invariant": invariant.check,
    "differential": differential.check,
    "property": properties.check,
    "fuzz": fuzz.check,
    "semantic": semantic.check,
    "dataflow": dataflow.check,
    "edge_cases": edge_cases.check,
    "coverage": coverage.check,
}
