"""The folder of a full-length run without --output: runs/finetune-ID/, where ID is a digest of all that determines the
adapter. So the same run is found again, by a promotion too."""

from dataclasses import replace
from pathlib import Path

from common.digests import digest_of
from finetune.plan import TrainingPlan
from finetune.run import prepare_device, start_here
from finetune.start import NAME, WORDS


def placed(plan: TrainingPlan, runs: Path, threads: int) -> TrainingPlan:
    """The plan with its folder below ``runs``; a run that exists there is resumed."""
    start = start_here(plan, prepare_device(threads, plan.request.runner.gpus_per_worker), threads)
    identity = digest_of([{name: getattr(start, name) for name in WORDS}, dict(start.data)])[:12]
    folder = runs / f"finetune-{identity}"
    return replace(plan, request=replace(plan.request, folder=folder, resume=(folder / NAME).exists()))
