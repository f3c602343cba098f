"""The layers in order. To add one, add a file with a `check`, an entry here, and its name in GATES of
preferences/certify/certificate.py."""

from collections.abc import Callable

from preferences.certify.receipt import Receipt
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from preferences.code_gate.layers import (
    coverage,
    dataflow,
    differential,
    edge_cases,
    fuzz,
    invariant,
    properties,
    semantic,
)

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
