"""Whether a full-length run fits in the memory of this machine, and what to change if it does not."""

from dataclasses import replace

from common.errors import BadInput
from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.memory.fit import NOT_COMPUTED, Fit, Machine, fit, parts, read_config, this_machine, workload
from probes.rendering.renderer import Renderer


def memory_fit(
    material: Material,
    recipe: Recipe,
    runner: RunnerSettings,
    renderer: Renderer,
    longest: int,
    answers: int,
    processes: int = 1,
) -> Fit | None:
    """The estimate for a run of this recipe. ``longest``: tokens of the longest row; ``answers``: of a spot check. None
    for a model that cannot be computed without its weights. A reward model and KTO are estimated as DPO."""
    if not material.probe_prompts:
        return None
    machine = replace(this_machine(runner), workers=processes)
    work = workload(material, recipe, runner, renderer, longest, machine.device)
    work = replace(work, answers=min(answers, runner.generation_batch))
    try:
        return fit(read_config(material), work, work, machine, material.model.trust_remote_code)
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
    return "one GPU" if machine.device == "cuda" else "the memory of this machine"
