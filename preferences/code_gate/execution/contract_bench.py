"""The sandboxes of the code gate, and the bench: a contract with its inputs and the outcomes of its reference."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import takewhile
from random import Random
from types import TracebackType
from typing import TypeVar

from common.errors import BadInput
from preferences.code_gate.contract.agreement import agree
from preferences.code_gate.contract.contract import Contract
from preferences.code_gate.contract.parameter_kinds import KINDS, ParameterKind
from preferences.code_gate.contract.properties import Arguments
from preferences.code_gate.execution.harness import call_name, invariant_name, reference_source
from preferences.code_gate.static_checks.syntax_tree import numbers, parse
from probes.scoring.execution.calls import Call, describe
from probes.scoring.execution.parser import Parser
from sandbox import (
    Limits,
    Outcome,
    ProgramBroke,
    Returned,
    RunningProgram,
    SandboxBroken,
    Value,
    open_sandbox,
    run_twice,
)

DRAWN = 40
MOST_NUMBERS = 8
VALUE_BYTES = 128 << 10  # JSON bytes of a returned value
AHEAD = 100  # calls in one message: their values may be sent on to the invariants, and a message may have 32 MiB
T = TypeVar("T")


class ContractSandboxes:
    """One sandbox for programs, one for references, and a process that parses programs. A context manager, for the
    process that opened it."""

    def __init__(self, limits: Limits | None = None) -> None:
        """limits: of a program. SandboxUnavailable when this machine cannot isolate programs."""
        limits = limits or Limits()
        self.programs = open_sandbox(replace(limits, output_bytes=VALUE_BYTES))
        self.references = open_sandbox(Limits(4 * limits.seconds, 2 * limits.memory_mb, VALUE_BYTES, 16 << 20))
        self.parser = Parser()
        self._bench: ContractBench | None = None

    def bench(self, contract: Contract, seed: int) -> "ContractBench":
        """The latest bench if it is for the same contract and seed, so that its reference runs once; else a new one."""
        if self._bench is None or (self._bench.contract, self._bench.seed) != (contract, seed):
            if self._bench is not None:
                self._bench.close()
            self._bench = None
            self._bench = ContractBench(contract, seed, self)
        return self._bench

    def close(self) -> None:
        if self._bench is not None:
            self._bench.close()
        self.parser.close()
        self.programs.close()
        self.references.close()

    def __enter__(self) -> "ContractSandboxes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ContractBench:
    """The inputs of a contract and its reference's outcomes. drawn: the cases' arguments, ordinary ones, and some near
    the reference's numbers. catalogue and edges: fixed, of each kind (contract/parameter_kinds.py)."""

    def __init__(self, contract: Contract, seed: int, sandboxes: ContractSandboxes) -> None:
        """BadInput when the reference does not load, never returns a value, or contradicts a case."""
        self.contract, self.seed, self.sandboxes = contract, seed, sandboxes
        self._candidate: RunningProgram | None = None
        self._known: dict[str, Outcome] = {}
        self.kinds = kinds = [KINDS[kind] for kind in contract.parameters.values()]
        self.property_seed = f"{seed}/property"
        random = Random(f"{seed}/drawn")
        drawn = [tuple(kind.draw(random) for kind in kinds) for _ in range(DRAWN)]
        self.numbers = numbers(parse(contract.reference))
        self.drawn = _distinct([*(case.arguments for case in contract.cases), *drawn, *self.near(self.numbers)])
        self.catalogue = _rows(kinds, lambda kind: kind.catalogue)
        self.edges = _rows(kinds, lambda kind: kind.edges)
        try:
            self._check_reference()
        except BaseException:
            self.close()
            raise

    def _check_reference(self) -> None:
        name = self.contract.entry_point
        outcomes = self.reference(self.drawn)
        if not any(isinstance(outcome, Returned) for outcome in outcomes):
            raise BadInput(
                f"a reference must return values, and that of {name} returns none for {len(outcomes)} inputs: it "
                f"{describe(outcomes[0])}; mend it or the kinds of its parameters"
            )
        for case in self.contract.cases:
            (outcome,) = self.reference([case.arguments])
            if not agree(outcome, Returned(case.expected), self.contract.compares):
                raise BadInput(
                    f"a case and the reference must agree, and {self.note(case.arguments, outcome)}, where by the case "
                    f"it {describe(Returned(case.expected))}; mend one of them"
                )

    @cached_property
    def examples(self) -> list[Arguments]:
        """The inputs that hypothesis draws."""
        from preferences.code_gate.execution.hypothesis_search import examples

        return examples(self.kinds, self.property_seed)

    def near(self, numbers: Collection[float]) -> list[Arguments]:
        """Rows of ordinary values with one around each number, for each parameter."""
        random = Random(f"{self.seed}/near")
        rows = []
        for number in sorted(numbers)[:MOST_NUMBERS]:
            for place, kind in enumerate(self.kinds):
                for value in kind.near(number):
                    row = [other.draw(random) for other in self.kinds]
                    row[place] = value
                    rows.append(tuple(row))
        return rows

    def reference(self, rows: Sequence[Arguments]) -> list[Outcome]:
        """The reference's outcome of each row; called once per row."""
        missing = [row for row in rows if repr(row) not in self._known]
        for row, outcome in zip(missing, self._ask(call_name(self.contract), missing), strict=True):
            self._known[repr(row)] = outcome
        return [self._known[repr(row)] for row in rows]

    def reference_calls(self, rows: Sequence[Arguments]) -> list[Outcome]:
        """New calls of the reference that also report which arguments they changed."""
        return self._ask(call_name(self.contract), rows, tell=True)

    def helper(self, name: str, rows: Sequence[Arguments]) -> list[Outcome]:
        """Calls of another function of the reference."""
        return self._ask(name, rows)

    def breaches(self, rows: Sequence[Arguments], values: Sequence[Value]) -> list[str]:
        """For each row and the value a program gave for it: the first invariant that is not true, or ""."""
        broken = [""] * len(rows)
        arguments = [(*row, value) for row, value in zip(rows, values, strict=True)]
        for number, invariant in enumerate(self.contract.invariants):
            for place, outcome in enumerate(self._ask(invariant_name(number), arguments)):
                if outcome != Returned(True):
                    broken[place] = broken[place] or invariant
        return broken

    def note(self, row: Arguments, outcome: Outcome) -> str:
        """A call and its outcome in words."""
        return Call(self.contract.entry_point, row, {}, outcome).note

    def _ask(self, name: str, rows: Sequence[Arguments], tell: bool = False) -> list[Outcome]:
        """Calls in the references' sandbox. A call that ends the process is made again in a new one, because the limits
        of time and memory apply to all calls of a process together."""
        done: list[Outcome] = []
        while len(done) < len(rows):
            fresh = self._candidate is None or self._candidate.ended is not None
            done += self._run_twice(
                partial(_calls_until_end, name=name, rows=rows[len(done) :][:AHEAD], tell=tell, with_end=fresh)
            )
        return done

    def _run_twice(self, action: Callable[[RunningProgram], T]) -> T:
        def attempt() -> T:
            try:
                return action(self._open())
            except SandboxBroken:
                self.close()
                raise

        try:
            return run_twice(attempt, self.sandboxes.references)
        except ProgramBroke as trouble:
            raise BadInput(
                f"a reference must run, and that of {self.contract.entry_point} does not: {trouble}; mend it"
            ) from None

    def _open(self) -> RunningProgram:
        if self._candidate is None or self._candidate.ended is not None:
            self.close()
            contract = self.contract
            self._candidate = self.sandboxes.references.start(reference_source(contract), contract.entry_point)
            if self._candidate.loaded is not None:
                raise BadInput(
                    f"a reference must load, and that of {contract.entry_point} {describe(self._candidate.loaded)}; "
                    "mend it"
                )
        return self._candidate

    def close(self) -> None:
        """End the reference's process; the next call starts it again."""
        if self._candidate is not None:
            self._candidate.close()
            self._candidate = None


