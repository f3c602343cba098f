"""The execution scorer: an answer is a Python program, and its score is the share of checks that it passes.

The program runs in the sandbox, which gets inputs only; values are compared outside of it (invariant 8). checks.py
describes the checks of a prompt; ``stub`` in them is code that the answer continues.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from common.errors import BadInput, MissingRequirement
from common.parallel import TaskPool, free_cores
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.execution.checks import CaseChecks, CheckResult, Sandboxes, TestChecks, TestsBroken, parse_checks
from probes.scoring.execution.known_results import KnownResults
from probes.scoring.execution.parser import Parser
from probes.scoring.protocol import Answer, ChecksBroken, Context, Mark, ScorerBroken
from sandbox import Limits, SandboxBroken, SandboxUnavailable


class ExecutionSettings(ScorerSettings):
    """``[scorer] kind = "execution"``: the limits of a program in the sandbox."""

    seconds: float = Field(2.0, ge=0.05, le=60)
    """Processor seconds for an answer's program."""
    memory_mb: int = Field(256, ge=96, le=1 << 20)
    """MiB of memory for an answer's program."""


class ExecutionScorer:
    """Ten times the share of checks passed. The outcome word is a class of failure_classes.py: PASS, or that of the
    first failed check.

    An answer that would pass without the text around its function (a self-test that crashes, prose) fails, and its mark
    says ``format_only``. A program that this scorer checked before for the same prompt is not run again
    (known_results.py).
    """

    kind: ClassVar[str] = "execution"
    Settings: ClassVar[type[ScorerSettings]] = ExecutionSettings

    def __init__(self, settings: ExecutionSettings, folder: Path = Path()) -> None:
        self._limits = Limits(seconds=settings.seconds, memory_mb=settings.memory_mb)
        self._here = threading.local()
        self._opened: list[Sandboxes] = []
        self._unused: list[Sandboxes] = []
        self._parser = Parser()  # one for all threads, since its start takes as long as it takes to read 500 answers
        self._closing = False
        self._about = f"sandbox: {self._open().programs.why}"
        self._unused += self._opened
        self._parsed: dict[str, CaseChecks | TestChecks] = {}
        self._results = KnownResults()
        self._reading = threading.Lock()  # switching Python's warnings off concerns all threads
        self._tasks = TaskPool(self._mark)

    @property
    def _sandboxes(self) -> Sandboxes:
        """This thread's own. The first thread that judges gets those that the constructor opened. If the thread of the
        constructor ends, so do their processes, and the next program starts new ones."""
        sandboxes: Sandboxes | None = getattr(self._here, "sandboxes", None)
        if sandboxes is None:
            try:
                sandboxes = self._unused.pop()
            except IndexError:
                sandboxes = self._open()
            self._here.sandboxes = sandboxes
        return sandboxes

    def _open(self) -> Sandboxes:
        try:
            sandboxes = Sandboxes(self._limits, self._parser)
        except SandboxUnavailable as error:
            raise MissingRequirement(str(error)) from None
        self._opened.append(sandboxes)
        if self._closing:
            sandboxes.interrupt()
        return sandboxes

    @property
    def about(self) -> str:
        """Which sandbox is used and why."""
        return self._about

    @staticmethod
    def examiner(settings: ScorerSettings, folder: Path) -> None:
        """None: this scorer cannot change."""

    @staticmethod
    def files(settings: ExecutionSettings, folder: Path) -> Sequence[Path]:
        return ()

    @staticmethod
    def check(settings: ExecutionSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            try:
                parse_checks(prompt.checks)
            except ValueError as error:
                raise BadInput(
                    f"prompt {prompt.id!r}: the execution scorer needs {error}; mend the checks of its row in the "
                    "prompts file"
                ) from None

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> list[Mark]:
        return [future.result() for future in self.judged(answers, free_cores())]

    def judged(self, answers: Sequence[Answer], threads: int) -> Iterator["Future[Mark]"]:
        """Yield a finished future for each answer, in order; ``threads`` of them are judged at once. Their number
        changes no mark: limits are in processor time, and each program has its own process."""
        return self._tasks.run(answers, threads)

    def close(self) -> None:
        self._closing = True
        if self._tasks.busy:  # interrupted, or an answer could not be judged
            for sandboxes in tuple(self._opened):
                sandboxes.interrupt()
            self._tasks.close()
        for sandboxes in self._opened:
            sandboxes.close()
        self._parser.close()
        self._tasks.close()

    def _mark(self, answer: Answer) -> Mark:
        stub = answer.prompt.checks.get("stub", "")
        with self._reading:
            if (checks := self._parsed.get(answer.prompt.id)) is None:
                checks = self._parsed[answer.prompt.id] = parse_checks(answer.prompt.checks)
        found = self._parser.extract(answer.text, checks.entry_point, stub)
        if found.form in ("none", "refusal"):
            return Mark(0.0, {"pass": 0.0}, outcome="NO_CODE" if found.form == "none" else "REFUSAL")
        try:
            verdict = self._run(answer.prompt, checks, found.source)
            salvaged = (
                None if verdict.loaded else self._parser.salvage(answer.text, found.source, checks.entry_point, stub)
            )
            format_only = salvaged is not None and self._run(answer.prompt, checks, salvaged).failure_class == "PASS"
        except SandboxBroken as error:
            raise ScorerBroken(f"prompt {answer.prompt.id!r}: {error}") from None
        except TestsBroken as error:
            raise ChecksBroken(f"prompt {answer.prompt.id!r}: {error}; mend its tests") from None
        return Mark(
            10.0 * verdict.passed / verdict.total,
            {"pass": float(verdict.failure_class == "PASS")},
            outcome=verdict.failure_class,
            note=verdict.note,
            format_only=format_only,
        )

    def _run(self, prompt: Prompt, checks: CaseChecks | TestChecks, source: str) -> CheckResult:
        return self._results.of(prompt.id, source, lambda: checks.run(source, self._sandboxes))
