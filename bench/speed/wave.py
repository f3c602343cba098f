"""The speed of a wave of probes on all cores, in seconds on the clock, compared with TRL.

    python -m bench.speed.wave [--adapters 8] [--steps 20] [--samples 4] [--turns 3] [--fresh 2]

``bench.speed.engine`` compares processor time, which does not depend on the number of cores. Here the wave is run as a
session runs it: by the packed engine in one resident worker per core. It is compared with TRL, PEFT and transformers'
generate, one probe after the other, with torch's own number of threads: in a new process for each probe, and in a warm
process. The machine must be quiet.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.study.load import load_study
from bench.speed.engine import SEED, STUDY, WAVE, EngineTrial, SpeedRow
from labs.microcoder import build
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Probe, Reading
from probes.run.local_workers import ResidentRunner
from probes.train import trl


@contextmanager
def clock() -> Iterator[list[float]]:
    """The seconds of the block on the clock."""
    spent, began = [0.0], time.perf_counter()
    try:
        yield spent
    finally:
        spent[0] = time.perf_counter() - began


def wave(runner: ResidentRunner, trial: EngineTrial, seed: int) -> float:
    """Seconds of a wave in resident workers, scored."""
    key = trial.material.key(runner.environment)
    with clock() as spent:
        outcomes = runner.run([Probe(recipe, key, seed) for recipe in trial.recipes], lambda _: None)
    if failed := [one for one in outcomes if not isinstance(one, Reading)]:
        raise SystemExit(f"a probe failed: {failed[0]}")
    return spent[0]


def warm_wave(trial: EngineTrial) -> float:
    """Seconds of the same recipes by TRL and generate in this process, one after the other, scored."""
    with clock() as spent:
        _, trained = trial.trained(trl.train, trial.recipes)
        trial.scored(trial.generated([one.adapter for one in trained])[2])
    return spent[0]


def rows_of(trial: EngineTrial, runner: ResidentRunner, turns: int, fresh: int) -> list[SpeedRow]:
    number = len(trial.recipes)
    processes = SpeedRow(what=f"wave of {number} probes, packed", against="a TRL process per probe", goal=">= 12")
    warm = SpeedRow(what="the same", against="TRL in a warm process, generate", goal=">= 4")
    wave(runner, trial, SEED - 1)  # workers import their libraries and fill the store of references
    for turn in range(turns):
        ours, alone = wave(runner, trial, SEED + turn), []
        for recipe in trial.recipes[:fresh]:
            with clock() as spent:
                trial.fresh(recipe)
            alone.append(spent[0])
        for row, theirs in ((processes, number * statistics.fmean(alone)), (warm, warm_wave(trial))):
            row.ours.append(ours)
            row.theirs.append(theirs)
    return [processes, warm]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("adapters", len(WAVE)), ("steps", 20), ("samples", 4), ("turns", 3), ("fresh", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    build(STUDY.parent / "build", lambda what, share: None)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        runs.mkdir()
        trial = EngineTrial(load_study(STUDY), Path(folder), asked.adapters, asked.steps, asked.samples)
        with ResidentRunner(
            trial.material, RunnerSettings(engine="packed", threads=1), Path(folder) / "runs"
        ) as runner:
            rows = rows_of(trial, runner, asked.turns, asked.fresh)
    print(f"seconds on the clock, medians of {asked.turns}; {asked.steps} steps, {asked.samples} samples")
    for row in rows:
        print(row.text())


if __name__ == "__main__":
    main()
