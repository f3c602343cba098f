"""One case: which fault of which scenario a kind and a number name, and what came of it.

A case is the same whenever it is played: `nightlane bench faults --kind kill --case 17` plays the 17th kill again.
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
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.faults.commands import COMMANDS
from bench.faults.compare import Result, differences
from bench.faults.disk import Disk
from bench.faults.nights import NIGHTS
from bench.faults.real import REAL
from bench.faults.scenario import Act, Scenario, Wrong, told
from bench.faults.supervisor import Ended, Fault, Kind, Supervisor
from common.errors import MissingRequirement

KINDS = {
    "kill": "kill at a system call",
    "cut": "power cut",
    "full": "full disk",
    "error": "input/output error",
    "damaged": "damaged file",
    "real": "kill of a real night",
}
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples are spread evenly, however many there are."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case; all four are empty where the edges hold. ``where``: the call that the fault met."""

    kind: str
    number: int
    scenario: str
    where: str
    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    different: Sequence[str] = ()
    traceback: Sequence[str] = ()
    faults: int = 1

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.doubled or self.different or self.traceback)


def play(kind: str, number: int) -> Outcome:
    """In this process, which must have no other Python thread; what it prepares is kept for the next case."""
    if kind == "damaged":
        from bench.faults.damaged import play_damaged

        return play_damaged(number)
    name = scenario_of(kind, number).name
    try:
        stage = _stage(name)
    except RuntimeError as error:
        return Outcome(kind, number, name, "", traceback=[f"without a fault: {error}"], faults=0)
    return stage.play(kind, number)


@cache
def _slots() -> Sequence[Scenario]:
    """Scenarios take turns, by their weights."""
    slots = [one for one in (*NIGHTS, *COMMANDS) for _ in range(one.weight)]
    random.Random("slots").shuffle(slots)
    return slots


def scenario_of(kind: str, number: int) -> Scenario:
    if kind == "real":
        return REAL
    return _slots()[number % len(_slots())]


_stages: dict[str, "Stage | RuntimeError"] = {}


def _stage(name: str) -> "Stage":
    """RuntimeError where the scenario does not hold without any fault; that is found out once."""
    if name not in _stages:
        try:
            _stages[name] = Stage(next(one for one in (*_slots(), REAL) if one.name == name))
        except RuntimeError as error:
            _stages[name] = error
    found = _stages[name]
    if isinstance(found, RuntimeError):
        raise found
    return found


