"""Resident workers: processes that load the base model once and serve many probes.

A worker dies with its parent, is killed at its deadline, and is replaced when it dies. A probe whose worker was lost is
tried again in another, a stated number of times.
"""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

from lanes.errors import MissingRequirement, NightlaneError
from probes.material import Material
from probes.purse import Allowance
from probes.reading import Failure, Outcome, Probe
from probes.runner import Keep, Listener, Progress, let_go
from probes.settings import RunnerSettings
from probes.worker import Ready, serve

NVIDIA = Path("/proc/driver/nvidia/gpus")
START_SECONDS = 600.0
GOODBYE_SECONDS = 3.0


@dataclass
class _Task:
    place: int
    probe: Probe
    attempt: int = 1


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    task: _Task | None = None
    deadline: float = 0.0


class ResidentRunner:
    """A Runner on this machine. ``workers`` 0: one per GPU, or one per core with one thread each.

    ``quantization``: of the base that a worker loads before it takes its first probe.
    """

    base = None

    def __init__(self, material: Material, settings: RunnerSettings, runs: Path, quantization: str = "none") -> None:
        self._material, self._settings, self._runs = material, settings, runs
        self._quantization = quantization
        self._devices = visible_devices()
        self._context = multiprocessing.get_context("spawn")
        self._ready: Ready | None = None
        count = settings.workers or (len(self._devices) if self._devices else os.cpu_count() or 1)
        self._workers = [self._start(slot) for slot in range(count)]

    @property
    def environment(self) -> str:
        """Waits for the first worker; MissingRequirement when it cannot start."""
        return self._first().environment

    @property
    def width(self) -> int:
        return len(self._workers)

    @property
    def about(self) -> str:
        return self._first().about

    def _first(self) -> Ready:
        if self._ready is None:
            self._ready = self._hello(self._workers[0])
        return self._ready

    def run(
        self, batch: Sequence[Probe], listener: Listener, keep: Keep = let_go, allowance: Allowance | None = None
    ) -> list[Outcome]:
        waiting = deque(_Task(place, probe) for place, probe in enumerate(batch))
        outcomes: dict[int, Outcome] = {}
        kept: set[int] = set()
        while len(outcomes) < len(batch):
            for worker in self._workers:
                if worker.task is None and waiting:
                    self._give(worker, waiting.popleft(), allowance)
            ready = wait([worker.pipe for worker in self._workers], timeout=self._patience())
            for worker in list(self._workers):
                if worker.pipe in ready:
                    self._receive(worker, listener, outcomes, waiting)
                elif worker.task is not None and time.monotonic() > worker.deadline:
                    self._time_out(worker, outcomes)
            for place in outcomes.keys() - kept:
                kept.add(place)
                keep(batch[place], outcomes[place])
        return [outcomes[place] for place in range(len(batch))]

    def close(self) -> None:
        """An idle worker ends by itself when its pipe closes; one that is at work is killed."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.task is not None:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(timeout=GOODBYE_SECONDS)
            worker.process.kill()
            worker.process.join()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, slot: int) -> _Worker:
        mine, theirs = self._context.Pipe()
        device = "cuda" if self._devices else "cpu"
        threads = self._settings.threads or 1
        arguments = (theirs, self._material, self._runs, slot, threads, device, self._quantization)
        with _variables(self._child_environment(slot, threads)):
            process = self._context.Process(target=serve, args=arguments, name=f"nightlane-worker-{slot}")
            process.start()
        theirs.close()
        return _Worker(slot, process, mine)

    def _child_environment(self, slot: int, threads: int) -> dict[str, str]:
        """Set before the child imports anything: its GPU, its threads, and no network for what is only local."""
        gpu = {"CUDA_VISIBLE_DEVICES": self._devices[slot % len(self._devices)]} if self._devices else {}
        return {**gpu, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def _hello(self, worker: _Worker) -> Ready:
        if not worker.pipe.poll(START_SECONDS):
            raise MissingRequirement(f"a worker did not start within {START_SECONDS:g} s; see {self._log(worker)}")
        try:
            kind, content = worker.pipe.recv()
        except EOFError:
            raise MissingRequirement(f"a worker ended before it was ready; {self._log(worker)} says why") from None
        if kind == "refused":
            raise content
        worker.ready = True
        first: Ready = content
        return first

    def _give(self, worker: _Worker, task: _Task, allowance: Allowance | None) -> None:
        worker.task = task
        worker.deadline = time.monotonic() + (self._settings.deadline if worker.ready else START_SECONDS)
        try:
            worker.pipe.send(([task.probe], allowance))
        except (BrokenPipeError, OSError):
            return  # its pipe reads as ended, and the task goes to its successor

    def _patience(self) -> float:
        deadlines = [worker.deadline for worker in self._workers if worker.task is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else 1.0

    def _receive(
        self, worker: _Worker, listener: Listener, outcomes: dict[int, Outcome], waiting: deque[_Task]
    ) -> None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._lost(worker, outcomes, waiting)
            return
        if kind == "ready":  # imports and start are not the probe's time
            worker.ready = True
            worker.deadline = time.monotonic() + self._settings.deadline
        elif kind == "progress":
            progress: Progress = content
            if progress.note:  # waiting for a server is not the probe's time
                worker.deadline = time.monotonic() + self._settings.deadline
            listener(progress)
        elif kind == "refused":
            error: NightlaneError = content
            raise error
        elif kind == "done" and worker.task is not None:
            task, worker.task = worker.task, None
            self._settle(task, content[0], outcomes, waiting)
            listener(Progress(task.probe.id, "done", task.probe.key.steps, task.probe.key.steps))

    def _settle(self, task: _Task, outcome: Outcome, outcomes: dict[int, Outcome], waiting: deque[_Task]) -> None:
        again = isinstance(outcome, Failure) and outcome.retryable and outcome.kind != "disk"
        if again and task.attempt < self._settings.attempts:
            waiting.append(_Task(task.place, task.probe, task.attempt + 1))
        else:
            outcomes[task.place] = outcome

    def _lost(self, worker: _Worker, outcomes: dict[int, Outcome], waiting: deque[_Task]) -> None:
        worker.process.join(timeout=5)
        code = worker.process.exitcode
        task = worker.task
        self._replace(worker)
        if task is None and self._ready is None:
            raise MissingRequirement(f"a worker ended before it was ready (exit {code}); {self._log(worker)} says why")
        if task is not None:
            message = f"its worker ended (exit {code}) in attempt {task.attempt} of {self._settings.attempts}"
            self._settle(task, Failure(task.probe.id, task.probe.seed, "lost_worker", message), outcomes, waiting)

    def _time_out(self, worker: _Worker, outcomes: dict[int, Outcome]) -> None:
        task = worker.task
        self._replace(worker)
        if task is not None:
            message = f"it was killed at its deadline of {self._settings.deadline:g} s"
            outcomes[task.place] = Failure(task.probe.id, task.probe.seed, "timeout", message)

    def _replace(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        self._workers[self._workers.index(worker)] = self._start(worker.number)

    def _log(self, worker: _Worker) -> Path:
        return self._runs / f"worker-{worker.number}.log"


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the child that is started inside the block."""
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
    """The GPUs a worker may be given, as CUDA_VISIBLE_DEVICES wants them; empty on a machine without."""
    if not NVIDIA.is_dir():
        return []
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [device for device in allowed.split(",") if device not in ("", "-1")]
    return [str(index) for index in range(len(list(NVIDIA.iterdir())))]
