"""The runner of this machine: resident workers, which load the base model once and measure many probes.

A worker ends with its parent process and is killed at its deadline. If a worker dies or loses its device, its probe is
tried again in another worker. A worker that fails so with several probes in a row is given up; the second such failure
of one probe does not count against a worker. When a batch is interrupted, its probes stop.

This file exchanges messages with the workers, also for a cluster (ray/runner.py). worker_pool.py starts and ends them,
and batch.py has the queue of probes.
"""

import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Self

from common.errors import MissingRequirement, NightlaneError
from probes.endpoint.spending import Allowance
from probes.inputs.material import Material
from probes.inputs.settings import MemorySettings, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe
from probes.run.batch import Batch, ProbeTask
from probes.run.failures import MEANINGS
from probes.run.protocol import Listener, OnOutcome, Progress, WorkerStatus, ignore_outcome
from probes.run.worker import Ready
from probes.run.worker_pool import Slot, Worker, WorkerPool


class ResidentRunner:
    """A Runner on this machine. ``workers`` 0: one per GPU, or else one per core with one thread each.

    ``quantization``: of the base that a worker loads before its first probe.
    """

    base = None
    made_alike: ClassVar[str] = "let CUDA_VISIBLE_DEVICES name GPUs of one model, or put the packages back as they were"
    """What a person can do about unlike workers."""

    def __init__(self, material: Material, settings: RunnerSettings, runs: Path, quantization: str = "none") -> None:
        self._settings = settings
        self._ready: Ready | None = None
        self._notes: list[str] = []  # for the listener of the batch that runs, or else of the next
        self._room: dict[str, MemorySettings] = {}
        self._pool = self._open_pool(material, runs, quantization)
        try:
            self._pool.start_missing()
        except BaseException:
            self.close()
            raise

    def _open_pool(self, material: Material, runs: Path, quantization: str) -> WorkerPool:
        return WorkerPool(material, self._settings, runs, quantization, self._notes.append)

    @property
    def environment(self) -> str:
        """Waits for the first worker; MissingRequirement when none can start."""
        return self._first().environment

    @property
    def width(self) -> int:
        return max(1, self._pool.left)

    @property
    def workers(self) -> tuple[WorkerStatus, ...]:
        return tuple(slot.status for slot in self._pool.slots)

    @property
    def about(self) -> str:
        return self._first().about

    def _first(self) -> Ready:
        """The first worker's first message. All other workers must have the same environment."""
        nothing = self._batch([], lambda progress: None)
        while self._ready is None:
            self._pool.start_missing()
            self._handle_messages(nothing)
        return self._ready

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        self._pool.drop_unfinished()
        now = self._batch(batch, listener)
        kept: set[int] = set()
        try:
            while len(now.outcomes) < len(batch):
                self._pool.start_missing()
                self._send_notes(now)
                self._hand_out(now, allowance)
                self._report_workers(now)
                self._handle_messages(now)
                now.review(self._pool.failures)
                for place in now.outcomes.keys() - kept:
                    kept.add(place)
                    keep(batch[place], now.outcomes[place])
            self._pool.start_missing()
        except BaseException:
            self._pool.drop_unfinished()
            raise
        return [now.outcomes[place] for place in range(len(batch))]

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # messages to the workers

    def _batch(self, probes: Sequence[Probe], listener: Listener) -> Batch:
        return Batch(probes, listener, self._settings, self._room, self._notes.append)

    def _send_notes(self, batch: Batch) -> None:
        while self._notes:
            batch.listener(Progress("", "waiting", 0, 0, note=self._notes.pop(0)))

    def _report_workers(self, batch: Batch) -> None:
        """Call the listener if the state of a worker has changed since the last report."""
        if self.workers != batch.workers:
            batch.workers = self.workers
            batch.listener(Progress("", "waiting", 0, 0))

    def _hand_out(self, batch: Batch, allowance: Allowance | None) -> None:
        for slot in self._pool.slots:
            worker = slot.worker
            if worker is None or not worker.idle:
                continue
            if tasks := batch.next_tasks(slot.number, self._pool.failures):
                worker.tasks = tasks
                worker.deadline = self._deadline(worker)
                try:
                    worker.pipe.send(([task.probe for task in tasks], allowance, tasks[0].memory))
                except OSError:  # the worker died without a task; its closed pipe is noticed next
                    worker.tasks = []
                    batch.waiting.extendleft(reversed(tasks))

    def _deadline(self, worker: Worker) -> float:
        return time.monotonic() + self._settings.deadline * len(worker.tasks)

    # messages from the workers

    def _handle_messages(self, batch: Batch) -> None:
        """Wait for messages from the workers or the next deadline, and handle them."""
        ready = self._pool.wait()
        for slot in self._pool.slots:
            if slot.worker is not None and slot.worker.pipe in ready:
                self._receive(slot, slot.worker, batch)
            elif slot.worker is not None and not slot.worker.idle and time.monotonic() > slot.worker.deadline:
                self._time_out(slot, slot.worker, batch)

    def _receive(self, slot: Slot, worker: Worker, batch: Batch) -> None:
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
                worker.deadline = self._deadline(worker)
            batch.listener(progress)
        elif kind == "refused":
            self._refuse(slot, content)
        elif kind == "done":
            self._done(slot, worker, content, batch)

    def _require_alike(self, slot: Slot, ready: Ready) -> None:
        """MissingRequirement for a worker unlike the first: their readings could not be compared (invariant 1)."""
        if self._ready is None:
            self._ready = ready
        for mine, theirs in zip_longest(self._ready.environment.split(), ready.environment.split(), fillvalue="none"):
            if mine != theirs:
                unlike = MissingRequirement(
                    f"all workers of a session must be alike and worker {slot.number} has {theirs} where the first has "
                    f"{mine}; {self.made_alike}"
                )
                self._refuse(slot, unlike)
                return

    def _refuse(self, slot: Slot, error: NightlaneError) -> None:
        """Raise an error that keeps every worker in this slot from measuring probes of this session."""
        slot.free()
        raise error

    def _done(self, slot: Slot, worker: Worker, answered: Sequence[tuple[str, Outcome]], batch: Batch) -> None:
        [(name, outcome)] = answered
        task = next((task for task in worker.tasks if task.probe.id == name), None)
        if task is None:
            self._lost(slot, worker, batch, "it sent the outcome of another probe")
            return
        worker.tasks.remove(task)
        self._settle(slot, task, outcome, batch)
        if slot.worker is not worker:  # it is replaced
            batch.separate(worker.tasks)
        batch.listener(Progress(task.probe.id, "done", task.probe.key.steps, task.probe.key.steps))

    def _lost(self, slot: Slot, worker: Worker, batch: Batch, why: str = "") -> None:
        if not why and self._pool.machine_lost(slot):
            batch.waiting.extendleft(reversed(worker.tasks))
            slot.free()
            return
        why = why or self._pool.why_ended(worker)
        if len(worker.tasks) != 1:
            batch.separate(worker.tasks)
            self._pool.schedule_restart(slot, why)
        else:
            [task] = worker.tasks
            message = f"its worker ended ({why}) in attempt {task.attempt} of {self._settings.attempts}"
            self._settle(slot, task, Failure(task.probe.id, task.probe.seed, "lost_worker", message), batch)

    def _settle(self, slot: Slot, task: ProbeTask, outcome: Outcome, batch: Batch) -> None:
        """Apply the outcome of an attempt to the worker (restart, replace or keep it) and to the probe."""
        meaning = MEANINGS[outcome.kind] if isinstance(outcome, Failure) else None
        if isinstance(outcome, Failure) and meaning and meaning.worker_at_fault:
            self._pool.schedule_restart(slot, outcome.message, counts=not task.failed_in)
        else:
            slot.failures = 0
            if meaning and meaning.replaces_worker:
                slot.free()
        batch.settle(task, outcome, slot.number)

    def _time_out(self, slot: Slot, worker: Worker, batch: Batch) -> None:
        if not worker.tasks:
            self._pool.schedule_restart(slot, f"not ready within start_seconds={self._settings.start_seconds:g}")
        elif len(worker.tasks) > 1:
            slot.free()
            batch.separate(worker.tasks)
        else:
            [task] = worker.tasks
            slot.free()
            message = f"it was killed at its deadline of {self._settings.deadline:g} s"
            batch.settle(task, Failure(task.probe.id, task.probe.seed, "timeout", message), slot.number)
