"""The plan of a full-length run: what is trained, on which rows and how long. All requests are refused here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Literal, get_args

from common.digests import digest_of
from common.errors import BadInput
from common.optional_dependencies import require_trackers
from finetune.memory import memory_fit, require_room
from finetune.sources import TrainedSource, of_reward_rows, reward_source, study_sources, without_refused
from lanes import Recipe
from lanes.rules import sees_whole_batch
from preferences.store.stores import Stores
from probes.inputs.filters import filtered
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.inputs.training_rows import TrainingRow, check_overlap, quotas
from probes.memory.fit import Fit
from probes.model.compatibility import Requirements, require_fit
from probes.model.load import locate
from probes.run.devices import device_groups, visible_devices

EPOCHS = 3.0
MOST_STEPS = 10_000_000
CHECKPOINTS = 20
"""The number of checkpoints of a run, unless the user gives the steps between two."""
SPOT_CHECK = 24
"""The number of holdout prompts that are answered and scored at each checkpoint."""
OtherObjective = Literal["kto", "reward"]
"""Objectives that only a full-length run has."""
OBJECTIVES: tuple[OtherObjective, ...] = get_args(OtherObjective)


@dataclass(frozen=True)
class FinetuneRequest:
    """A run as the user requests it.

    ``origin``: where the recipe comes from, in words. ``objective``: None for the recipe's own. ``save_every``: steps
    between two checkpoints, None for a twentieth of the run. ``spot_check``: how many holdout prompts are answered at
    each checkpoint. ``report_to``: trackers of the trainer. ``resume``: the folder holds a run to resume.
    ``processes``: how many train together. ``fsdp``: each of them holds a part of the base, not all of it.
    """

    study: str
    material: Material
    recipe: Recipe
    origin: str
    folder: Path
    seed: int
    steps: int | None = None
    epochs: float | None = None
    unreviewed: bool = False
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    objective: OtherObjective | None = None
    save_every: int | None = None
    spot_check: int = SPOT_CHECK
    report_to: tuple[str, ...] = ()
    resume: bool = False
    processes: int = 1
    fsdp: bool = False

    @property
    def trains(self) -> str:
        """The objective of the training."""
        return self.objective or self.recipe.objective


@dataclass(frozen=True)
class TrainingPlan:
    """A run that passed every check. ``sources``: in the order of the study. ``room``: the memory estimate; None if
    there can be none. ``devices``: the GPUs that each process may use."""

    request: FinetuneRequest
    steps: int
    sources: tuple[TrainedSource, ...]
    room: Fit | None = None
    devices: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows that the run draws."""
        return self.steps * self.request.recipe.effective_batch

    @property
    def epochs(self) -> float:
        return self.epochs_of(self.steps)

    def epochs_of(self, steps: int) -> float:
        """``steps`` in epochs; an epoch is as many rows as all sources have together after the recipe's filters."""
        kept = filtered(self.request.recipe, self.pairs)
        return round(steps * self.request.recipe.effective_batch / sum(map(len, kept.values())), 4)

    @property
    def save_every(self) -> int:
        """Steps between two checkpoints."""
        return self.request.save_every or ceil(self.steps / CHECKPOINTS)

    @property
    def data(self) -> str:
        """The digest of all data."""
        return digest_of({source.name: source.digest for source in self.sources})

    @property
    def pairs(self) -> Mapping[str, tuple[TrainingRow, ...]]:
        return {source.name: source.pairs for source in self.sources}


def plan(request: FinetuneRequest, stores: Stores) -> TrainingPlan:
    """Check a request and plan its run.

    BadInput if the folder is in use, the model cannot train the recipe, an export was not reviewed or was changed, a
    row has a probe or holdout prompt, the length is out of bounds, or the run does not fit in the memory;
    MissingRequirement if the package of a tracker is not installed.
    """
    if not request.resume:
        require_empty(request.folder)
    require_trackers(request.report_to)
    if request.fsdp:
        _require_shardable(request)
    devices = tuple(device_groups(visible_devices(), request.runner.gpus_per_worker))
    require_processes(request, len(devices))
    locate(request.material.model, request.material.folder)
    if request.objective == "reward":
        request = replace(request, recipe=of_reward_rows(request.recipe))
    _require_pairs_of_a_batch(request)
    material, recipe = request.material, request.recipe
    renderer = require_fit(material, Requirements.of(recipe, answers=False))
    if request.objective == "reward":
        read = reward_source(stores, request.unreviewed)
    else:
        read = study_sources(material, recipe, stores, request.unreviewed)
    room: Fit | None = None
    if renderer is not None:
        read, longest = without_refused(read, renderer, recipe, material)
        estimated = recipe.model_copy(update={"objective": "dpo"}) if request.objective else recipe
        room = memory_fit(
            material,
            estimated,
            request.runner,
            renderer,
            longest=longest,
            answers=request.spot_check,
            processes=request.processes,
            fsdp=request.fsdp,
        )
        if room is not None:
            require_room(room)
    pairs = {one.read.name: one.read.pairs for one in read}
    check_overlap({one.read.name: one.read.where for one in read}, pairs, material.all_prompts)
    rows = sum(map(len, filtered(recipe, pairs).values()))
    steps = resolve_steps(rows, recipe.effective_batch, request.steps, request.epochs)
    drawn = quotas(recipe.shares, steps * recipe.effective_batch)
    return TrainingPlan(request, steps, tuple(one.drawn(drawn[one.read.name]) for one in read), room, devices)


