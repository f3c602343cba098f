"""Measures the benefit of resident workers and of common random numbers, on the bundled study.

    python -m bench.speed.probes

1. Seconds per probe in a resident worker, compared with a new process for each probe.
2. Standard error of the target's paired difference if both sides have the same sampling noise, compared with
   independent noise on the candidate's side.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from agent.study.load import Study, load_study
from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.result.comparison import compare
from probes.result.reading import Probe, Reading
from probes.run.local_workers import ResidentRunner

STUDY = Path(__file__).parents[2] / "labs" / "microcoder" / "study.toml"
ONE = RunnerSettings(workers=1, threads=1)


def main() -> None:
    from labs.microcoder import build

    study = load_study(STUDY)
    build(STUDY.parent / "build", lambda what, share: None)
    with tempfile.TemporaryDirectory() as folder:
        resident, fresh = workers(study, Path(folder))
        print(f"seconds per probe: {resident:.1f} in a resident worker, {fresh:.1f} in a fresh process each, ", end="")
        print(f"ratio {resident / fresh:.2f}")
        common, independent = errors(study, Path(folder))
        print(
            f"standard error of the paired difference in {study.target}: {common:.3f} with common random numbers, ",
            end="",
        )
        print(f"{independent:.3f} with fresh ones, ratio {common / independent:.2f}")


def workers(study: Study, folder: Path) -> tuple[float, float]:
    """Median seconds per probe with dispatch: for a resident worker, and for one that is started each time."""
    seeds = study.file.probe.seeds
    with ResidentRunner(study.material, ONE, folder) as runner:
        run(runner, study.material, study.start, seeds[0])
        staying = [timed(runner, study.material, study.start, seed) for seed in seeds]
    starting = []
    for seed in seeds:
        started = time.perf_counter()
        with ResidentRunner(study.material, ONE, folder) as runner:
            run(runner, study.material, study.start, seed)
        starting.append(time.perf_counter() - started)
    return statistics.median(staying), statistics.median(starting)


def errors(study: Study, folder: Path) -> tuple[float, float]:
    """Standard errors of one comparison: the candidate has the baseline's sampling noise, then its own."""
    candidate = study.lanes.mutate(study.start, "learning_rate", study.lanes.moves(study.start)["learning_rate"][-1])[1]
    other_noise = replace(
        study.material, probe=study.material.probe.model_copy(update={"sampling_seed": 1})
    )  # the same training, other answers
    baseline = readings(study, study.material, study.start, folder)
    same = readings(study, study.material, candidate, folder)
    fresh = [replace(reading, key=baseline[0].key) for reading in readings(study, other_noise, candidate, folder)]
    found = [compare(side, baseline).differences[study.target].standard_error for side in (same, fresh)]
    return found[0], found[1]


def readings(study: Study, material: Material, recipe: Recipe, folder: Path) -> list[Reading]:
    with ResidentRunner(material, RunnerSettings(threads=1), folder) as runner:
        key = material.key(runner.environment)
        outcomes = runner.run([Probe(recipe, key, seed) for seed in study.file.probe.seeds], lambda _: None)
    return [outcome for outcome in outcomes if isinstance(outcome, Reading)]


def run(runner: ResidentRunner, material: Material, recipe: Recipe, seed: int) -> None:
    outcome = runner.run([Probe(recipe, material.key(runner.environment), seed)], lambda _: None)[0]
    if not isinstance(outcome, Reading):
        raise SystemExit(f"the probe failed: {outcome}")


def timed(runner: ResidentRunner, material: Material, recipe: Recipe, seed: int) -> float:
    started = time.perf_counter()
    run(runner, material, recipe, seed)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