def calls(candidate: RunningProgram, name: str, rows: Sequence[Arguments], tell: bool = False) -> list[Outcome]:
    """Many calls of a program in one process."""
    parts = (rows[start : start + AHEAD] for start in range(0, len(rows), AHEAD))
    return [outcome for part in parts for outcome in candidate.calls(name, part, tell)]


def _calls_until_end(
    candidate: RunningProgram, name: str, rows: Sequence[Arguments], tell: bool, with_end: bool
) -> list[Outcome]:
    """The outcomes before the process ended. Without any: with `with_end` the end itself, else nothing."""
    outcomes = candidate.calls(name, rows, tell)
    completed = list(takewhile(lambda outcome: outcome is not candidate.ended, outcomes))
    return completed or list(outcomes[: int(with_end)])


def _rows(kinds: Sequence[ParameterKind], values: Callable[[ParameterKind], tuple[Value, ...]]) -> list[Arguments]:
    """Each value of each parameter with plain values of the others, then the values of all parameters together."""
    plain = tuple(kind.plain for kind in kinds)
    rows = [plain]
    for place, kind in enumerate(kinds):
        rows += [(*plain[:place], value, *plain[place + 1 :]) for value in values(kind)]
    for turn in range(max((len(values(kind)) for kind in kinds), default=0)):
        rows.append(tuple(values(kind)[turn % len(values(kind))] for kind in kinds))
    return _distinct(rows)


def _distinct(rows: Sequence[Arguments]) -> list[Arguments]:
    return list({repr(row): row for row in rows}.values())