def require_possible() -> None:
    """MissingRequirement where the kernel does not let one process answer another's system calls."""
    folder = scratch()
    try:
        Supervisor(folder, folder, 10).run(lambda: 0)
    except (OSError, ValueError) as error:
        raise MissingRequirement(
            f"faults at system calls need a kernel that lets a process ask another about them (seccomp user "
            f"notification, Linux 5.5 or later, not blocked by a container), and here it does not: {error}"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch() -> Path:
    """A folder in memory where there is one: what is tested is what was asked for, not the disk of this machine."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="nightlane-faults-", dir=base))


@dataclass
class Stage:
    """A scenario prepared: its folder as the command finds it, and the result that no fault disturbed."""

    scenario: Scenario
    folder: Path = field(default_factory=scratch)

    def __post_init__(self) -> None:
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.root, self.template = self.folder / "root", self.folder / "template"
        self.root.mkdir()
        self.supervisor = Supervisor(self.root, self.folder, self.scenario.seconds)
        self.scenario.prepare(self.root, self.run)
        shutil.copytree(self.root, self.template, symlinks=True)
        self.recorded = self._first()
        self.wanted = self._settled([self.recorded])
        if self.scenario.cuts:
            self._require_whole_record()
        undisturbed = self._fresh().run(self.scenario.act(self.root))
        found = differences(self.wanted, self._settled([undisturbed]))
        if found.lost or found.doubled or found.different:
            raise RuntimeError(f"{self.scenario.name} has not the same result twice: {str(found)[:600]}")

    def run(self, act: Act, fault: Fault | None = None, record: bool = False, answers: str = "") -> Ended:
        return self.supervisor.run(act, fault, record, answers or self.scenario.answers)

    def play(self, kind: str, number: int) -> Outcome:
        chance = random.Random(f"{kind} {number}")
        at = 1 + int((number * GOLDEN) % 1.0 * self.recorded.count)
        if kind == "cut":
            first, where = self._cut(at - 1, f"{kind} {number}")
        else:
            self._fresh()
            first = self.run(self.scenario.act(self.root), Fault(_fault(kind, number, chance), at))
            where = first.where
        ends = [] if first.code == -signal.SIGKILL or kind == "cut" else [first]
        missing = self.scenario.acknowledged(first.errors) - self.scenario.held(self.root)
        lost = [f"told as done: {one}" for one in sorted(missing)]
        try:
            return self._gone_on(kind, number, chance, where, ends, lost)
        except Wrong as error:
            return Outcome(kind, number, self.scenario.name, where, lost, different=[str(error)])

    def _gone_on(
        self, kind: str, number: int, chance: random.Random, where: str, ends: list[Ended], lost: list[str]
    ) -> Outcome:
        """What a person comes to who goes on."""
        met = int(bool(where))
        for _ in range(_more(kind, number)):  # going on meets a fault, too
            again = Fault(_fault(kind, number, chance), 1 + int(chance.random() * self.recorded.count))
            for one in self.scenario.goes_on(self.root, _once(self.run, again)):
                ends += [one] if one.code != -signal.SIGKILL else []
                met += bool(one.where)
                where += f", then {one.where}" if one.where else ""
        after = list(self.scenario.goes_on(self.root, self.run))
        wrong = [why for one in (*ends, *after) if (why := told(one))]
        last = after[-1] if after else Ended()
        strange = [f"exit {last.code}: {last.errors.strip()[-300:]}"] if last.code and not told(last) else []
        try:
            found = differences(self.wanted, self.scenario.observe(self.root))
        except Exception as error:
            return Outcome(kind, number, self.scenario.name, where, traceback=(*wrong, f"result unreadable: {error!r}"))
        return Outcome(
            kind,
            number,
            self.scenario.name,
            where,
            (*lost, *found.lost),
            found.doubled,
            (*strange, *found.different),
            tuple(wrong),
            met,
        )

    def _require_whole_record(self) -> None:
        """The model of the disk, without a power cut, has the files that there are."""
        disk = self._disk(len(self.recorded.changes))
        seen = disk.seen()
        there = {
            str(path): path.read_bytes() if path.is_file() else None
            for path in Path(self.supervisor.root).rglob("*")
            if not path.name.endswith("-shm")
        }
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

    def _fresh(self) -> "Stage":
        shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root, symlinks=True)
        return self

    def _settled(self, ends: Sequence[Ended]) -> Result:
        for one in ends:
            if told(one) or one.code:
                raise RuntimeError(f"{self.scenario.name} fails without a fault, exit {one.code}: {one.errors[-2000:]}")
        return self.scenario.observe(self.root)

    def _first(self) -> Ended:
        """The undisturbed run; what it imported is imported here, so that no case does it again."""
        names, act = self.folder / "modules", self.scenario.act(self.root)

        def noting() -> int:
            try:
                return act()
            finally:
                names.write_text("\n".join(sys.modules), encoding="utf-8")

        ended = self.run(noting, record=self.scenario.cuts)
        for name in names.read_text(encoding="utf-8").split():
            if name not in sys.modules and not name.startswith("__"):
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        return ended


def _fault(kind: str, number: int, chance: random.Random) -> Kind:
    if kind == "real":
        return chance.choice(("main", "worker", "kill"))
    if kind in ("full", "error"):
        return "full" if kind == "full" else "error"
    return "tear" if number % 2 else "kill"


def _more(kind: str, number: int) -> int:
    """How often going on is disturbed, too."""
    return 3 if kind == "real" else int(kind in ("kill", "cut") and number % 5 == 4)


def _once(run: Any, fault: Fault) -> Any:
    """``run`` whose first command meets the fault."""
    waiting = [fault]

    def faulty(act: Act, *_: Any, **given: Any) -> Ended:
        ended: Ended = run(act, waiting.pop() if waiting else None, **given)
        return ended

    return faulty
