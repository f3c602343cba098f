"""What each kind of failure means: the one table that the runner, the search, the session and the reports read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FailureKind = Literal[
    "oom", "diverged", "untrainable", "timeout", "lost_worker", "device", "scorer", "server", "disk", "error"
]
CRASH = "crash:"
"""Before a kind, in the reason of a decision."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """``words``: what a person reads. ``recipes``: the recipe's fault, else the machine's. ``again``: how often at most
    it is tried again at once, within the runner's attempts. ``settled``: with the same seed it would fail again, so it
    is never run again. ``spoils``: the worker that reported it is replaced. ``direction``: bars moves that go as far
    the same way."""

    words: str
    recipes: bool = False
    again: int = 0
    settled: bool = False
    spoils: bool = False
    direction: bool = False


MANY = 1_000_000

MEANINGS: Mapping[FailureKind, Meaning] = {
    # Memory depends on what ran before, too: the second try is in a fresh worker, and only the recipe is barred.
    "oom": Meaning("the device ran out of memory", recipes=True, again=1, spoils=True),
    "diverged": Meaning("training diverged", recipes=True, settled=True, direction=True),
    "untrainable": Meaning("the recipe leaves rows that cannot be trained on", recipes=True, settled=True,
                           direction=True),
    "timeout": Meaning("the probe took longer than the runner's deadline"),
    "lost_worker": Meaning("the worker process was lost", again=MANY),
    "device": Meaning("the device failed in the middle of a probe", again=MANY, spoils=True),
    "scorer": Meaning("the scorer failed", again=MANY),
    "server": Meaning("the server of the answers failed", again=MANY),
    "disk": Meaning("the disk was full"),
    "error": Meaning("training or evaluation raised an error"),
}  # fmt: skip
UNKNOWN = Meaning("the probe failed")
"""A kind that only a newer or an older version knows: held against nobody."""


def kind_named(name: str) -> FailureKind:
    """KeyError for what is no kind."""
    return {str(kind): kind for kind in MEANINGS}[name]


def crash_meaning(reason: str) -> Meaning | None:
    """Of a decision's reason that is a crash; None for another reason."""
    if not reason.startswith(CRASH):
        return None
    return next((meaning for kind, meaning in MEANINGS.items() if CRASH + kind == reason), UNKNOWN)
