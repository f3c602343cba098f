"""The probes in flight, for ``nightlane status`` in another process: session-ID/in_flight.json.

The file exists while a batch of probes runs. It is replaced as a whole and never synced, since nothing depends on it.
It is ignored once the process that wrote it no longer runs the session.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from common.files import write_unsynced
from probes.result.reading import Outcome, Probe, Reading, Timing
from probes.run.protocol import Phase, Progress, WorkerStatus
from probes.run.store import DAMAGED

FILE = "in_flight.json"
SECONDS_BETWEEN_STEPS = 1.0
"""Training steps are written at most so often; a new phase is written at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeInFlight:
    """A probe that runs. ``phase_began``, ``seen``: epoch seconds of the begin of its phase, and of its last message.

    ``seconds_per_step``: None before the second message of its training.
    """

    id: str
    seed: int
    phase: Phase
    step: int
    steps: int
    loss: float | None
    phase_began: float
    seen: float
    seconds_per_step: float | None = None

    def after(self, progress: Progress, now: float) -> "ProbeInFlight":
        """The same probe after a later message. A probe that is run again starts from its first phase."""
        again = progress.step < self.step
        changed = progress.phase != self.phase or again
        pace = self.seconds_per_step
        if not changed and progress.step > self.step:
            pace = (now - self.seen) / (progress.step - self.step)
            if self.seconds_per_step is not None:  # smoothed: steps differ in length
                pace = 0.8 * self.seconds_per_step + 0.2 * pace
        return replace(
            self,
            phase=progress.phase,
            step=progress.step,
            loss=progress.loss,
            phase_began=now if changed else self.phase_began,
            seen=now,
            seconds_per_step=None if again else pace,
        )

    def training_left(self, typical: Timing | None, now: float) -> float | None:
        """Seconds until it is trained; None after training, or if neither a step nor another probe was timed yet."""
        pace = self.seconds_per_step or (typical.train / max(self.steps, 1) if typical else None)
        if self.phase in ("generating", "scoring") or pace is None:
            return None
        return max(0.0, (self.steps - self.step) * pace - (now - self.seen))

    def seconds_left(self, typical: Timing | None, now: float) -> float | None:
        """Seconds until it has its outcome; None if no probe has been timed yet."""
        if typical is None:
            return None
        in_phase = now - self.phase_began
        if self.phase == "scoring":
            return max(0.0, typical.score - in_phase)
        if self.phase == "generating":
            return max(0.0, typical.generate - in_phase) + typical.score
        return (self.training_left(typical, now) or 0.0) + typical.generate + typical.score


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A batch of probes that the process with the id ``process`` runs, and its workers (none in an older file).
    ``waiting``, ``done``: the numbers of probes that have not begun, and that have ended. ``typical``: the timing of
    the last probe that ended on the same prompts."""

    process: int
    title: str
    probes: tuple[ProbeInFlight, ...]
    workers: tuple[WorkerStatus, ...]
    waiting: int
    done: int
    typical: Timing | None

    def worker_of(self, probe: str) -> int | None:
        """The number of the worker that runs this probe."""
        return next((worker.number for worker in self.workers if probe in worker.probes), None)

    @property
    def without_a_probe(self) -> tuple[WorkerStatus, ...]:
        """Workers that run no probe: they start, wait, or were given up."""
        running = {probe.id for probe in self.probes}
        return tuple(worker for worker in self.workers if running.isdisjoint(worker.probes))

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the batch is done, with as many probes at once as now; None if no probe was timed."""
        left = [probe.seconds_left(self.typical, now) for probe in self.probes]
        known = [seconds for seconds in left if seconds is not None]
        if self.typical is None or not known:
            return None
        return max(max(known), (sum(known) + self.waiting * self.typical.total) / len(known))


def read_in_flight(session: Path, process: int | None) -> InFlight | None:
    """What this process wrote into the session's folder; None if it runs no probe, if another process wrote it (which
    was killed), or if the file is damaged."""
    try:
        data = json.loads((session / FILE).read_text(encoding="utf-8"))
        probes = tuple(ProbeInFlight(**probe) for probe in data.pop("probes"))
        workers = tuple(WorkerStatus(**{**one, "probes": tuple(one["probes"])}) for one in data.pop("workers", ()))
        typical = data.pop("typical")
        found = InFlight(probes=probes, workers=workers, typical=Timing(**typical) if typical else None, **data)
    except DAMAGED:
        return None
    return found if process is not None and found.process == process else None


class InFlightFile:
    """Follows the batches of a session and writes the probes in flight. A failed write is ignored. ``workers``: returns
    the present state of the workers."""

    def __init__(
        self,
        session: Path,
        clock: Callable[[], float] = time.time,
        workers: Callable[[], Sequence[WorkerStatus]] = tuple,
    ) -> None:
        self._path, self._workers, self._clock = session / FILE, workers, clock
        self._title, self._batch = "", dict[str, Probe]()
        self._running, self._ended = dict[str, ProbeInFlight](), set[str]()
        self._typical: dict[str, Timing] = {}
        self._split = ""
        self._written = 0.0

    def forget(self) -> None:
        """Remove the file, which a killed process may have left."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    @contextmanager
    def batch(self, title: str, probes: Sequence[Probe], measured: Iterable[Reading] = ()) -> Iterator[None]:
        """The file exists within the block. ``measured``: earlier readings, whose timing is used until a probe of this
        process has ended."""
        for reading in measured:
            self._typical.setdefault(reading.key.split, reading.timing)
        self._title, self._batch, self._running, self._ended = title, {probe.id: probe for probe in probes}, {}, set()
        self._split = probes[0].key.split if probes else ""
        self._write()
        try:
            yield
        finally:
            self._batch = {}
            self.forget()

    def progress(self, progress: Progress) -> None:
        probe, now = self._batch.get(progress.probe), self._clock()
        if probe is None:
            self._write()  # a worker's state changed
            return
        before = self._running.get(probe.id)
        if progress.phase == "done":
            self._running.pop(probe.id, None)
        else:
            self._running[probe.id] = before.after(progress, now) if before else _first(probe, progress, now)
        changed = before is None or before.phase != progress.phase
        if changed or now - self._written >= SECONDS_BETWEEN_STEPS:
            self._write()

    def ended(self, probe: Probe, outcome: Outcome) -> None:
        self._running.pop(probe.id, None)
        self._ended.add(probe.id)
        if isinstance(outcome, Reading):
            self._typical[probe.key.split] = outcome.timing
        self._write()

    def _write(self) -> None:
        self._written, workers = self._clock(), tuple(self._workers())
        held = {probe for worker in workers for probe in worker.probes}
        if workers:  # a probe whose worker was lost waits for another one
            self._running = {name: probe for name, probe in self._running.items() if name in held}
        found = InFlight(
            process=os.getpid(),
            title=self._title,
            probes=tuple(self._running.values()),
            workers=workers,
            waiting=len(self._batch) - len(self._running.keys() | self._ended),
            done=len(self._ended),
            typical=self._typical.get(self._split),
        )
        with suppress(OSError):
            write_unsynced(self._path, json.dumps(asdict(found)))


def _first(probe: Probe, progress: Progress, now: float) -> ProbeInFlight:
    return ProbeInFlight(
        id=probe.id,
        seed=probe.seed,
        phase=progress.phase,
        step=progress.step,
        steps=progress.steps,
        loss=progress.loss,
        phase_began=now,
        seen=now,
    )
