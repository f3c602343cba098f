"""The full-length runs of a promotion: runs/finetune-ID/, where ID is a digest of all that decides the adapter.

A run that is complete is used again, by later promotions too, and one that was cut off is resumed.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.digests import digest_of
from common.errors import BadInput
from finetune.manifest import COMPLETE, HOPELESS, read_ending
from finetune.plan import Plan
from finetune.run import Note, prepare_device, run, start_here
from finetune.start import NAME, WORDS, Start

Progress = Callable[[int], AbstractContextManager[Callable[[Mapping[str, Any]], None]]]
"""Shows the progress of a run of so many steps."""


@dataclass(frozen=True)
class FullRun:
    """One recipe with one seed. ``failure``: why it cannot be completed; "" for a complete run."""

    folder: Path
    seed: int
    failure: str = ""

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"


def place_of(plan: Plan, runs: Path, threads: int) -> Path:
    """The folder of a run of this plan."""
    start = start_here(plan, prepare_device(threads), threads)
    return runs / f"finetune-{_identity(start)}"


def _identity(start: Start) -> str:
    return digest_of([{name: getattr(start, name) for name in WORDS}, dict(start.data)])[:12]


def complete_run(plan: Plan, seed: int, runs: Path, threads: int, progress: Progress, note: Note) -> FullRun:
    """The run of a plan with a seed: the one that is there, or one that is trained or resumed now."""
    plan = replace(plan, request=replace(plan.request, seed=seed))
    folder = place_of(plan, runs, threads)
    ended = read_ending(folder)
    if ended is not None and ended.status == COMPLETE:
        note(f"{folder} is used again")
        return FullRun(folder, seed)
    if ended is not None and ended.failure in HOPELESS:
        return FullRun(folder, seed, ended.why)
    folder.mkdir(parents=True, exist_ok=True)
    request = replace(plan.request, folder=folder, resume=(folder / NAME).exists())
    try:
        with progress(plan.steps) as on_line:
            run(replace(plan, request=request), threads, on_line, note)
    except BadInput:
        ended = read_ending(folder)
        if ended is None or ended.failure not in HOPELESS:
            raise
        return FullRun(folder, seed, ended.why)
    return FullRun(folder, seed)
