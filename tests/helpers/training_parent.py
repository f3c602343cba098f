"""A process with a worker that trains for minutes: python training_parent.py FOLDER RUNS. Prints the worker's process
id, then each phase and step."""

import sys
from pathlib import Path

import tiny

from probes.inputs.settings import RunnerSettings
from probes.result.reading import Probe
from probes.run.local_workers import ResidentRunner
from probes.run.protocol import Progress


def tell(progress: Progress) -> None:
    if progress.probe:
        print(progress.phase, progress.step, flush=True)


def main() -> None:
    folder, runs = map(Path, sys.argv[1:])
    material = tiny.material(folder, steps=2_000)
    runner = ResidentRunner(material, RunnerSettings(workers=1, threads=1), runs)
    environment = runner.environment
    print("pid", runner._pool.workers[0].process.pid, flush=True)
    runner.run([Probe(tiny.recipe(), material.key(environment), 1)], tell)


if __name__ == "__main__":
    main()
