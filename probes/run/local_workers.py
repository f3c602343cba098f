"""Resident workers: processes that load the base model once and measure many probes.

A worker ends with its parent and is killed at its deadline. A worker that dies is replaced; after RESTARTS replacements
in a row that died without a probe, its slot is given up. A probe whose worker dies is retried in another worker. When a
batch is interrupted, its probes stop.
"""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

from common.errors import MissingRequirement, NightlaneError
from probes.endpoint.spending import Allowance
from probes.inputs.material import Material
from probes.inputs.settings import MemorySettings, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.failures import MEANINGS
from probes.run.protocol import Listener, OnOutcome, Progress, ignore_outcome
from probes.run.store import require_own
from probes.run.worker import Ready, serve

NVIDIA = Path("/proc/driver/nvidia/gpus")
CONTEXT: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")
"""A worker inherits no state of its parent, in particular not the initialised CUDA."""
GOODBYE_SECONDS = 3.0
RESTARTS = 4
"""How many times in a row a worker that dies without a probe is started again."""
FIRST_PAUSE = 1.0
"""Seconds before the first of these restarts; each further pause is twice as long."""


@dataclass
class _Task:
    """``memory``: how much of it is in memory at once; None until it is handed out for the first time."""

    place: int
    probe: Probe
    attempt: int = 1
    memory: MemorySettings | None = None
    halved: bool = False


@dataclass
class _Worker:
    """A worker process. ``deadline``: when it must be ready, later when its task must be done. ``whole``: no message to
    or from it was interrupted."""

    process: BaseProcess
    pipe: Connection
    deadline: float
    ready: bool = False
    task: _Task | None = None
    whole: bool = True

    @property
    def idle(self) -> bool:
        return self.ready and self.whole and self.task is None

    def end(self) -> None:
        """Kill it at once. If this is interrupted, the worker is not whole."""
        self.whole = False
        self.pipe.close()
        if self.process.pid is not None:
            self.process.kill()
            self.process.join()


@dataclass
class _Slot:
    """A place for one worker. ``deaths``: how many workers in a row died without a probe."""

    number: int
    worker: _Worker | None = None
    deaths: int = 0
    paused_until: float = 0.0
    given_up: bool = False

    def free(self) -> None:
        if self.worker is not None:
            self.worker.end()
        self.worker = None


