"""The memory that a study's probes need, against what this machine has, before anything is trained."""

from agent.study.material_check import CheckedStudy
from probes.memory.fit import NOT_COMPUTED, Fit, Machine, fit, largest_recipe, read_config, this_machine, workload


def memory_fit(checked: CheckedStudy, machine: Machine | None = None) -> Fit | None:
    """The estimate for the starting recipe and for the largest that the lanes can make; None if the model is simulated,
    not on this machine, or cannot be computed without its weights."""
    study, renderer = checked.study, checked.renderer
    if renderer is None or not study.material.probe_prompts:
        return None
    runner, material = study.file.runner, study.material
    machine = machine or this_machine(runner)
    longest = max((counts.longest for counts in checked.counts.values()), default=0)
    works = (
        workload(material, recipe, runner, renderer, longest, machine.device)
        for recipe in (study.start, largest_recipe(study.start, study.lanes.knobs))
    )
    start, largest = works
    try:
        return fit(read_config(material), start, largest, machine, material.model.trust_remote_code)
    except NOT_COMPUTED:
        return None
