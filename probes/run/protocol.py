"""The Runner protocol. A runner takes a batch of probes, because candidates of a round share the base, and returns
their outcomes in the same order. No caller may depend on how many ran at once, or where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from probes.endpoint.spending import Allowance
from probes.result.reading import Outcome, Probe

Phase = Literal["waiting", "training", "generating", "scoring", "done"]
WorkerState = Literal["starting", "idle", "busy", "restarting", "given up"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a running probe; ``probe`` is empty when only a worker's state changed. ``loss``: of the last step,
    if there was one. ``note``: a line for people, for example that the probe waits for a server."""

    probe: str
    phase: Phase
    step: int
    steps: int
    loss: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """The state of a worker. ``probes``: the ids of the probes that it measures. ``failures``: how many times in a row
    it ended by its own fault."""

    number: int
    state: WorkerState
    probes: tuple[str, ...] = ()
    failures: int = 0

    @property
    def doing(self) -> str:
        """What it does, in words."""
        failed = f"after {self.failures} failure{'s' * (self.failures != 1)} in a row"
        return {
            "starting": "starts and loads the base model",
            "idle": "waits for a probe",
            "busy": f"begins with probe {', '.join(self.probes)}",
            "restarting": f"is started again {failed}",
            "given up": f"given up {failed}",
        }[self.state]


Listener = Callable[[Progress], None]
OnOutcome = Callable[[Probe, Outcome], None]


def ignore_outcome(probe: Probe, outcome: Outcome) -> None:
    """For callers that only use the returned list."""


class Runner(Protocol):
    """Runs probes.

    ``environment``: the software and the device class, a part of the probe key. ``base``: the digest of the base model
    if the runner brings its own, else None. ``width``: how many probes run at once. ``workers``: the state of each;
    empty if probes run in the caller's process. ``about``: one line for the log on what the scorer uses on this
    machine.
    """

    @property
    def environment(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def base(self) -> str | None: ...

    @property
    def width(self) -> int: ...

    @property
    def workers(self) -> Sequence[WorkerStatus]: ...

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        """Return one outcome per probe, in order. Failures of the machine are retried before they are returned.

        ``keep`` is called with each outcome as soon as it is final, so that a later error loses none. ``allowance``:
        what judging may cost; BudgetSpent when that is not enough. After an exception, no probe of the batch is
        running.
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
