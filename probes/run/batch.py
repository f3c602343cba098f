"""The probes of one call of a runner: which wait, which are tried again, and what came of each."""

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
    """``memory``: how much of it is in memory at once; None until it is handed out for the first time. ``failed_in``:
    the slots in which it failed and the worker may be at fault. ``alone``: no other is measured together with it."""

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
    """``room``: what the device has room for, by quantisation of the base; what a batch learns of it stays for the
    next. ``note``: is told what a person should know. ``workers``: as the listener last saw them.

    A probe whose last attempt failed by its worker's fault is suspended: its failure is final once a worker in the same
    place has measured another probe, or when no other probe is left.
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
        """The first that waits and may go to this slot, with how much of it is in memory at once. ``failures``: how
        often each slot that is left has failed in a row."""
        for task in self.waiting:
            if slot in _suited(task, failures):
                self.waiting.remove(task)
                task.memory = task.memory or self._room.get(task.probe.recipe.quantization, self._settings)
                return task
        return None

    def next_tasks(self, slot: int, failures: Mapping[int, int]) -> list[ProbeTask]:
        """Those that this slot measures next: one, or with the packed engine its part of the batch. They have the base
        and the memory in common, and as many as there are have the seed in common, so that they share what it draws."""
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
        """These were cut off together, and any of them may be why; each waits again, to be measured alone."""
        for task in reversed(tasks):
            task.alone = True
            self.waiting.appendleft(task)

    def settle(self, task: ProbeTask, outcome: Outcome, slot: int) -> None:
        """The outcome of an attempt in this slot: it is final or suspended, or the probe waits again."""
        meaning = MEANINGS[outcome.kind] if isinstance(outcome, Failure) else None
        if meaning and meaning.worker_at_fault:
            task.failed_in |= {slot}
        if meaning and task.attempt < min(self._settings.attempts, 1 + meaning.retries):
            again = self._again(task, outcome)
            if again.halved:  # first, so that those that wait learn from it
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
        """What becomes of suspended probes when these slots are left. One that failed only in others waits again."""
        if not left:
            return
        elsewhere = [one for one in self._suspended if one[0].failed_in.isdisjoint(left)]
        self._suspended = [one for one in self._suspended if one not in elsewhere]
        self.waiting.extend(task for task, _ in elsewhere)
        if len(self.outcomes) + len(self._suspended) == self._count:
            self._end(self._suspended)

    def _learn(self, task: ProbeTask, slot: int) -> None:
        """A probe was measured: the slot works, so that those that failed in it are at fault, and this much fits."""
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
        """The next attempt. After one that ran out of memory it is the same probe with half as much at once."""
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
    """The slots to which a task may go: a retry after a worker's fault, to one where it did not fail, if any is left,
    and of these to one that has failed least often in a row."""
    if not task.failed_in:
        return set(failures)
    others = failures.keys() - task.failed_in or failures.keys()
    least = min(failures[slot] for slot in others)
    return {slot for slot in others if failures[slot] == least}