def _require_pairs_of_a_batch(request: FinetuneRequest) -> None:
    if request.objective == "kto" and request.recipe.effective_batch < 2:
        raise BadInput(
            "KTO compares the answers to different prompts of a batch, and effective_batch=1 has only one prompt; set "
            "it to 2 or more in a recipe.toml, and give that with --recipe"
        )


def _require_shardable(request: FinetuneRequest) -> None:
    """BadInput for a run whose base cannot be divided among its processes."""
    law = "--fsdp is for several processes that train DPO or ORPO on a base that is not quantised"
    if request.processes < 2:
        raise BadInput(f"{law}, and --processes is {request.processes}; give --processes 2 or more")
    if request.recipe.quantization != "none":
        raise BadInput(
            f'{law}, and the recipe has quantization = "{request.recipe.quantization}"; leave --fsdp out, or give a '
            'recipe with quantization = "none"'
        )
    if request.objective is not None:
        raise BadInput(f"{law}, and --objective is {request.objective}; leave one of them out")
    if request.material.model.adapter is not None:
        raise BadInput(
            f"{law}, without an adapter below, and [model] adapter is {request.material.model.adapter!r}; leave --fsdp "
            "out, or merge the adapter into the base first"
        )
    if request.spot_check:
        raise BadInput(
            f"{law}, and for --spot-check {request.spot_check} one process would have to answer with its part of the "
            "base; give --spot-check 0"
        )


def require_processes(request: FinetuneRequest, gpus: int) -> None:
    """BadInput if the requested number of processes cannot train the recipe on this machine."""
    number, batch = request.processes, request.recipe.effective_batch
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadInput(
            "a full-length run starts its processes itself, and WORLD_SIZE shows that a launcher started this one; "
            "run nightlane finetune --processes N without a launcher"
        )
    if gpus and number > gpus:
        raise BadInput(
            f"each process trains on a GPU of its own, and --processes {number} is more than the {gpus} here"
        )
    if number > 1 and request.runner.gpus_per_worker > 1:
        raise BadInput(
            f"each of several processes holds the base on one GPU, and gpus_per_worker="
            f"{request.runner.gpus_per_worker} under [runner] spreads it over more; leave --processes out, or set it "
            "to 1"
        )
    if batch % number:
        fitting = [str(one) for one in range(1, batch + 1) if batch % one == 0]
        raise BadInput(
            f"the processes share an effective_batch of {batch} equally, and --processes {number} does not divide it; "
            f"give one of {', '.join(fitting)}"
        )
    if number > 1 and sees_whole_batch(request.recipe):
        raise BadInput(
            f"dpo_loss={request.recipe.dpo_loss} sorts the pairs of a whole batch, which stays in one process; leave "
            "--processes out"
        )


def objective_of(text: str) -> OtherObjective:
    if text not in OBJECTIVES:
        raise BadInput(
            f"--objective {text!r} cannot be trained; give {' or '.join(OBJECTIVES)}, or leave it "
            "out to train as the recipe says"
        )
    return text


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and a full-length run is written to one; name a new one")


def resolve_steps(rows: int, batch: int, steps: int | None = None, epochs: float | None = None) -> int:
    """``steps``, or the steps of so many epochs (3 if neither is given).

    An epoch is as many rows as all sources of the mixture have together after the recipe's filters, ``rows``; the
    mixture decides how many of them come from each source. E epochs are the fewest steps whose batches of ``batch``
    rows hold E times ``rows``. BadInput if both are given, or if the length is out of bounds.
    """
    if steps is not None and epochs is not None:
        raise BadInput(
            f"a run's length is given in steps or in epochs, and --steps {steps} and --epochs {epochs:g} were given; "
            "leave one out"
        )
    epochs = EPOCHS if epochs is None else epochs
    if not 0 < epochs <= MOST_STEPS:
        raise BadInput(f"--epochs {epochs:g} must be above 0 and at most {MOST_STEPS}; give 3, for example")
    steps = steps if steps is not None else max(1, ceil(round(epochs * rows, 6) / batch))
    if not 0 < steps <= MOST_STEPS:
        raise BadInput(
            f"a run of {steps} steps is outside [1, {MOST_STEPS}]; give --steps or --epochs a smaller number"
        )
    return steps
