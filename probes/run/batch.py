"""The probes of one call of a runner: a queue with retries, and the outcomes."""

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from probes.inputs.settings import MemorySettings, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.failures import MEANINGS
from probes.run.protocol import Listener, WorkerStatus
from probes.run.store import require_own


@dataclass
class ProbeTask:
    """A probe in the queue. ``memory``: how many rows and answers are in memory at once; None until a worker first gets
    the probe. ``failed_in``: the slots in which it failed, perhaps by the worker's fault. ``alone``: no other probe is
    measured together with it."""

    place: int
    probe: Probe
    attempt: int = 1
    memory: MemorySettings | None = None
    halved: bool = False
    failed_in: frozenset[int] = frozenset()
    alone: bool = False


MOST_TOGETHER = 16
"""Most probes that one worker measures together."""


class Batch:
    """The queue of one batch. ``room``: the memory settings that fit on the device, by quantisation of the base; a
    batch adds to it for later batches. ``note``: gets lines for people. ``workers``: as last reported to the listener.

    If a probe's last attempt failed, perhaps by its worker's fault, the probe is suspended. The failure becomes final
    once a worker in the same slot has measured another probe, or when no other probe is left.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        listener: Listener,
        settings: RunnerSettings,
        room: dict[str, MemorySettings],
        note: Callable[[str], None],
    ) -> None:
        self.listener = listener
        self.workers: Sequence[WorkerStatus] = ()
        self.waiting = deque(ProbeTask(place, probe) for place, probe in enumerate(probes))
        self.outcomes: dict[int, Outcome] = {}
        self._count = len(probes)
        self._suspended: list[tuple[ProbeTask, Failure]] = []
        self._settings, self._room, self._note = settings, room, note

    def next_task(self, slot: int, failures: Mapping[int, int]) -> ProbeTask | None:
        """The first waiting probe that may go to this slot. ``failures``: how often each usable slot has failed in a
        row."""
        for task in self.waiting:
            if slot in _suited(task, failures):
                self.waiting.remove(task)
                task.memory = task.memory or self._room.get(task.probe.recipe.quantization, self._settings)
                return task
        return None

    def next_tasks(self, slot: int, failures: Mapping[int, int]) -> list[ProbeTask]:
        """The probes that this slot measures next: one, or with the packed engine its share of the batch. They have the
        same base and memory settings, and if possible the same seed, so that they can share dropout masks."""
        first = self.next_task(slot, failures)
        if first is None or first.alone or self._settings.engine == "trl":
            return [first] if first else []
        size = min(MOST_TOGETHER, math.ceil(self._count / len(failures)))
        quantization = first.probe.recipe.quantization
        like = [task for task in self.waiting if not task.alone and task.probe.recipe.quantization == quantization]
        like = sorted(like, key=lambda task: task.probe.seed != first.probe.seed)[: size - 1]
        for task in like:
            self.waiting.remove(task)
            task.memory = first.memory
        return [first, *like]

    def separate(self, tasks: Sequence[ProbeTask]) -> None:
        """Put back probes whose common worker ended: any of them may be the reason, so each is now measured alone."""
        for task in reversed(tasks):
            task.alone = True
            self.waiting.appendleft(task)

    def settle(self, task: ProbeTask, outcome: Outcome, slot: int) -> None:
        """Take the outcome of an attempt in this slot: retry the probe, suspend it, or make the outcome final."""
        meaning = MEANINGS[outcome.kind] if isinstance(outcome, Failure) else None
        if meaning and meaning.worker_at_fault:
            task.failed_in |= {slot}
        if meaning and task.attempt < min(self._settings.attempts, 1 + meaning.retries):
            again = self._again(task, outcome)
            if again.halved:  # first, so that the waiting probes start with what fits
                self.waiting.appendleft(again)
            else:
                self.waiting.append(again)
        elif isinstance(outcome, Failure) and meaning and meaning.worker_at_fault:
            self._suspended.append((task, outcome))
        else:
            if isinstance(outcome, Reading):
                self._learn(task, slot)
            self._finish(task, outcome)

    def review(self, left: Collection[int]) -> None:
        """Decide on suspended probes, given the slots that are still usable: a probe that failed only in other slots
        waits again. If only suspended probes are left, their failures become final."""
        if not left:
            return
        elsewhere = [one for one in self._suspended if one[0].failed_in.isdisjoint(left)]
        self._suspended = [one for one in self._suspended if one not in elsewhere]
        self.waiting.extend(task for task, _ in elsewhere)
        if len(self.outcomes) + len(self._suspended) == self._count:
            self._end(self._suspended)

    def _learn(self, task: ProbeTask, slot: int) -> None:
        """Learn from a measured probe: its slot works, so probes that failed there failed by their own fault; and its
        memory settings fit."""
        self._end([one for one in self._suspended if slot in one[0].failed_in])
        if task.halved and task.memory:
            self._room[task.probe.recipe.quantization] = task.memory

    def _end(self, suspended: Sequence[tuple[ProbeTask, Failure]]) -> None:
        self._suspended = [one for one in self._suspended if one not in suspended]
        for task, failure in suspended:
            self._finish(task, failure)

    def _finish(self, task: ProbeTask, outcome: Outcome) -> None:
        require_own(task.probe, outcome)
        self.outcomes[task.place] = outcome

    def _again(self, task: ProbeTask, outcome: Outcome) -> ProbeTask:
        """The next attempt at a probe, with half the rows and answers in memory if it ran out of memory."""
        probe, memory = task.probe, task.memory
        if memory is None or not (isinstance(outcome, Failure) and outcome.kind == "oom"):
            return ProbeTask(task.place, probe, task.attempt + 1, memory, task.halved, task.failed_in, alone=True)
        before = f"{memory.rows_at_once(probe.recipe.effective_batch)} rows and {memory.generation_batch} answers"
        memory = memory.halved(probe.recipe.effective_batch)
        self._note(
            f"probe {probe.id} ran out of memory with {before} at once; it is tried again in a new worker with "
            f"{memory.micro_batch} and {memory.generation_batch}"
        )
        return ProbeTask(task.place, probe, task.attempt + 1, memory, halved=True, failed_in=task.failed_in, alone=True)


def _suited(task: ProbeTask, failures: Mapping[int, int]) -> set[int]:
    """The slots to which a task may go. If it failed by a worker's fault: those where it did not fail, if there are
    any, and among these the ones with the fewest failures in a row."""
    if not task.failed_in:
        return set(failures)
    others = failures.keys() - task.failed_in or failures.keys()
    least = min(failures[slot] for slot in others)
    return {slot for slot in others if failures[slot] == least}
