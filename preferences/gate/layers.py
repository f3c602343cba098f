"""The eight layers in their order. A newcomer is one file with a `check` and one entry here."""

from collections.abc import Callable

from preferences.gate import coverage, dataflow, differential, edge_cases, fuzz, invariant, semantic
from preferences.gate import property as properties
from preferences.gate.trial import Trial
from preferences.receipt import Receipt

LAYERS: dict[str, Callable[[Trial], Receipt]] = {
    "invariant": invariant.check,
    "differential": differential.check,
    "property": properties.check,
    "fuzz": fuzz.check,
    "semantic": semantic.check,
    "dataflow": dataflow.check,
    "edge_cases": edge_cases.check,
    "coverage": coverage.check,
}
