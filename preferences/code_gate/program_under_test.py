"""A program on the bench: how the layers run it and read it."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from preferences.code_gate.contract_bench import ContractBench, calls
from preferences.code_gate.harness import call_name, callable_source
from preferences.code_gate.program_analysis import ProgramAnalysis, analyse_program
from preferences.code_gate.properties import Arguments
from probes.scoring.execution.calls import describe
from probes.scoring.execution.parser import Unread
from sandbox import Candidate, Ended, Outcome, ProgramBroke, run_twice

T = TypeVar("T")


class CannotRun(Exception):
    """This layer has nothing to run or to read; the message says why."""


class ProgramUnderTest:
    """One program under one contract. Once it does not load, or ran out of time, it is not run again: each
    time would cost the limit."""

    def __init__(self, source: str, bench: ContractBench) -> None:
        self.source, self.bench = source, bench
        self.contract = bench.contract
        self._stopped = ""

    @functools.cached_property
    def analysis(self) -> ProgramAnalysis:
        """What reading the program tells; CannotRun where Python cannot read it."""
        limit = self.bench.sandboxes.programs.limits.source_bytes
        if len(self.source) > limit:
            raise CannotRun(f"not read: it is longer than {limit} characters")
        try:
            found = ProgramAnalysis(
                **self.bench.sandboxes.parser.ask(analyse_program, self.source, self.contract.as_json())
            )
        except Unread as why:
            raise CannotRun(f"not read: {why}") from None
        if found.fault:
            raise CannotRun(found.fault)
        return found

    @functools.cached_property
    def drawn(self) -> list[Arguments]:
        """The drawn inputs, and some near this program's own numbers: there it may do something special."""
        return [*self.bench.drawn, *self.bench.near(set(self.analysis.numbers) - self.bench.numbers)]

    @functools.cached_property
    def outcomes(self) -> list[Outcome]:
        """What it does with the drawn inputs; several layers look at that."""
        return self.run(self.drawn)

    def run(self, rows: Sequence[Arguments]) -> list[Outcome]:
        """What the program does with each row, in one process; SandboxBroken when the machinery failed."""

        outcomes = self.attempt(
            callable_source(self.source, self.contract),
            lambda candidate: calls(candidate, call_name(self.contract), rows),
        )
        self.watch(rows, outcomes)
        return outcomes

    def watch(self, rows: Sequence[Arguments], outcomes: Sequence[Outcome]) -> None:
        """Take note of a call that ran out of time."""
        for row, outcome in zip(rows, outcomes, strict=True):
            if not self._stopped and isinstance(outcome, Ended) and outcome.reason == "timeout":
                self._stopped = f"not run, because in an earlier layer {self.bench.note(row, outcome)}"

    def attempt(self, source: str, action: Callable[[Candidate], T]) -> T:
        """action, with the program started from `source`; CannotRun where that cannot be."""
        if self._stopped:
            raise CannotRun(self._stopped)

        def start() -> T | CannotRun:
            with self.bench.sandboxes.programs.start(source, self.contract.entry_point) as candidate:
                if candidate.loaded is not None:
                    return CannotRun(f"it does not load: {describe(candidate.loaded)}")
                return action(candidate)

        try:
            result = run_twice(start, self.bench.sandboxes.programs)
        except ProgramBroke as trouble:
            result = CannotRun(str(trouble))
        if isinstance(result, CannotRun):
            self._stopped = str(result)
            raise result
        return result
