"""One case: a kind and a number select a scenario and a fault in it, and playing the case gives an outcome.

A case can be repeated: `nightlane bench faults --kind kill --case 17` plays the same kill each time.
"""

import atexit
import importlib
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.faults.injection.disk import Disk
from bench.faults.injection.supervisor import Fault, Kind, ProcessResult, Supervisor
from bench.faults.scenarios.commands import COMMANDS
from bench.faults.scenarios.judged_night import JUDGED_NIGHTS
from bench.faults.scenarios.nights import NIGHTS, REAL
from bench.faults.scenarios.observe import Observed, differences
from bench.faults.scenarios.scenario import Command, Misbehaved, Run, Scenario, problem_of
from common.errors import MissingRequirement

KINDS = {
    "kill": "kill at a system call",
    "cut": "power cut",
    "full": "full disk",
    "error": "input/output error",
    "damaged": "damaged file",
    "real": "kill of a real night",
}
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
"""The fractions of its multiples are spread evenly over [0, 1), whatever their number."""


LONGER = 5.0
"""A command that takes so many times as long as without a fault hangs."""


@dataclass(frozen=True)
class Outcome:
    """What went wrong in a case; the four lists are empty if nothing did. ``where``: the call that the fault hit.
    ``not_played``: why the case could not be played, which says nothing of the product; "" if it was."""

    kind: str
    number: int
    scenario: str
    where: str
    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    different: Sequence[str] = ()
    traceback: Sequence[str] = ()
    faults: int = 1
    not_played: str = ""

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.doubled or self.different or self.traceback)


class TooSlow(Exception):
    """A scenario does not end within its timeout on this machine, without any fault."""


def play(kind: str, number: int) -> Outcome:
    """Play a case in this process, which must have no other Python thread. Prepared scenarios are kept."""
    if kind == "damaged":
        from bench.faults.damaged_files import play_damaged

        return play_damaged(number)
    name = scenario_of(kind, number).name
    try:
        stage = _stage(name)
    except TooSlow as error:
        return Outcome(kind, number, name, "", faults=0, not_played=str(error))
    except RuntimeError as error:
        return Outcome(kind, number, name, "", traceback=[f"without a fault: {error}"], faults=0)
    return stage.play(kind, number)


@cache
def _slots() -> Sequence[Scenario]:
    """The scenarios, each as often as its weight, in a random order."""
    slots = [scenario for scenario in (*NIGHTS, *JUDGED_NIGHTS, *COMMANDS) for _ in range(scenario.weight)]
    random.Random("slots").shuffle(slots)
    return slots


def scenario_of(kind: str, number: int) -> Scenario:
    if kind == "real":
        return REAL
    return _slots()[number % len(_slots())]


_stages: dict[str, "Stage | RuntimeError | TooSlow"] = {}


def _stage(name: str) -> "Stage":
    """The prepared scenario; RuntimeError if it fails without a fault, TooSlow if it does not end in time. It is
    prepared once."""
    if name not in _stages:
        try:
            _stages[name] = Stage(next(scenario for scenario in (*_slots(), REAL) if scenario.name == name))
        except (RuntimeError, TooSlow) as error:
            _stages[name] = error
    stage = _stages[name]
    if isinstance(stage, Exception):
        raise stage
    return stage