@dataclass
class _Batch:
    """The state of one call of ``run``."""

    listener: Listener
    waiting: deque[_Task]
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class ResidentRunner:
    """A Runner on this machine. ``workers`` 0: one per GPU, or else one per core with one thread each.

    ``quantization``: of the base that a worker loads before its first probe.
    """

    base = None

    def __init__(self, material: Material, settings: RunnerSettings, runs: Path, quantization: str = "none") -> None:
        self._material, self._settings, self._runs = material, settings, runs
        self._quantization = quantization
        self._devices = visible_devices()
        self._ready: Ready | None = None
        self._pending_notes: list[str] = []
        self._memory: dict[str, MemorySettings] = {}  # what the device has room for, by quantisation of the base
        count = settings.workers or (len(self._devices) if self._devices else os.cpu_count() or 1)
        self._slots = [_Slot(number) for number in range(count)]
        try:
            self._start_missing()
        except BaseException:
            self.close()
            raise

    @property
    def environment(self) -> str:
        """Waits for the first worker; MissingRequirement when none can start."""
        return self._first().environment

    @property
    def width(self) -> int:
        return max(1, sum(not slot.given_up for slot in self._slots))

    @property
    def about(self) -> str:
        return self._first().about

    def _first(self) -> Ready:
        """The first worker's first message. All other workers must have the same environment."""
        nothing = _Batch(lambda progress: None, deque())
        while self._ready is None:
            self._start_missing()
            self._handle_messages(nothing)
        return self._ready

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        self._drop_unfinished()
        now = _Batch(listener, deque(_Task(place, probe) for place, probe in enumerate(batch)))
        kept: set[int] = set()
        try:
            while len(now.outcomes) < len(batch):
                self._start_missing()
                self._send_notes(now)
                self._hand_out(now, allowance)
                self._handle_messages(now)
                for place in now.outcomes.keys() - kept:
                    kept.add(place)
                    keep(batch[place], now.outcomes[place])
            self._start_missing()
        except BaseException:
            self._drop_unfinished()
            raise
        return [now.outcomes[place] for place in range(len(batch))]

    def close(self) -> None:
        """End all workers: an idle one by closing its pipe, any other by killing it."""
        workers = self._workers
        for worker in workers:
            if worker.idle:
                worker.pipe.close()
            else:
                worker.end()
        for worker in workers:
            if worker.idle:
                worker.process.join(timeout=GOODBYE_SECONDS)
                worker.end()
        for slot in self._slots:
            slot.worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # workers

    @property
    def _workers(self) -> list[_Worker]:
        return [slot.worker for slot in self._slots if slot.worker is not None]

    def _start_missing(self) -> None:
        """Start a worker in each empty slot whose pause is over; MissingRequirement when all slots are given up."""
        for slot in self._slots:
            if slot.worker is None and not slot.given_up and time.monotonic() >= slot.paused_until:
                self._start(slot)
        if all(slot.given_up for slot in self._slots):
            raise MissingRequirement(
                f"no worker is left: each ended {RESTARTS + 1} times in a row before it did anything; "
                f"{self._log(self._slots[0])} and those beside it say why, so mend the machine"
            )

    def _start(self, slot: _Slot) -> None:
        mine, theirs = CONTEXT.Pipe()
        device = "cuda" if self._devices else "cpu"
        threads = self._settings.threads or 1
        arguments = (theirs, self._runs, slot.number, threads, device, self._quantization)
        process = CONTEXT.Process(target=serve, args=arguments, name=f"nightlane-worker-{slot.number}")
        # Stored before the process runs, so that an interrupt ends it.
        slot.worker = _Worker(process, mine, time.monotonic() + self._settings.start_seconds, whole=False)
        with _variables(self._child_environment(slot.number, threads)):
            process.start()
        theirs.close()
        with suppress(OSError):  # it is already dead; its closed pipe is noticed next
            mine.send(self._material)  # as an argument, writing it to a child that died early would block for ever
        slot.worker.whole = True

    def _child_environment(self, slot: int, threads: int) -> dict[str, str]:
        """Set before the child imports anything: its GPU and its number of threads."""
        gpu = {"CUDA_VISIBLE_DEVICES": self._devices[slot % len(self._devices)]} if self._devices else {}
        return {**gpu, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def _drop_unfinished(self) -> None:
        """End workers that still run a probe of an interrupted batch. The next batch starts new ones."""
        for slot in self._slots:
            if slot.worker is not None and (slot.worker.task is not None or not slot.worker.whole):
                slot.free()

    def _schedule_restart(self, slot: _Slot, why: str) -> None:
        """Start a new worker after a pause that doubles each time; give the slot up after RESTARTS of them."""
        slot.free()
        slot.deaths += 1
        slot.given_up = slot.deaths > RESTARTS
        slot.paused_until = time.monotonic() + FIRST_PAUSE * 2 ** (slot.deaths - 1)
        if slot.given_up:
            left = sum(not other.given_up for other in self._slots)
            self._pending_notes.append(
                f"worker {slot.number} is not started again: {slot.deaths} in a row ended before they did anything "
                f"(the last: {why}; see {self._log(slot)}); {left} of {len(self._slots)} workers are left"
            )

    def _log(self, slot: _Slot) -> Path:
        return self._runs / f"worker-{slot.number}.log"

    # a batch

    def _hand_out(self, batch: _Batch, allowance: Allowance | None) -> None:
        for worker in self._workers:
            if worker.idle and batch.waiting:
                worker.task = task = batch.waiting.popleft()
                worker.deadline = time.monotonic() + self._settings.deadline
                task.memory = task.memory or self._memory.get(task.probe.recipe.quantization, self._settings)
                try:
                    worker.pipe.send(([task.probe], allowance, task.memory))
                except OSError:  # the worker died without a task; its closed pipe is noticed next
                    worker.task = None
                    batch.waiting.appendleft(task)

    def _send_notes(self, batch: _Batch) -> None:
        while self._pending_notes:
            batch.listener(Progress("", "waiting", 0, 0, note=self._pending_notes.pop(0)))

    def _handle_messages(self, batch: _Batch) -> None:
        """Wait for messages of the workers or the next deadline, and handle them."""
        ready = wait([worker.pipe for worker in self._workers], timeout=self._seconds_to_next_deadline())
        for slot in self._slots:
            if slot.worker is not None and slot.worker.pipe in ready:
                self._receive(slot, slot.worker, batch)
            elif slot.worker is not None and not slot.worker.idle and time.monotonic() > slot.worker.deadline:
                self._time_out(slot, slot.worker, batch)

    def _seconds_to_next_deadline(self) -> float:
        deadlines = [worker.deadline for worker in self._workers if not worker.idle]
        pauses = [slot.paused_until for slot in self._slots if slot.worker is None and not slot.given_up]
        return max(0.0, min([*deadlines, *pauses]) - time.monotonic()) if deadlines or pauses else 1.0

    def _receive(self, slot: _Slot, worker: _Worker, batch: _Batch) -> None:
        worker.whole = False
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._lost(slot, worker, batch)
            return
        worker.whole = True
        if kind == "ready":
            self._require_alike(slot, content)
            worker.ready = True
        elif kind == "downloading":
            worker.deadline = time.monotonic() + self._settings.start_seconds
        elif kind == "progress":
            progress: Progress = content
            if progress.note:  # time spent waiting for a server does not count
                worker.deadline = time.monotonic() + self._settings.deadline
            batch.listener(progress)
        elif kind == "refused":
            error: NightlaneError = content
            slot.free()
            raise error
        elif kind == "done":
            self._done(slot, worker, content, batch)

    def _require_alike(self, slot: _Slot, ready: Ready) -> None:
        """MissingRequirement for a worker unlike the first: their readings could not be compared (law 1)."""
        if self._ready is None:
            self._ready = ready
        for mine, theirs in zip_longest(self._ready.environment.split(), ready.environment.split(), fillvalue="none"):
            if mine != theirs:
                slot.free()
                raise MissingRequirement(
                    f"all workers of a session must be alike and worker {slot.number} has {theirs} where the first has "
                    f"{mine}; let CUDA_VISIBLE_DEVICES name GPUs of one model, or put the packages back as they were"
                )

    def _done(self, slot: _Slot, worker: _Worker, answered: Sequence[tuple[str, Outcome]], batch: _Batch) -> None:
        task = worker.task
        if task is None or [name for name, _ in answered] != [task.probe.id]:
            self._lost(slot, worker, batch, "it answered for another probe")
            return
        outcome, worker.task, slot.deaths = answered[0][1], None, 0
        if isinstance(outcome, Failure) and MEANINGS[outcome.kind].replaces_worker:
            slot.free()
        self._settle(task, outcome, batch)
        batch.listener(Progress(task.probe.id, "done", task.probe.key.steps, task.probe.key.steps))

    def _settle(self, task: _Task, outcome: Outcome, batch: _Batch) -> None:
        retries = MEANINGS[outcome.kind].retries if isinstance(outcome, Failure) else 0
        if task.attempt < min(self._settings.attempts, 1 + retries):
            again = self._again(task, outcome)
            if again.halved:  # first, so that those that wait learn from it
                batch.waiting.appendleft(again)
            else:
                batch.waiting.append(again)
        else:
            if isinstance(outcome, Reading) and task.halved and task.memory:
                self._memory[task.probe.recipe.quantization] = task.memory
            require_own(task.probe, outcome)
            batch.outcomes[task.place] = outcome

    def _again(self, task: _Task, outcome: Outcome) -> _Task:
        """The next attempt. After one that ran out of memory it is the same probe with half as much at once."""
        probe, memory = task.probe, task.memory
        if memory is None or not (isinstance(outcome, Failure) and outcome.kind == "oom"):
            return _Task(task.place, probe, task.attempt + 1, memory, task.halved)
        before = f"{memory.rows_at_once(probe.recipe.effective_batch)} rows and {memory.generation_batch} answers"
        memory = memory.halved(probe.recipe.effective_batch)
        self._pending_notes.append(
            f"probe {probe.id} ran out of memory with {before} at once; it is tried again in a new worker with "
            f"{memory.micro_batch} and {memory.generation_batch}"
        )
        return _Task(task.place, probe, task.attempt + 1, memory, halved=True)

    def _lost(self, slot: _Slot, worker: _Worker, batch: _Batch, why: str = "") -> None:
        worker.process.join(timeout=0 if why else 5)
        why = why or ended(worker.process.exitcode)
        task = worker.task
        if task is None:
            self._schedule_restart(slot, why)
        else:
            slot.free()
            message = f"its worker ended ({why}) in attempt {task.attempt} of {self._settings.attempts}"
            self._settle(task, Failure(task.probe.id, task.probe.seed, "lost_worker", message), batch)

    def _time_out(self, slot: _Slot, worker: _Worker, batch: _Batch) -> None:
        task = worker.task
        if task is None:
            self._schedule_restart(slot, f"not ready within start_seconds={self._settings.start_seconds:g}")
        else:
            slot.free()
            message = f"it was killed at its deadline of {self._settings.deadline:g} s"
            self._settle(task, Failure(task.probe.id, task.probe.seed, "timeout", message), batch)


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
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


def visible_devices() -> list[str]:
    """The GPUs that workers may use, as CUDA_VISIBLE_DEVICES names them; empty on a machine without GPUs."""
    if not NVIDIA.is_dir():
        return []
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [device for device in allowed.split(",") if device not in ("", "-1")]
    return [str(index) for index in range(len(list(NVIDIA.iterdir())))]


def ended(code: int | None) -> str:
    """How a process ended, by its exit code, in words."""
    if code is None:
        return "it does not answer and has not ended"
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else f"signal {-code}"
    return f"killed by {name}" + (", which the system sends when memory runs out" if -code == signal.SIGKILL else "")
