"""Recipes of a study compared on its holdout prompts, outside of any session."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.loop.start_or_resume.session import open_runner
from agent.study.load import Study
from agent.workspace.folder import Workspace
from lanes import Recipe
from probes.result.comparison import Comparison, compare
from probes.result.reading import Outcome, Probe, Reading
from probes.run.store import ProbeStore


def compared(
    study: Study, folder: Path, recipes: Mapping[str, Recipe], baseline: str, seeds: Sequence[int], samples: int
) -> dict[str, Comparison]:
    """Compare each recipe with the ``baseline``, with the same seeds and ``samples`` answers per prompt. Probes that
    exist in ``folder`` are not run again. SystemExit if a probe fails."""
    workspace = Workspace(folder)
    workspace.prepare()
    store = ProbeStore(workspace.runs)
    with open_runner(study, workspace, None) as runner:
        key = replace(study.material.key(runner.environment), split="holdout", samples=samples)
        probes = {(name, seed): Probe(recipe, key, seed) for name, recipe in recipes.items() for seed in seeds}
        runner.run([one for one in probes.values() if store.get(one) is None], lambda _: None, store.put)
    readings = {name: [_reading(store.get(probes[name, seed])) for seed in seeds] for name in recipes}
    without = readings.pop(baseline)
    return {name: compare(own, without, study.file.policy.confidence) for name, own in readings.items()}


def _reading(outcome: Outcome | None) -> Reading:
    if not isinstance(outcome, Reading):
        raise SystemExit(f"a probe on the holdout failed: {outcome}")
    return outcome