def require_possible() -> None:
    """MissingRequirement unless the kernel lets one process answer the system calls of another."""
    folder = scratch()
    try:
        Supervisor(folder, folder, timeout=10).run(lambda: 0)
    except (OSError, ValueError) as error:
        raise MissingRequirement(
            f"faults at system calls need a kernel that lets a process ask another about them (seccomp user "
            f"notification, Linux 5.5 or later, not blocked by a container), and here it does not: {error}"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch() -> Path:
    """A new folder, in memory if possible: the cases test system calls, and the disk would only make them slow."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="nightlane-faults-", dir=base))


@dataclass
class Stage:
    """A prepared scenario: the folder that its command starts with, and the result of a run without a fault."""

    scenario: Scenario
    folder: Path = field(default_factory=scratch)

    def __post_init__(self) -> None:
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.root, self.template = self.folder / "root", self.folder / "template"
        self.root.mkdir()
        self.supervisor = Supervisor(self.root, self.folder, self.scenario.timeout)
        self.scenario.prepare(self.root, self._run_in_time)
        shutil.copytree(self.root, self.template, symlinks=True)
        self.recorded = self._first_run()
        self.expected = self._observe_success(self.recorded)
        if self.scenario.power_cuts:
            self._require_complete_record()
        second = self._restored()._run_in_time(self.scenario.command(self.root))
        found = differences(self.expected, self._observe_success(second))
        if found.lost or found.doubled or found.different:
            raise RuntimeError(f"{self.scenario.name} has a different result the second time: {str(found)[:600]}")

    def run(self, command: Command, fault: Fault | None = None, record: bool = False, stdin: str = "") -> ProcessResult:
        return self.supervisor.run(command, fault, record, stdin or self.scenario.stdin)

    def _run_in_time(self, *arguments: Any, **named: Any) -> ProcessResult:
        """``run`` without a fault; TooSlow if it does not end in time. From then on a command has several times as long
        as the slowest of these took, because the machine may be busy with something else."""
        started = time.monotonic()
        result = self.run(*arguments, **named)
        if result.hung:
            raise TooSlow(f"this machine is too slow: without a fault it takes over {self.supervisor.timeout:g} s")
        self.supervisor.timeout = max(self.supervisor.timeout, LONGER * (time.monotonic() - started))
        return result

    def play(self, kind: str, number: int) -> Outcome:
        chance = random.Random(f"{kind} {number}")
        at = 1 + int((number * GOLDEN_RATIO) % 1.0 * self.recorded.count)
        if kind == "cut":
            first, where = self._cut_power(at - 1, f"{kind} {number}")
        else:
            self._restored()
            first = self.run(self.scenario.command(self.root), Fault(_fault(kind, number, chance), at))
            where = first.where
        results = [] if first.code == -signal.SIGKILL or kind == "cut" else [first]
        missing = self.scenario.reported(first.stderr) - self.scenario.stored(self.root)
        lost = [f"reported as done: {report}" for report in sorted(missing)]
        try:
            return self._recovered(kind, number, chance, where, results, lost)
        except Misbehaved as error:
            return Outcome(kind, number, self.scenario.name, where, lost, different=[str(error)])

    def _recovered(
        self, kind: str, number: int, chance: random.Random, where: str, results: list[ProcessResult], lost: list[str]
    ) -> Outcome:
        """The outcome after a person has recovered, which may meet further faults."""
        faults = int(bool(where))
        for _ in range(_faults_during_recovery(kind, number)):
            fault = Fault(_fault(kind, number, chance), 1 + int(chance.random() * self.recorded.count))
            for result in self.scenario.recover(self.root, _with_fault(self.run, fault)):
                results += [result] if result.code != -signal.SIGKILL else []
                faults += bool(result.where)
                where += f", then {result.where}" if result.where else ""
        recovery = list(self.scenario.recover(self.root, self.run))
        problems = [problem for result in (*results, *recovery) if (problem := problem_of(result))]
        last = recovery[-1] if recovery else ProcessResult()
        refused = last.code and not problem_of(last)
        different = [f"exit {last.code}: {last.stderr.strip()[-300:]}"] if refused else []
        try:
            found = differences(self.expected, self.scenario.observe(self.root))
        except Exception as error:
            unreadable = f"result unreadable: {error!r}"
            return Outcome(kind, number, self.scenario.name, where, traceback=(*problems, unreadable))
        return Outcome(
            kind,
            number,
            self.scenario.name,
            where,
            lost=(*lost, *found.lost),
            doubled=found.doubled,
            different=(*different, *found.different),
            traceback=tuple(problems),
            faults=faults,
        )

    def _require_complete_record(self) -> None:
        """RuntimeError unless the model of the disk, without a power cut, has the files that exist."""
        modelled = self._disk(len(self.recorded.changes)).seen()
        actual = {
            str(path): path.read_bytes() if path.is_file() else None
            for path in Path(self.supervisor.root).rglob("*")
            if not path.name.endswith("-shm")
        }
        if modelled != actual:
            names = modelled.keys() | actual.keys()
            wrong = sorted(name for name in names if modelled.get(name, 0) != actual.get(name, 0))
            raise RuntimeError(f"{self.scenario.name}: the recorded calls do not give {wrong[:5]}")

    def _disk(self, changes: int) -> Disk:
        disk = Disk(self.template, self.supervisor.root)
        for change in self.recorded.changes[:changes]:
            disk.apply(change)
        return disk

    def _cut_power(self, changes: int, seed: str) -> tuple[ProcessResult, str]:
        """Leave the folder as a power cut after so many changes does; returns what stderr had until then, and where."""
        disk = self._disk(changes)
        shutil.rmtree(self.root)
        disk.cut(seed, self.root)
        change = self.recorded.changes[changes]
        stderr = self.recorded.stderr.encode()[: change.stderr_bytes].decode(errors="replace")
        return ProcessResult(stderr=stderr), f"{change.kind} {os.path.relpath(change.path, self.supervisor.root)}"

    def _restored(self) -> "Stage":
        """This stage with the folder as it was before the command."""
        shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root, symlinks=True)
        return self

    def _observe_success(self, result: ProcessResult) -> Observed:
        """What a successful command left; RuntimeError if it failed."""
        if problem_of(result) or result.code:
            failure = f"exit {result.code}: {result.stderr[-2000:]}"
            raise RuntimeError(f"{self.scenario.name} fails without a fault, {failure}")
        return self.scenario.observe(self.root)

    def _first_run(self) -> ProcessResult:
        """Run the command without a fault, and import the modules that it imported, so that forks have them."""
        names, command = self.folder / "modules", self.scenario.command(self.root)

        def noting_modules() -> int:
            try:
                return command()
            finally:
                names.write_text("\n".join(sys.modules), encoding="utf-8")

        result = self._run_in_time(noting_modules, record=self.scenario.power_cuts)
        for name in names.read_text(encoding="utf-8").split():
            if name not in sys.modules and not name.startswith("__"):
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        return result


def _fault(kind: str, number: int, chance: random.Random) -> Kind:
    if kind == "real":
        return chance.choice(("main", "worker", "kill"))
    if kind in ("full", "error"):
        return "full" if kind == "full" else "error"
    return "tear" if number % 2 else "kill"


def _faults_during_recovery(kind: str, number: int) -> int:
    return 3 if kind == "real" else int(kind in ("kill", "cut") and number % 5 == 4)


def _with_fault(run: Run, fault: Fault) -> Run:
    """``run`` with the fault in its first command."""
    faults = [fault]

    def faulty(command: Command, stdin: str = "") -> ProcessResult:
        return run(command, faults.pop() if faults else None, stdin=stdin)

    return faulty
