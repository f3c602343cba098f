"""A prepared scenario, in which cases are played: the fault, what a person does then, and what is wrong afterwards.

The kinds kill, full, error and real run the command with a fault. The kinds cut and state do not run it: one run
without a fault is recorded, and the record gives the files that a power cut (cut), or a kill at one of the calls
(state), would have left. Recorded kills that leave the same files share one recovery.
"""

import atexit
import gc
import hashlib
import importlib
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.faults.injection.disk import NEVER_KEPT, Disk, Files, write_files
from bench.faults.injection.supervisor import Fault, Kind, ProcessResult, Supervisor
from bench.faults.outcome import Outcome
from bench.faults.scenarios.observe import Observed, differences
from bench.faults.scenarios.scenario import Command, Misbehaved, Run, Scenario, problem_of

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
"""The fractional parts of its multiples are spread evenly over [0, 1), however many there are."""
LONGER = 5.0
"""A command counts as hanging if it takes so many times as long as without a fault."""
RANDOM = re.compile(r"(?<=[.-])[a-z0-9_]{8}(?=\.partial|$)")
"""The random part of the name of a temporary folder."""
AGAIN = 0.2
"""The share of kills and power cuts in which the recovery is killed too."""


class TooSlow(Exception):
    """Even without a fault, a scenario does not end within its timeout on this machine."""


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
        self.recoveries: dict[bytes, Outcome] = {}
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

    def run(self, command: Command, fault: Fault | None = None, stdin: str = "", **named: Any) -> ProcessResult:
        return self.supervisor.run(command, fault, stdin=stdin or self.scenario.stdin, **named)

    def _run_in_time(self, *arguments: Any, **named: Any) -> ProcessResult:
        """``run`` without a fault; TooSlow if it does not end in time. Later commands may take LONGER times as long as
        the slowest of these runs, because the machine may become busy with other work."""
        started = time.monotonic()
        result = self.run(*arguments, **named)
        if result.hung:
            raise TooSlow(f"this machine is too slow: without a fault it takes over {self.supervisor.timeout:g} s")
        self.supervisor.timeout = max(self.supervisor.timeout, LONGER * (time.monotonic() - started))
        return result

    # cases

    def play(self, kind: str, number: int) -> Outcome:
        """Play a case: the fault, and what a person does then."""
        chance = random.Random(f"{kind} {number}")
        fault = Fault(_fault(kind, chance), 1 + int((number * GOLDEN_RATIO) % 1.0 * self.recorded.count))
        more = 3 if kind == "real" else int(kind in ("kill", "state", "cut") and chance.random() < AGAIN)
        files, as_recorded = None, None
        if kind in ("state", "cut"):
            files = self._left_by(fault) if kind == "state" else self._disk(fault.at - 1).cut(f"{kind} {number}")
            self._put(files)
            first = self._until(fault.at)
        elif kind == "kill" and self.scenario.power_cuts:
            self._put(self._left_by(fault))
            recorded = self._look()
            first = self._restored().run(self.scenario.command(self.root), fault)
            as_recorded = recorded == self._look()
        else:
            first = self._restored().run(self.scenario.command(self.root), fault)
        missing = self.scenario.reported(first.stderr) - self.scenario.stored(self.root)
        problem = "" if first.code == -signal.SIGKILL else problem_of(first)
        outcome = Outcome(
            kind,
            number,
            self.scenario.name,
            first.where,
            lost=[f"reported as done: {report}" for report in sorted(missing)],
            traceback=[problem] if problem else [],
            faults=int(bool(first.where)),
            as_recorded=as_recorded,
        )
        if files is None or more:
            return outcome.then(self._recovered(kind, chance, more))
        if (key := _digest(files)) in self.recoveries:
            return replace(outcome.then(self.recoveries[key]), shared=True)
        self.recoveries[key] = self._recovered(kind, chance, more)
        return outcome.then(self.recoveries[key])

    def _recovered(self, kind: str, chance: random.Random, faults: int) -> Outcome:
        """The outcome of the recovery by a person after a fault. ``faults``: how many more faults hit their first
        commands."""
        outcome = Outcome(kind, 0, self.scenario.name, "", faults=0)
        results: list[ProcessResult] = []
        try:
            for _ in range(faults):
                fault = Fault(_fault(kind, chance), 1 + int(chance.random() * self.recorded.count))
                for result in self.scenario.recover(self.root, _with_fault(self.run, fault)):
                    results += [result] if result.code != -signal.SIGKILL else []
                    if result.where:
                        outcome = outcome.then(Outcome(kind, 0, self.scenario.name, result.where))
            recovery = list(self.scenario.recover(self.root, self.run))
        except Misbehaved as error:
            return replace(outcome, different=[str(error)])
        problems = [problem for result in (*results, *recovery) if (problem := problem_of(result))]
        last = recovery[-1] if recovery else ProcessResult()
        refused = last.code and not problem_of(last)
        different = [f"exit {last.code}: {last.stderr.strip()[-300:]}"] if refused else []
        try:
            found = differences(self.expected, self.scenario.observe(self.root))
        except Exception as error:
            return replace(outcome, traceback=(*problems, f"result unreadable: {error!r}"))
        return replace(
            outcome,
            lost=found.lost,
            doubled=found.doubled,
            different=(*different, *found.different),
            traceback=tuple(problems),
        )

    # the files that a case begins with

    def _restored(self) -> "Stage":
        """This stage with the folder as it was before the command."""
        shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root, symlinks=True)
        return self

    def _put(self, files: Files) -> None:
        """Replace the folder by these files."""
        shutil.rmtree(self.root)
        write_files(files, self.supervisor.root, self.root)

    def _disk(self, changes: int) -> Disk:
        """The disk after the first ``changes`` of the recorded changes."""
        disk = Disk(self.template, self.supervisor.root)
        for change in self.recorded.changes[:changes]:
            disk.apply(change)
        return disk

    def _left_by(self, fault: Fault) -> Files:
        """What a kill before a recorded call leaves, or one in the middle of it."""
        disk, change = self._disk(fault.at - 1), self.recorded.changes[fault.at - 1]
        if fault.kind == "tear" and change.kind == "write":
            disk.apply(change._replace(data=change.data[: len(change.data) // 2]))
        return disk.seen()

    def _until(self, at: int) -> ProcessResult:
        """The recorded run, as if it had been killed at this call."""
        change = self.recorded.changes[at - 1]
        stderr = self.recorded.stderr.encode()[: change.stderr_bytes].decode(errors="replace")
        where = f"{change.kind} {os.path.relpath(change.path, self.supervisor.root)}"
        return ProcessResult(code=-signal.SIGKILL, stderr=stderr, where=where)

    # the run without a fault

    def _look(self) -> Observed:
        """What the folder of an interrupted command holds, without random names; its files may be too damaged to be
        compared."""
        try:
            observed = self.scenario.observe(self.root)
        except Exception as error:
            return {"unreadable": [type(error).__name__]}
        return {
            RANDOM.sub("?", name): sorted(RANDOM.sub("?", line) for line in lines) for name, lines in observed.items()
        }

    def _require_complete_record(self) -> None:
        """RuntimeError unless replaying the whole record gives the files that exist."""
        modelled = self._disk(len(self.recorded.changes)).seen()
        actual = {
            str(path): _content(path)
            for path in Path(self.supervisor.root).rglob("*")
            if not path.name.endswith(NEVER_KEPT)
        }
        if modelled != actual:
            names = modelled.keys() | actual.keys()
            wrong = sorted(name for name in names if modelled.get(name, 0) != actual.get(name, 0))
            raise RuntimeError(f"{self.scenario.name}: the recorded calls do not give {wrong[:5]}")

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

        result = self._run_in_time(noting_modules, record=self.scenario.power_cuts, count=True)
        for name in names.read_text(encoding="utf-8").split():
            if name not in sys.modules and not name.startswith("__"):
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        gc.collect()
        gc.freeze()  # a collection in a fork would copy the memory of all that was imported
        return result


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.is_file() else None


def _digest(files: Files) -> bytes:
    """Equal for equal files."""
    whole = hashlib.sha256()
    for path, content in sorted(files.items(), key=lambda item: item[0]):
        whole.update(repr((path, type(content).__name__, len(content or ""))).encode())
        whole.update(content.encode() if isinstance(content, str) else content or b"")
    return whole.digest()


def _fault(kind: str, chance: random.Random) -> Kind:
    if kind == "real":
        return chance.choice(("main", "worker", "kill"))
    if kind in ("full", "error"):
        return "full" if kind == "full" else "error"
    return chance.choice(("kill", "tear"))


def _with_fault(run: Run, fault: Fault) -> Run:
    """``run`` with the fault in its first command."""
    faults = [fault]

    def faulty(command: Command, stdin: str = "") -> ProcessResult:
        return run(command, faults.pop() if faults else None, stdin=stdin)

    return faulty
