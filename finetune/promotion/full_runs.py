"""The full-length runs of a promotion, below runs/. A run that is complete is used again, by later promotions too, and
one that was cut off is resumed."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import BadInput
from finetune.checkpoints import remove_all
from finetune.manifest import COMPLETE, HOPELESS, read_ending
from finetune.place import placed
from finetune.plan import Plan
from finetune.run import Note, run

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


def complete_run(plan: Plan, seed: int, runs: Path, threads: int, progress: Progress, note: Note) -> FullRun:
    """The run of a plan with a seed: the one that is there, or one that is trained or resumed now."""
    plan = placed(replace(plan, request=replace(plan.request, seed=seed)), runs, threads)
    folder = plan.request.folder
    ended = read_ending(folder)
    if ended is not None and ended.status == COMPLETE:
        note(f"{folder} is used again")
        remove_all(folder)  # a kill may have left some
        return FullRun(folder, seed)
    if ended is not None and ended.failure in HOPELESS:
        return FullRun(folder, seed, ended.why)
    try:
        with progress(plan.steps) as on_line:
            run(plan, threads, on_line, note)
    except BadInput:
        ended = read_ending(folder)
        if ended is None or ended.failure not in HOPELESS:
            raise
        return FullRun(folder, seed, ended.why)
    return FullRun(folder, seed)
