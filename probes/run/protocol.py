"""The Runner protocol: what runs probes. It takes a batch, because candidates of a round share the base, and gives
outcomes in the order asked. Nothing above it may depend on how many ran at once, or where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from probes.endpoint.spending import Allowance
from probes.result.reading import Outcome, Probe

Phase = Literal["waiting", "training", "generating", "scoring", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running probe stands; ``loss`` is of the last step, if there was one.

    ``note``: what the person who watches should read (that a server is waited for, say).
    """

    probe: str
    phase: Phase
    step: int
    steps: int
    loss: float | None = None
    note: str = ""


Listener = Callable[[Progress], None]
OnOutcome = Callable[[Probe, Outcome], None]


def ignore_outcome(probe: Probe, outcome: Outcome) -> None:
    """For callers that only want the list."""


class Runner(Protocol):
    """Runs probes. ``environment`` names the software and the device class and is part of the probe key;
    ``base`` is the digest of the base model where the runner brings its own, else None. ``width``: how many run side by
    side now. ``about`` says in one line what its scorer found on this machine, for the log."""

    @property
    def environment(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def base(self) -> str | None: ...

    @property
    def width(self) -> int: ...

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        """One outcome per probe, in order. Infrastructure failures were tried again before they are returned.

        ``keep`` is told of each outcome as soon as it is final, so that what is measured survives what comes after.
        ``allowance``: what judging may cost. BudgetSpent when that does not suffice. However a batch ends, nothing of
        it goes on: what an exception cuts off is in no worker any more.
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
