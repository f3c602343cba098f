"""The full-length runs of a promotion, below runs/. A complete run is used again, by later promotions too, and an
interrupted one is resumed. The folder of each run keeps its answers to the holdout prompts."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from common.errors import BadInput
from evaluation.own_study.adapters import put_on
from evaluation.own_study.answers import AnsweringSide, ModelInMemory, write_scored_answers
from evaluation.own_study.evaluate import Identities, StudyRequest
from evaluation.own_study.stored import StoredAnswer, is_sound, read_answers, write_whole
from finetune.checkpoints import remove_all
from finetune.manifest import COMPLETE, HOPELESS, read_ending, require_whole
from finetune.plan import TrainingPlan
from finetune.run import Note, run
from finetune.run_folder import placed
from probes.endpoint.spending import SpendingMeter
from probes.model.load import adapter_digest
from probes.run.workbench import Workbench
from probes.scoring.failures import scorer_failures_reported

RunProgress = Callable[[int], AbstractContextManager[Callable[[Mapping[str, Any]], None]]]
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


def complete_run(plan: TrainingPlan, seed: int, runs: Path, threads: int, progress: RunProgress, note: Note) -> FullRun:
    """The run of a plan with a seed: an existing complete one, or one that is trained or resumed now."""
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


def holdout_answers(
    request: StudyRequest, bench: Workbench, runs: Sequence[FullRun], note: Note
) -> Mapping[int, list[StoredAnswer]]:
    """The scored answers of each run, by its seed, which is also the sampling seed, so that two recipes draw the same
    random numbers."""
    known, found = Identities(request), {}
    with scorer_failures_reported(), SpendingMeter() as meter:
        for one in runs:
            require_whole(one.adapter)
            side = AnsweringSide(str(one.folder), one.adapter, adapter_digest(one.adapter))
            identity = known.of(side, one.seed)
            if not is_sound(identity, one.folder):
                note(f"{one.folder} answers {len(request.prompts)} holdout prompts")
                base = bench.base(request.quantization)
                with put_on(base, one.adapter) as model:
                    sampler = ModelInMemory(model, base.renderer)
                    asked = (bench, base.renderer, sampler, request.prompts, one.seed)
                    write_whole(identity, one.folder, partial(write_scored_answers, *asked, meter=meter, note=note))
            found[one.seed] = read_answers(identity, one.folder)
    return found
