"""Full-length runs of the tiny model that are cut off and go on, and what must be equal in the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainable import exported, planned, review, stores

from finetune import run as running
from finetune.manifest import Manifest
from finetune.plan import TrainingPlan
from preferences.store.stores import Stores
from probes.inputs.settings import RunnerSettings
from probes.train.curve import read_curve

STEPS, EVERY = 9, 3
TIMES = {"seconds", "tokens_per_second", "memory_gb", "seconds_left"}


def ready(folder: Path, tiny_folder: Path, out: str, **changes: Any) -> TrainingPlan:
    """The plan of a run with dropout (which uses random numbers) and gradient accumulation."""
    found = stores(folder)
    review(found, range(5))
    if not (folder / "mined").exists():
        exported(found, folder)
        (folder / "model").symlink_to(tiny_folder / "model")
    return again_planned(folder, found, out, **changes)


def again_planned(folder: Path, found: Stores, out: str, **changes: Any) -> TrainingPlan:
    recipe = {"mixture": {"mined": 1.0, "good": 1.0}, "lora_dropout": 0.2, **changes.pop("recipe", {})}
    given = {"steps": STEPS, "save_every": EVERY, "runner": RunnerSettings(micro_batch=2), **changes}
    return planned(folder, found, folder=folder / out, recipe=recipe, **given)


def complete(plan: TrainingPlan) -> Manifest:
    return running.run(plan, 1, lambda _: None)


def resumed(plan: TrainingPlan, **changes: Any) -> TrainingPlan:
    return replace(plan, request=replace(plan.request, resume=True, **changes))


def figures(folder: Path) -> list[dict[str, Any]]:
    """The training curve without times."""
    return [{k: v for k, v in line.items() if k not in TIMES} for line in read_curve(folder / "train.jsonl")]


def require_equal(one: Manifest, other: Manifest, plan: TrainingPlan, again: TrainingPlan) -> None:
    assert (one.final, one.files, one.tokens) == (other.final, other.files, other.tokens)
    assert one.spot_checks == other.spot_checks
    assert figures(plan.request.folder) == figures(again.request.folder)
    name = "adapter/adapter_model.safetensors"
    assert (plan.request.folder / name).read_bytes() == (again.request.folder / name).read_bytes()
