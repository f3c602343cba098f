"""Layer 3: hypothesis draws inputs; the program agrees with the reference and has the contract's properties on each.

All inputs are called in one process. A failing one is shrunk, call by call. An input that ended the process is not
shrunk, because every step would cost the time limit: it is reported as it was drawn.
"""

from collections.abc import Sequence

from common.errors import BadInput
from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.agreement import agree
from preferences.code_gate.contract.properties import Arguments, Calls, Property
from preferences.code_gate.execution.contract_bench import calls
from preferences.code_gate.execution.harness import call_name, callable_source
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from probes.scoring.execution.calls import describe
from sandbox import Outcome, RunningProgram, SandboxBroken


class _Halt(BaseException):
    """Ends hypothesis' search at once, which any Exception would not."""


def check(program: ProgramUnderTest) -> Receipt:
    rows, contract = program.bench.examples, program.contract
    failing = program.attempt(
        callable_source(program.source, contract), lambda candidate: _search(program, candidate, rows)
    )
    return Receipt("property", not failing, {"examples": len(rows), "properties": len(contract.properties)}, failing)


def _search(program: ProgramUnderTest, candidate: RunningProgram, rows: Sequence[Arguments]) -> str:
    """How one process of the program fails on the smallest input; "" where it does not."""

    def call(some: Sequence[Arguments]) -> list[Outcome]:
        outcomes = calls(candidate, call_name(program.contract), some, tell=True)
        program.watch(some, outcomes)
        return outcomes

    failures = _failures(program, rows, call)
    known = dict(zip(map(repr, rows), failures, strict=True))
    first = next(filter(None, failures), "")
    return _shrink(program, candidate, known) or first if first and candidate.ended is None else first


def _failures(program: ProgramUnderTest, rows: Sequence[Arguments], call: Calls) -> list[str]:
    bench, contract = program.bench, program.contract
    outcomes = call(rows)
    found = []
    for row, outcome, right in zip(rows, outcomes, bench.reference(rows), strict=True):
        agrees = agree(outcome, right, contract.compares)
        found.append("" if agrees else f"{bench.note(row, outcome)}, and the reference {describe(right)}")
    for property_ in contract.properties:
        broken = property_.broken(rows, outcomes, list(contract.parameters), call, bench.helper)
        for place, (row, outcome, how) in enumerate(zip(rows, outcomes, broken, strict=True)):
            if how and not found[place]:
                _require_reference_has(property_, program, row)
                found[place] = f"{property_.name}: {bench.note(row, outcome)}, and {how}"
    return found


def _require_reference_has(property_: Property, program: ProgramUnderTest, row: Arguments) -> None:
    bench, parameters = program.bench, list(program.contract.parameters)
    outcomes = bench.reference_calls([row])
    if any(property_.broken([row], outcomes, parameters, bench.reference_calls, bench.helper)):
        raise BadInput(
            f"a reference must have the properties of its contract, and {property_.name} fails on "
            f"{bench.note(row, outcomes[0])}; leave the property out or mend the reference"
        )


def _shrink(program: ProgramUnderTest, candidate: RunningProgram, known: dict[str, str]) -> str:
    """How it fails on the smallest input. Each input is judged once, because a program may use random numbers."""
    from preferences.code_gate.execution.hypothesis_search import shrunk

    smallest = ""
    trouble: list[Exception] = []

    def call(rows: Sequence[Arguments]) -> list[Outcome]:
        outcomes = calls(candidate, call_name(program.contract), rows, tell=True)
        if candidate.ended is not None:
            raise _Halt
        return outcomes

    def fails(row: Arguments) -> bool:
        nonlocal smallest
        if repr(row) not in known:
            try:
                known[repr(row)] = _failures(program, [row], call)[0]
            except (SandboxBroken, BadInput) as error:  # hypothesis would take them for failures of the program
                trouble.append(error)
                raise _Halt from error
        smallest = known[repr(row)] or smallest
        return bool(known[repr(row)])

    try:
        row = shrunk(program.bench.kinds, program.bench.property_seed, fails)
    except _Halt:
        if trouble:
            raise trouble[0] from None
        return smallest
    return known[repr(row)] if row is not None else smallest
