"""The training of a full-length run, in one process or in each of several that train it together.

Imports torch and trl when it trains.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.checkpoints import FOLDER, KEPT
from finetune.plan import FinetuneRequest, TrainingPlan
from probes.inputs.training_rows import order
from probes.model.load import Base

if TYPE_CHECKING:
    from probes.train.trl import LongRun, Trained


def trained(base: Base, plan: TrainingPlan, folder: Path, long: "LongRun") -> "Trained":
    """Train the rows of the plan; train.jsonl and adapter/ go into ``folder``. Raises what ended the training."""
    from probes.train.trl import TrainingJob, train

    request = plan.request
    rows = order(request.recipe, plan.pairs, plan.rows, request.seed)
    job = TrainingJob(request.recipe, rows, request.seed, folder, lambda *_: None, long)
    done = train(base, [job], request.runner)[0]
    if isinstance(done, Exception):
        raise done
    return done


def arguments_of(plan: TrainingPlan) -> Mapping[str, Any]:
    """The trainer's arguments about checkpoints, and the names that trackers show."""
    request = plan.request
    sharded = {"fsdp": True, "fsdp_config": {"version": 2}, "use_cpu": not plan.devices} if request.fsdp else {}
    return {
        **sharded,
        "output_dir": str(request.folder / FOLDER),
        "save_strategy": "steps",
        "save_steps": plan.save_every,
        "save_total_limit": KEPT,
        "run_name": f"{request.study}-{request.recipe.digest[:8]}-{request.seed}",
        "project": "nightlane",
    }


def base_device(request: FinetuneRequest, device: str) -> str:
    """Where a process loads the base before training: into host memory if only a part of it goes to the ``device``."""
    return "cpu" if request.fsdp else device


def other_trainer(base: Base, plan: TrainingPlan) -> Callable[..., Any] | None:
    """The trainer of KTO or of a reward model; None for the objective of the recipe."""
    recipe = plan.request.recipe
    if plan.request.objective == "kto":
        from finetune.objectives.kto import kto_trainer

        return lambda rows, common, arguments: kto_trainer(rows, common, arguments, recipe.effective_batch)
    if plan.request.objective == "reward":
        from finetune.objectives.reward import reward_trainer

        return lambda rows, common, arguments: reward_trainer(base, recipe, rows, common, arguments)
    return None
