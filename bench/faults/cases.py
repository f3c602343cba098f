"""One case: which fault of which scenario a kind and a number name, and what came of it.

A case is the same whenever it is played: `nightlane bench faults --kind kill --case 17` plays the 17th kill again.
"""

import importlib
import math
import os
import random
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.faults.compare import Result, differences
from bench.faults.disk import Disk
from bench.faults.scenario import Act, Scenario, told
from bench.faults.supervisor import Ended, Fault, Supervisor

SIMULATED = ("kill", "cut", "full", "error")
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples are spread evenly, however many there are."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case; all four are empty where the edges hold. ``where``: the call that the fault met."""

    kind: str
    number: int
    scenario: str
    where: str
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    traceback: tuple[str, ...] = ()
    met: bool = True

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.doubled or self.different or self.traceback)


def play(kind: str, number: int) -> Outcome:
    """In this process, which must have no other thread; what it prepares is kept for the next case."""
    scenario = scenario_of(kind, number)
    return _played(scenario.name).play(kind, number)


def scenarios() -> Sequence[Scenario]:
    from bench.faults.commands import COMMANDS
    from bench.faults.nights import NIGHTS

    return (*NIGHTS, *COMMANDS)


def scenario_of(kind: str, number: int) -> Scenario:
    """Scenarios take turns, by their weights."""
    slots = [one for one in scenarios() for _ in range(one.weight) if one.cuts or kind != "cut"]
    random.Random("slots").shuffle(slots)
    return slots[number % len(slots)]


@cache
def _played(name: str) -> "_Stage":
    return _Stage(next(one for one in scenarios() if one.name == name))


def scratch() -> Path:
    """A folder in memory where there is one: what is tested is what was asked for, not the disk of this machine."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="nightlane-faults-", dir=base))


@dataclass
class _Stage:
    """A scenario prepared: its folder as the command finds it, and the result that no fault disturbed."""

    scenario: Scenario
    folder: Path = field(default_factory=scratch)

    def __post_init__(self) -> None:
        import atexit

        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.root, self.template = self.folder / "root", self.folder / "template"
        self.root.mkdir()
        self.supervisor = Supervisor(self.root, self.folder)
        self.scenario.prepare(self.root, self.run)
        shutil.copytree(self.root, self.template, symlinks=True)
        self._warm()
        self.recorded = self._fresh().run(self.scenario.act(self.root), None, record=True)
        self.wanted = self._settled([self.recorded])
        self.disk_agrees()
        undisturbed = self._fresh().run(self.scenario.act(self.root))
        found = differences(self.wanted, self._settled([undisturbed]))
        if found.lost or found.doubled or found.different:
            raise RuntimeError(f"{self.scenario.name} has not the same result twice: {str(found)[:600]}")

    def run(self, act: Act, fault: Fault | None = None, record: bool = False, answers: str = "") -> Ended:
        return self.supervisor.run(act, fault, record, answers or self.scenario.answers)

    def play(self, kind: str, number: int) -> Outcome:
        chance = random.Random(f"{kind} {number}")
        share = (number * GOLDEN) % 1.0
        at = 1 + int(share * self.recorded.count)
        if kind == "cut":
            first, where = self._cut(at - 1, f"{kind} {number}")
        else:
            drawn = {"kill": "tear" if number % 2 else "kill", "full": "full", "error": "error"}[kind]
            self._fresh()
            first = self.run(self.scenario.act(self.root), Fault(drawn, at))  # type: ignore[arg-type]
            where = first.where
        ends = []
        if kind in ("full", "error"):
            ends.append(first)
        lost = [f"told as done: {one}" for one in sorted(self.scenario.acknowledged(first.errors) - self._held())]
        if kind in ("kill", "cut") and number % 5 == 4:  # going on is killed, too
            again = Fault("kill", 1 + int(chance.random() * self.recorded.count))
            ends += self.scenario.goes_on(self.root, _once(self.run, again))
            where += f", then {again.at}"
            ends = [one for one in ends if one.code != -9]
        after = list(self.scenario.goes_on(self.root, self.run))
        wrong = [why for one in (*ends, *after) if (why := told(one))]
        strange = [f"exit {one.code}: {one.errors.strip()[-300:]}" for one in after[-1:] if one.code and not told(one)]
        try:
            found = differences(self.wanted, self.scenario.observe(self.root))
        except Exception as error:
            return Outcome(kind, number, self.scenario.name, where, traceback=(*wrong, f"result unreadable: {error!r}"))
        return Outcome(
            kind, number, self.scenario.name, where, (*lost, *found.lost), found.doubled,
            (*strange, *found.different), tuple(wrong), bool(where),
        )  # fmt: skip

    def disk_agrees(self) -> None:
        """The model of the disk, without a power cut, has the files that there are."""
        disk = self._disk(len(self.recorded.changes))
        seen = disk.seen()
        there = {
            str(path): path.read_bytes() if path.is_file() else None
            for path in Path(self.supervisor.root).rglob("*") if not path.name.endswith("-shm")
        }  # fmt: skip
        if seen != there:
            wrong = sorted(name for name in seen.keys() | there.keys() if seen.get(name, 0) != there.get(name, 0))
            raise RuntimeError(f"{self.scenario.name}: the recorded calls do not give {wrong[:5]}")

    def _disk(self, changes: int) -> Disk:
        disk = Disk(self.template, self.supervisor.root)
        for change in self.recorded.changes[:changes]:
            disk.apply(change)
        return disk

    def _cut(self, changes: int, seed: str) -> tuple[Ended, str]:
        """The folder as a power cut leaves it, and what was told until then."""
        disk = self._disk(changes)
        shutil.rmtree(self.root)
        disk.cut(seed, self.root)
        change = self.recorded.changes[changes]
        said = self.recorded.errors.encode()[: change.said].decode(errors="replace")
        return Ended(errors=said), f"{change.kind} {os.path.relpath(change.path, self.supervisor.root)}"

    def _held(self) -> set[str]:
        return self.scenario.held(self.root)

    def _fresh(self) -> "_Stage":
        shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root, symlinks=True)
        return self

    def _settled(self, ends: Sequence[Ended]) -> Result:
        for one in ends:
            if told(one) or one.code:
                raise RuntimeError(f"{self.scenario.name} fails without a fault, exit {one.code}: {one.errors[-2000:]}")
        return self.scenario.observe(self.root)

    def _warm(self) -> None:
        """Import here what the command imports, so that no case does it again."""
        names = self.folder / "modules"
        act = self.scenario.act(self.root)

        def noting() -> int:
            try:
                return act()
            finally:
                names.write_text("\n".join(sys.modules), encoding="utf-8")

        self.run(noting)
        for name in names.read_text(encoding="utf-8").split():
            if name not in sys.modules and not name.startswith("__"):
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        if threading.active_count() > 1:
            raise RuntimeError(f"{self.scenario.name} leaves a thread in the process that forks")


def _once(run: Any, fault: Fault) -> Any:
    """``run`` whose first command meets the fault."""
    waiting = [fault]

    def faulty(act: Act, *_: Any, **given: Any) -> Ended:
        return run(act, waiting.pop() if waiting else None, **given)

    return faulty
