"""The kinds of failure: the one table that the runner, the search, the session, finetune and the reports read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from common.errors import BadInput, DiskFull, MissingRequirement, NightlaneError

FailureKind = Literal[
    "oom", "diverged", "untrainable", "timeout", "lost_worker", "device", "scorer", "server", "disk", "error"
]
CRASH = "crash:"
"""Precedes the kind in the reason of a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureMeaning:
    """What follows from a kind of failure.

    ``words``: for people. ``recipe_at_fault``: the recipe caused it, not the machine. ``retries``: at most, within the
    runner's attempts. ``permanent``: the same recipe and seed would fail again, so the probe is never repeated.
    ``replaces_worker``: the worker that reported it is replaced. ``worker_at_fault``: it also counts against the
    worker, and the probe is tried again in another one. ``bars_direction``: moves at least as far in the same
    direction are barred. ``error``: what a full-length run raises, with this ``remedy``; None for a defect of ours,
    and for kinds that such a run cannot have.
    """

    words: str
    recipe_at_fault: bool = False
    retries: int = 0
    permanent: bool = False
    replaces_worker: bool = False
    worker_at_fault: bool = False
    bars_direction: bool = False
    error: type[NightlaneError] | None = None
    remedy: str = ""


MANY = 1_000_000

MEANINGS: Mapping[FailureKind, FailureMeaning] = {
    # Memory also depends on earlier probes: the retry runs in a new worker, and with half the rows and answers at once.
    # Only this recipe is barred.
    "oom": FailureMeaning(
        words="the device ran out of memory",
        recipe_at_fault=True,
        retries=1,
        replaces_worker=True,
        error=MissingRequirement,
        remedy="lower micro_batch or set gradient_checkpointing under [runner], give the recipe.toml with --recipe",
    ),
    "diverged": FailureMeaning(
        words="training diverged",
        recipe_at_fault=True,
        permanent=True,
        bars_direction=True,
        error=BadInput,
        remedy="lower learning_rate in a recipe.toml, give it with --recipe",
    ),
    "untrainable": FailureMeaning(
        words="the recipe leaves rows that cannot be trained on",
        recipe_at_fault=True,
        permanent=True,
        bars_direction=True,
        error=BadInput,
        remedy="change the recipe or take these rows out",
    ),
    "timeout": FailureMeaning(words="the probe took longer than the runner's deadline"),
    "lost_worker": FailureMeaning(
        words="the worker process was lost", retries=MANY, replaces_worker=True, worker_at_fault=True
    ),
    "device": FailureMeaning(
        words="the device failed",
        retries=MANY,
        replaces_worker=True,
        worker_at_fault=True,
        error=MissingRequirement,
        remedy="look at the driver's log",
    ),
    "scorer": FailureMeaning(words="the scorer failed", retries=MANY),
    "server": FailureMeaning(words="the server of the answers failed", retries=MANY),
    "disk": FailureMeaning(words="the disk was full", error=DiskFull, remedy="free some space"),
    "error": FailureMeaning(words="training or evaluation raised an error"),
}
UNKNOWN = FailureMeaning(words="the probe failed")
"""For a kind that this version does not know. Nobody is at fault."""


def kind_named(name: str) -> FailureKind:
    """The kind of this name; KeyError for an unknown name."""
    return {str(kind): kind for kind in MEANINGS}[name]


def crash_meaning(reason: str) -> FailureMeaning | None:
    """What the crash means that a decision's reason names; None for any other reason."""
    if not reason.startswith(CRASH):
        return None
    return next((meaning for kind, meaning in MEANINGS.items() if CRASH + kind == reason), UNKNOWN)
