"""Whether the probes of a study fit on this machine, and the settings with which they would."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import BadInput
from lanes import Recipe
from lanes.knobs import Knob
from probes.inputs.material import Material
from probes.inputs.settings import RAY, RunnerSettings
from probes.memory.estimate import GIB, MemoryEstimate, estimate
from probes.memory.workload import Workload
from probes.model.load import data_type, locate, options, stored
from probes.rendering.renderer import Renderer
from probes.run.devices import device_groups, visible_devices

CUDA_GB = 0.7
"""GiB of a GPU that CUDA itself and the gaps between tensors take, at least."""
SESSION_GB = 0.5
"""GiB of the session's own process."""
CGROUP = Path("/sys/fs/cgroup/memory.max")
Estimator = Callable[[Any, Workload, bool], MemoryEstimate]
NOT_COMPUTED = (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError, KeyError)
"""Exceptions of models that cannot run on tensors without data."""


@dataclass(frozen=True)
class Machine:
    """Where the workers run. ``room``: GiB of one GPU, or of the host if there is none. ``gpus``: GPUs per worker."""

    device: str
    room: float
    workers: int
    gpus: int = 1

    def needs(self, peak: float) -> float:
        """GiB that probes of this peak take: one probe on a GPU, or the probes of all workers on the host."""
        return peak * 1.05 + CUDA_GB if self.device == "cuda" else peak * self.workers + SESSION_GB


@dataclass(frozen=True)
class MemoryRemedy:
    """Changes of the study's settings, and the workload and machine that result."""

    work: Workload
    machine: Machine
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """Estimates for the starting recipe and for the largest recipe that the lanes can make. ``remedies``: the changes
    with which the starting recipe would fit, and the GiB that it would need; None if no changes help."""

    start: MemoryEstimate
    largest: MemoryEstimate
    machine: Machine
    remedies: tuple[tuple[str, ...], float] | None = None

    @property
    def fits(self) -> bool:
        return self.machine.needs(self.start.peak) <= self.machine.room

    def require(self) -> None:
        """BadInput if the starting recipe cannot fit, with the changes that would help."""
        if self.fits:
            return
        remedy = "take a smaller model, or a larger machine"
        if self.remedies is not None:
            remedy = f"set {', '.join(self.remedies[0])}, which needs about {self.remedies[1]:.1f}"
        raise BadInput(
            f"the probes of a study fit in {self.machine.room:.1f} GiB ({in_words(self.machine)}), and those of the "
            f"starting recipe need about {self.machine.needs(self.start.peak):.1f} ({parts(self.start)}); {remedy}"
        )

    @property
    def sentence(self) -> str:
        """For people: what a probe needs, and of what."""
        told = f"about {self.start.peak:.1f} GiB at its peak ({parts(self.start)}); {in_words(self.machine)}: "
        told += f"{self.machine.needs(self.start.peak):.1f} of {self.machine.room:.1f} GiB"
        need = self.machine.needs(self.largest.peak)
        if need > self.machine.room:
            told += f"; the largest recipe of [lanes] needs about {need:.1f} and would end as crash:oom"
        return told


def in_words(machine: Machine) -> str:
    if machine.device == "cuda":
        return "one GPU per worker" if machine.gpus == 1 else f"each of the {machine.gpus} GPUs of a worker"
    return f"{machine.workers} worker{'s' if machine.workers > 1 else ''} on the CPU"


def parts(found: MemoryEstimate) -> str:
    named = {
        "weights": found.weights,
        "adapter": found.adapter,
        "training": found.training,
        "answering": found.answering,
        "libraries": found.process,
    }
    return ", ".join(f"{name} {value:.1f}" for name, value in named.items() if value >= 0.05)


def this_machine(runner: RunnerSettings) -> Machine:
    """The smallest GPU that the workers may use, or the host's memory within the limit of its control group."""
    devices = visible_devices()
    size = runner.gpus_per_worker
    if runner.kind == RAY:  # this is but one machine of the cluster
        size = min(size, max(1, len(devices)))
    if groups := device_groups(devices, size):
        import torch

        sizes = [torch.cuda.get_device_properties(number).total_memory for number in range(len(devices))]
        return Machine("cuda", min(sizes) / GIB, min(runner.workers or len(groups), len(groups)), size)
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP.read_text(encoding="utf-8").strip() if CGROUP.is_file() else "max"
    room = min(room, int(limit)) if limit.isdigit() else room
    return Machine("cpu", room / GIB, runner.workers or os.cpu_count() or 1)


