"""The probes of one call of a runner: which wait, which are tried again, and what came of each."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probes.inputs.settings import MemorySettings, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.failures import MEANINGS
from probes.run.protocol import Listener
from probes.run.store import require_own


@dataclass
class Task:
    """``memory``: how much of it is in memory at once; None until it is handed out for the first time."""

    place: int
    probe: Probe
    attempt: int = 1
    memory: MemorySettings | None = None
    halved: bool = False


class Batch:
    """``room``: what the device has room for, by quantisation of the base; what a batch learns of it stays for the
    next. ``note``: is told what a person should know."""

    def __init__(
        self,
        probes: Sequence[Probe],
        listener: Listener,
        settings: RunnerSettings,
        room: dict[str, MemorySettings],
        note: Callable[[str], None],
    ) -> None:
        self.listener = listener
        self.waiting = deque(Task(place, probe) for place, probe in enumerate(probes))
        self.outcomes: dict[int, Outcome] = {}
        self._settings, self._room, self._note = settings, room, note

    def next_task(self) -> Task:
        """The first that waits, with how much of it is in memory at once."""
        task = self.waiting.popleft()
        task.memory = task.memory or self._room.get(task.probe.recipe.quantization, self._settings)
        return task

    def settle(self, task: Task, outcome: Outcome) -> None:
        """The outcome of an attempt: it is final, or the probe waits again."""
        retries = MEANINGS[outcome.kind].retries if isinstance(outcome, Failure) else 0
        if task.attempt < min(self._settings.attempts, 1 + retries):
            again = self._again(task, outcome)
            if again.halved:  # first, so that those that wait learn from it
                self.waiting.appendleft(again)
            else:
                self.waiting.append(again)
        else:
            if isinstance(outcome, Reading) and task.halved and task.memory:
                self._room[task.probe.recipe.quantization] = task.memory
            require_own(task.probe, outcome)
            self.outcomes[task.place] = outcome

    def _again(self, task: Task, outcome: Outcome) -> Task:
        """The next attempt. After one that ran out of memory it is the same probe with half as much at once."""
        probe, memory = task.probe, task.memory
        if memory is None or not (isinstance(outcome, Failure) and outcome.kind == "oom"):
            return Task(task.place, probe, task.attempt + 1, memory, task.halved)
        before = f"{memory.rows_at_once(probe.recipe.effective_batch)} rows and {memory.generation_batch} answers"
        memory = memory.halved(probe.recipe.effective_batch)
        self._note(
            f"probe {probe.id} ran out of memory with {before} at once; it is tried again in a new worker with "
            f"{memory.micro_batch} and {memory.generation_batch}"
        )
        return Task(task.place, probe, task.attempt + 1, memory, halved=True)
