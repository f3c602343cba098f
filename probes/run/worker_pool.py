"""The worker processes of a runner: how they start, end, and are started again when they die or their device fails."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any, Protocol

from common.errors import MissingRequirement
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.run.batch import ProbeTask
from probes.run.devices import device_groups, visible_devices
from probes.run.protocol import WorkerState, WorkerStatus
from probes.run.worker import serve

CONTEXT: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")
"""Spawned workers inherit no state of the parent, such as an initialised CUDA context."""
GOODBYE_SECONDS = 3.0
RESTARTS = 4
"""How many times in a row a slot's worker is restarted after failures by its own fault."""
FIRST_PAUSE = 1.0
"""Seconds before the first of these restarts; each further pause is twice as long."""


class WorkerProcess(Protocol):
    """A worker's process on this machine, or its actor on a cluster."""

    @property
    def pid(self) -> int | None: ...

    @property
    def exitcode(self) -> int | None: ...

    def kill(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...


class Pipe(Protocol):
    """The connection to a worker. ``recv`` raises EOFError when the worker has ended."""

    def send(self, message: Any, /) -> None: ...

    def recv(self) -> Any: ...

    def close(self) -> None: ...


@dataclass
class Worker:
    """A worker process. ``deadline``: when it must be ready, and later when its tasks must be done. ``whole``: False if
    a message to or from it may have been interrupted, so that it must be ended."""

    process: WorkerProcess
    pipe: Pipe
    deadline: float
    ready: bool = False
    tasks: list[ProbeTask] = field(default_factory=list)
    whole: bool = True

    @property
    def idle(self) -> bool:
        return self.ready and self.whole and not self.tasks

    def end(self) -> None:
        """Kill the worker at once."""
        self.whole = False
        self.pipe.close()
        if self.process.pid is not None:
            self.process.kill()
            self.process.join()


@dataclass
class Slot:
    """A place for one worker. ``failures``: how many workers in a row died or lost their device before a probe ended in
    any other way."""

    number: int
    worker: Worker | None = None
    failures: int = 0
    paused_until: float = 0.0
    given_up: bool = False

    @property
    def status(self) -> WorkerStatus:
        return WorkerStatus(
            number=self.number,
            state=self._state,
            probes=tuple(task.probe.id for task in self.worker.tasks) if self.worker else (),
            failures=self.failures,
        )

    @property
    def _state(self) -> WorkerState:
        if self.given_up:
            return "given up"
        if self.worker is None:
            return "restarting"
        if not self.worker.ready:
            return "starting"
        return "busy" if self.worker.tasks else "idle"

    def free(self) -> None:
        if self.worker is not None:
            self.worker.end()
        self.worker = None


class WorkerPool:
    """A slot per worker. ``note``: gets a line when a slot is given up. ``quantization``: of the base that a worker
    loads before its first probe."""

    def __init__(
        self,
        material: Material,
        settings: RunnerSettings,
        runs: Path,
        quantization: str,
        note: Callable[[str], None],
    ) -> None:
        self._material, self._settings, self._runs = material, settings, runs
        self._quantization, self._note = quantization, note
        self._devices = self._device_groups()
        count = settings.workers or (len(self._devices) if self._devices else os.cpu_count() or 1)
        self.slots: Sequence[Slot] = [Slot(number) for number in range(count)]

    def _device_groups(self) -> list[str]:
        """The GPUs of each worker of this machine."""
        return device_groups(visible_devices(), self._settings.gpus_per_worker)

    @property
    def workers(self) -> list[Worker]:
        return [slot.worker for slot in self.slots if slot.worker is not None]

    @property
    def left(self) -> int:
        """The number of slots that are not given up."""
        return sum(not slot.given_up for slot in self.slots)

    @property
    def failures(self) -> dict[int, int]:
        """By slot that is not given up: how often in a row its worker has failed."""
        return {slot.number: slot.failures for slot in self.slots if not slot.given_up}

    @property
    def seconds_to_next_deadline(self) -> float:
        """Seconds until a worker misses its deadline or a pause is over."""
        deadlines = [worker.deadline for worker in self.workers if not worker.idle]
        pauses = [slot.paused_until for slot in self.slots if slot.worker is None and not slot.given_up]
        return max(0.0, min([*deadlines, *pauses]) - time.monotonic()) if deadlines or pauses else 1.0

    def wait(self) -> Collection[Pipe]:
        """Wait for a message, a worker's deadline or the end of a pause; returns the pipes that have messages."""
        ready: list[Any] = wait([worker.pipe for worker in self.workers], self.seconds_to_next_deadline)  # type: ignore[misc]
        return ready

    def machine_lost(self, slot: Slot) -> bool:
        """Whether a worker ended because its machine is gone, so that neither it nor its probe is at fault."""
        return False

    def why_ended(self, worker: Worker) -> str:
        """How a worker ended, in words."""
        worker.process.join(timeout=5)
        return ended(worker.process.exitcode)

    def start_missing(self) -> None:
        """Start a worker in each empty slot whose pause is over; MissingRequirement when all slots are given up."""
        for slot in self.slots:
            if slot.worker is None and not slot.given_up and time.monotonic() >= slot.paused_until:
                self._start(slot)
        if all(slot.given_up for slot in self.slots):
            raise MissingRequirement(
                f"no worker is left: each ended {RESTARTS + 1} times in a row before it measured anything; "
                f"{self._log(self.slots[0])} and the other worker logs beside it say why; mend the machine"
            )

    def schedule_restart(self, slot: Slot, why: str, counts: bool = True) -> None:
        """End the slot's worker, and let ``start_missing`` start another after a pause that doubles each time. Give the
        slot up after RESTARTS restarts. ``counts``: whether the worker may be at fault."""
        slot.free()
        slot.failures += counts
        slot.given_up = slot.failures > RESTARTS
        slot.paused_until = time.monotonic() + FIRST_PAUSE * 2 ** max(0, slot.failures - 1)
        if slot.given_up:
            self._note(
                f"worker {slot.number} is not started again: {slot.failures} in a row ended before they measured "
                f"anything (the last: {why}; see {self._log(slot)}); {self.left} of {len(self.slots)} workers are left"
            )

    def drop_unfinished(self) -> None:
        """End workers that still run a probe of an interrupted batch. The next batch starts new ones."""
        for slot in self.slots:
            if slot.worker is not None and (slot.worker.tasks or not slot.worker.whole):
                slot.free()

    def close(self) -> None:
        """End all workers: an idle one by closing its pipe, any other by killing it."""
        workers = self.workers
        for worker in workers:
            if worker.idle:
                worker.pipe.close()
            else:
                worker.end()
        for worker in workers:
            if worker.idle:
                worker.process.join(timeout=GOODBYE_SECONDS)
                worker.end()
        for slot in self.slots:
            slot.worker = None

    def _start(self, slot: Slot) -> None:
        mine, theirs = CONTEXT.Pipe()
        device = "cuda" if self._devices else "cpu"
        threads = self._settings.threads or 1
        engine = self._settings.engine
        arguments = (theirs, self._runs, slot.number, threads, device, self._quantization, engine)
        process = CONTEXT.Process(target=serve, args=arguments, name=f"nightlane-worker-{slot.number}")
        # Stored before the process runs, so that an interrupt ends it.
        slot.worker = Worker(process, mine, time.monotonic() + self._settings.start_seconds, whole=False)
        with variables(self._child_environment(slot.number, threads)):
            process.start()
        theirs.close()
        with suppress(OSError):  # it is already dead; its closed pipe is noticed next
            mine.send(self._material)  # as a process argument, it would block for ever if the child died early
        slot.worker.whole = True

    def _child_environment(self, slot: int, threads: int) -> dict[str, str]:
        """Variables that must be set before the child imports anything: its GPUs and its number of threads."""
        gpu = {"CUDA_VISIBLE_DEVICES": self._devices[slot % len(self._devices)]} if self._devices else {}
        return {**gpu, **thread_variables(threads)}

    def _log(self, slot: Slot) -> Path:
        return self._runs / f"worker-{slot.number}.log"


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables that give a process this many threads."""
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the child that is started inside the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def ended(code: int | None) -> str:
    """How a process ended, by its exit code, in words."""
    if code is None:
        return "it does not answer and has not ended"
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else f"signal {-code}"
    return f"killed by {name}" + (", which the system sends when memory runs out" if -code == signal.SIGKILL else "")