def workload(
    material: Material, recipe: Recipe, runner: RunnerSettings, renderer: Renderer, longest: int, device: str
) -> Workload:
    """What a probe of this recipe asks. ``longest``: tokens of the longest training row."""
    prompts = [len(renderer.question(prompt.asked).ids) for prompt in material.probe_prompts]
    served = material.serving.kind == "endpoint"
    return Workload(
        recipe=recipe,
        rows=runner.rows_at_once(recipe.effective_batch),
        length=min(longest, recipe.max_length),
        answers=0 if served else min(runner.generation_batch, len(prompts) * material.probe.samples),
        prompt=max(prompts),
        new_tokens=material.probe.max_new_tokens,
        samples=material.probe.samples,
        dtype=data_type(material.model, device),
        attention=material.model.attn_implementation or "",
        checkpointing=runner.gradient_checkpointing,
        device=device,
        gpus=runner.gpus_per_worker if device == "cuda" else 1,
    )


def largest_recipe(start: Recipe, knobs: Sequence[Knob]) -> Recipe:
    """The start with the values of the lanes that take most memory: more rank, rows and tokens, and no quantisation."""
    values: Mapping[str, list[Any]] = {knob.name: [knob.read(start), *knob.values] for knob in knobs}
    changes: dict[str, Any] = {
        name: max(values[name]) for name in ("lora_rank", "effective_batch", "max_length") if name in values
    }
    if "none" in values.get("quantization", []):
        changes["quantization"] = "none"
    if "orpo" in values.get("objective", []):  # it has the logits of all rows at once
        changes["objective"] = "orpo"
    return Recipe.model_validate({**start.model_dump(mode="json"), **changes})


def fit(
    config: Any,
    start: Workload,
    largest: Workload,
    machine: Machine,
    trust_remote_code: bool = False,
    estimator: Estimator = estimate,
) -> Fit:
    """The fit of a study; RuntimeError and the like for a model that cannot be computed without data."""
    needed = estimator(config, start, trust_remote_code)
    found = Fit(needed, needed if largest == start else estimator(config, largest, trust_remote_code), machine)
    if found.fits:
        return found
    for plan in _smaller(start, machine):
        need = plan.machine.needs(estimator(config, plan.work, trust_remote_code).peak)
        if need <= machine.room:
            return replace(found, remedies=(plan.changes, need))
    return found


def _smaller(work: Workload, machine: Machine) -> Iterator[MemoryRemedy]:
    """Settings that need less and less, each on top of those before, cheapest first."""
    plan = MemoryRemedy(work, machine)

    def then(change: str, work: Workload, machine: Machine = machine) -> MemoryRemedy:
        return MemoryRemedy(work, machine, (*plan.changes, change))

    if work.answers > 16:
        yield (plan := then("generation_batch = 16 under [runner]", replace(plan.work, answers=16)))
    if work.rows > 1:
        yield (plan := then("micro_batch = 1 under [runner]", replace(plan.work, rows=1)))
    if not work.checkpointing:
        changed = replace(plan.work, checkpointing=True)
        yield (plan := then("gradient_checkpointing = true under [runner]", changed))
    if machine.device == "cpu" and machine.workers > 1:
        machine = replace(machine, workers=1)
        yield (plan := then("workers = 1 under [runner]", plan.work, machine))
    if machine.device == "cuda" and machine.workers > 1:
        machine = replace(machine, workers=machine.workers // 2, gpus=machine.gpus * 2)
        changed = replace(plan.work, gpus=machine.gpus)
        yield (plan := then(f"gpus_per_worker = {machine.gpus} under [runner]", changed, machine))
    if not work.quantised:
        recipe = work.recipe.model_copy(update={"quantization": "nf4"})
        yield (plan := then('quantization = "nf4" under [recipe]', replace(plan.work, recipe=recipe), machine))
    if (half := work.length // 2) >= 8:
        changed = replace(plan.work, length=half)
        yield then(f"max_length = {half} under [recipe]", changed, machine)


def read_config(material: Material) -> Any:
    """The model's configuration, without asking the hub."""
    from transformers import AutoConfig

    where = locate(material.model, material.folder)
    return AutoConfig.from_pretrained(**stored(where), **options(material.model), local_files_only=True)
