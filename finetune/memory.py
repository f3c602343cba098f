"""Whether a full-length run fits in the memory of this machine, and what to change if it does not."""

from dataclasses import replace
from typing import Any

from common.errors import BadInput
from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.memory.estimate import MemoryEstimate, estimate
from probes.memory.fit import NOT_COMPUTED, Fit, Machine, fit, parts, read_config, this_machine, workload
from probes.rendering.renderer import Renderer


def memory_fit(
    material: Material,
    recipe: Recipe,
    runner: RunnerSettings,
    renderer: Renderer,
    *,
    longest: int,
    answers: int,
    processes: int = 1,
    fsdp: bool = False,
) -> Fit | None:
    """The estimate for a run of this recipe. ``longest``: tokens of the longest row; ``answers``: how many a spot check
    asks for; ``fsdp``: the base is divided among the GPUs of the processes (the layer that is gathered to be computed
    is not counted). None for a model whose computation needs its weights. A reward model and KTO are estimated as
    DPO."""
    if not material.probe_prompts:
        return None
    machine = this_machine(runner)
    if machine.device == "cpu":
        machine = replace(machine, workers=processes)
    elif processes > 1:  # each has one GPU, and no other can give it more
        machine = replace(machine, workers=1)
    work = workload(material, recipe, runner, renderer, longest, machine.device)
    work = replace(work, answers=min(answers, runner.generation_batch))
    divided_by = processes if fsdp and machine.device == "cuda" else 1

    def of_a_part(*asked: Any) -> MemoryEstimate:
        found = estimate(*asked)
        return replace(found, weights=found.weights / divided_by)

    try:
        return fit(read_config(material), work, work, machine, material.model.trust_remote_code, of_a_part)
    except NOT_COMPUTED:
        return None


def require_room(found: Fit) -> None:
    """BadInput if the run cannot fit, with the changes that would help."""
    if found.fits:
        return
    remedy = "take a smaller model, or a larger machine"
    if found.remedies is not None:
        remedy = f"set {', '.join(found.remedies[0])}, which needs about {found.remedies[1]:.1f}"
    raise BadInput(
        f"a full-length run fits in {found.machine.room:.1f} GiB ({where(found.machine)}), and this one needs about "
        f"{needed(found):.1f} ({parts(found.start)}); {remedy}"
    )


def needed(found: Fit) -> float:
    """GiB that the run takes of the machine."""
    return found.machine.needs(found.start.peak)


def where(machine: Machine) -> str:
    if machine.device != "cuda":
        return "the memory of this machine"
    return "one GPU" if machine.gpus == 1 else f"each of {machine.gpus} GPUs"
