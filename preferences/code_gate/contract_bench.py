"""The two sandboxes of the gate, and the bench: a contract with its inputs and what the reference does with them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import takewhile
from random import Random
from types import TracebackType
from typing import TypeVar

from common.errors import BadInput
from preferences.code_gate.agreement import agree
from preferences.code_gate.contract import Contract
from preferences.code_gate.harness import call_name, invariant_name, reference_source
from preferences.code_gate.parameter_kinds import KINDS, ParameterKind
from preferences.code_gate.properties import Arguments
from preferences.code_gate.syntax_tree import numbers, parse
from probes.scoring.execution.calls import Call, describe
from probes.scoring.execution.parser import Parser
from sandbox import Candidate, Limits, Outcome, ProgramBroke, Returned, SandboxBroken, Value, open_sandbox, run_twice

DRAWN = 40
MOST_NUMBERS = 8
VALUE_BYTES = 128 << 10  # JSON bytes of a returned value
AHEAD = 100  # calls sent at once: what they return may be sent on to the invariants, and 32 MiB are accepted
T = TypeVar("T")


class Sandboxes:
    """One sandbox for programs, one for references, and a process that parses programs; a context manager, used in the
    process that opened it."""

    def __init__(self, limits: Limits | None = None) -> None:
        """limits: of a program. SandboxUnavailable when no sandbox holds here."""
        limits = limits or Limits()
        self.programs = open_sandbox(replace(limits, output_bytes=VALUE_BYTES))
        self.references = open_sandbox(Limits(4 * limits.seconds, 2 * limits.memory_mb, VALUE_BYTES, 16 << 20))
        self.parser = Parser()
        self._bench: ContractBench | None = None

    def bench(self, contract: Contract, seed: int) -> "ContractBench":
        """The latest one again where it is for the same contract and seed, so that its reference runs once."""
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

    def __enter__(self) -> "Sandboxes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ContractBench:
    """drawn: the cases' arguments, seeded ordinary ones, and some near the reference's numbers. catalogue and edges:
    fixed (kinds.py)."""

    def __init__(self, contract: Contract, seed: int, sandboxes: Sandboxes) -> None:
        """BadInput when the reference does not load, gives nothing, or contradicts a case."""
        self.contract, self.seed, self.sandboxes = contract, seed, sandboxes
        self._candidate: Candidate | None = None
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
                f"a reference gives values, and that of {name} gives none for {len(outcomes)} inputs: it "
                f"{describe(outcomes[0])}; mend it or the kinds of its parameters"
            )
        for case in self.contract.cases:
            (outcome,) = self.reference([case.arguments])
            if not agree(outcome, Returned(case.expected), self.contract.compares):
                raise BadInput(
                    f"a case and the reference agree, and {self.note(case.arguments, outcome)} where the case says "
                    f"{describe(Returned(case.expected))}; mend one of them"
                )

    @cached_property
    def examples(self) -> list[Arguments]:
        """What hypothesis draws."""
        from preferences.code_gate.hypothesis_search import examples

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
        """What the reference does with each; remembered."""
        missing = [row for row in rows if repr(row) not in self._known]
        for row, outcome in zip(missing, self._ask(call_name(self.contract), missing), strict=True):
            self._known[repr(row)] = outcome
        return [self._known[repr(row)] for row in rows]

    def telling(self, rows: Sequence[Arguments]) -> list[Outcome]:
        """Fresh calls of the reference that also tell what they changed."""
        return self._ask(call_name(self.contract), rows, tell=True)

    def helper(self, name: str, rows: Sequence[Arguments]) -> list[Outcome]:
        """Calls of another function of the reference."""
        return self._ask(name, rows)

    def breaches(self, rows: Sequence[Arguments], values: Sequence[Value]) -> list[str]:
        """For each row and the value a program gave for it: the first invariant that is not true, or ""."""
        found = [""] * len(rows)
        for number, invariant in enumerate(self.contract.invariants):
            asked = [(*row, value) for row, value in zip(rows, values, strict=True)]
            for place, outcome in enumerate(self._ask(invariant_name(number), asked)):
                if outcome != Returned(True):
                    found[place] = found[place] or invariant
        return found

    def note(self, row: Arguments, outcome: Outcome) -> str:
        """A call and what came of it, for people."""
        return Call(self.contract.entry_point, row, {}, outcome).note

    def _ask(self, name: str, rows: Sequence[Arguments], tell: bool = False) -> list[Outcome]:
        """Calls in the references' room. Where the process ends, the call that ended it is made again in a new one,
        because time and memory are counted over all calls of a process."""
        done: list[Outcome] = []
        while len(done) < len(rows):
            fresh = self._candidate is None or self._candidate.ended is not None
            done += self._insist(
                partial(_until_its_end, name=name, rows=rows[len(done) :][:AHEAD], tell=tell, also_the_last=fresh)
            )
        return done

    def _insist(self, action: Callable[[Candidate], T]) -> T:
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
                f"a reference runs, and with that of {self.contract.entry_point} {trouble}; mend it"
            ) from None

    def _open(self) -> Candidate:
        if self._candidate is None or self._candidate.ended is not None:
            self.close()
            contract = self.contract
            self._candidate = self.sandboxes.references.start(reference_source(contract), contract.entry_point)
            if self._candidate.loaded is not None:
                raise BadInput(
                    f"a reference loads, and that of {contract.entry_point} {describe(self._candidate.loaded)}; mend it"
                )
        return self._candidate

    def close(self) -> None:
        """End the reference's process; it starts again when it is asked."""
        if self._candidate is not None:
            self._candidate.close()
            self._candidate = None


def calls(candidate: Candidate, name: str, rows: Sequence[Arguments], tell: bool = False) -> list[Outcome]:
    """Many calls of a program in one process."""
    parts = (rows[start : start + AHEAD] for start in range(0, len(rows), AHEAD))
    return [outcome for part in parts for outcome in candidate.calls(name, part, tell)]


def _until_its_end(
    candidate: Candidate, name: str, rows: Sequence[Arguments], tell: bool, also_the_last: bool
) -> list[Outcome]:
    """The outcomes up to where the process ended; with `also_the_last`, the end too where it is all there is."""
    outcomes = candidate.calls(name, rows, tell)
    alive = list(takewhile(lambda outcome: outcome is not candidate.ended, outcomes))
    return alive or list(outcomes[: int(also_the_last)])


def _rows(kinds: Sequence[ParameterKind], values: Callable[[ParameterKind], tuple[Value, ...]]) -> list[Arguments]:
    """Each value of each parameter beside plain ones, then all parameters in step."""
    plain = tuple(kind.plain for kind in kinds)
    rows = [plain]
    for place, kind in enumerate(kinds):
        rows += [(*plain[:place], value, *plain[place + 1 :]) for value in values(kind)]
    for turn in range(max((len(values(kind)) for kind in kinds), default=0)):
        rows.append(tuple(values(kind)[turn % len(values(kind))] for kind in kinds))
    return _distinct(rows)


def _distinct(rows: Sequence[Arguments]) -> list[Arguments]:
    return list({repr(row): row for row in rows}.values())
