"""A program that the layers run and read."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from preferences.code_gate.contract.properties import Arguments
from preferences.code_gate.execution.contract_bench import ContractBench, calls
from preferences.code_gate.execution.harness import call_name, callable_source
from preferences.code_gate.static_checks.program_analysis import ProgramAnalysis, analyse_program
from probes.scoring.execution.calls import describe
from probes.scoring.execution.parser import Unread
from sandbox import Ended, Outcome, ProgramBroke, RunningProgram, run_twice

T = TypeVar("T")


class CannotRun(Exception):
    """The program cannot be run or read; the message is the reason."""


class ProgramUnderTest:
    """One program under one contract. A program that does not load or runs out of time is not run again, because each
    run would cost the whole time limit."""

    def __init__(self, source: str, bench: ContractBench) -> None:
        self.source, self.bench = source, bench
        self.contract = bench.contract
        self._stopped = ""

    @functools.cached_property
    def analysis(self) -> ProgramAnalysis:
        """The findings of the static checks; CannotRun when Python cannot parse it."""
        limit = self.bench.sandboxes.programs.limits.source_bytes
        if len(self.source) > limit:
            raise CannotRun(f"not read: it is longer than {limit} characters")
        try:
            analysis = ProgramAnalysis(
                **self.bench.sandboxes.parser.ask(analyse_program, self.source, self.contract.as_json())
            )
        except Unread as why:
            raise CannotRun(f"not read: {why}") from None
        if analysis.fault:
            raise CannotRun(analysis.fault)
        return analysis

    @functools.cached_property
    def drawn(self) -> list[Arguments]:
        """The drawn inputs, and some near this program's own numbers, where it may treat an input specially."""
        return [*self.bench.drawn, *self.bench.near(set(self.analysis.numbers) - self.bench.numbers)]

    @functools.cached_property
    def outcomes(self) -> list[Outcome]:
        """The outcomes of the drawn inputs, which several layers use."""
        return self.run(self.drawn)

    def run(self, rows: Sequence[Arguments]) -> list[Outcome]:
        """The outcome of each row, in one process; SandboxBroken when the machinery failed."""
        outcomes = self.attempt(
            callable_source(self.source, self.contract),
            lambda candidate: calls(candidate, call_name(self.contract), rows),
        )
        self.watch(rows, outcomes)
        return outcomes

    def watch(self, rows: Sequence[Arguments], outcomes: Sequence[Outcome]) -> None:
        """Remember a call that ran out of time."""
        for row, outcome in zip(rows, outcomes, strict=True):
            if not self._stopped and isinstance(outcome, Ended) and outcome.reason == "timeout":
                self._stopped = f"not run, because in an earlier layer {self.bench.note(row, outcome)}"

    def attempt(self, source: str, action: Callable[[RunningProgram], T]) -> T:
        """The result of `action` on the program started from `source`; CannotRun when it does not start."""
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
