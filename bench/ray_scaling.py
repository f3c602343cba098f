"""Measures how busy one process that hands out probes keeps the workers of a Ray cluster.

    python -m bench.ray_scaling [--workers 64] [--seconds 10] [--rounds 4] [--megabytes 2]

The cluster's machines are Ray nodes on this machine, and their workers only wait: a probe takes --seconds, reports 20
steps and sends a folder of --megabytes. A worker needs about 150 MB, and two seconds of a core to start.
"""

import argparse
import os
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Probe, ProbeKey
from probes.run.protocol import Progress
from probes.run.ray.archives import StudyArchive
from probes.run.ray.keeper import Keeper
from probes.run.store import ProbeStore
from probes.run.worker import Ready

STEPS, PER_MACHINE = 20, 16
KEY = ProbeKey(steps=STEPS, base="", data="", prompts="", scorer="", samples=1, environment="")


class WaitingKeeper(Keeper):
    """A keeper whose worker is a thread that only waits. The material is (seconds, megabytes)."""

    def _material(self, study: StudyArchive) -> object:
        return study.material

    def _started(self, arguments: tuple[Any, ...]) -> Any:
        own = Connection(os.dup(arguments[0].fileno()))  # the caller closes its own descriptor
        thread = threading.Thread(target=wait, args=(own, arguments[1]), daemon=True)
        thread.start()
        return thread


def wait(pipe: Connection, runs: Path) -> None:
    seconds, megabytes = pipe.recv()
    pipe.send(("ready", Ready("waiting", "")))
    while True:
        [probe], _, _ = pipe.recv()
        for step in range(STEPS):
            pipe.send(("progress", Progress(probe.id, "training", step, STEPS)))
            time.sleep(seconds / STEPS)
        folder = ProbeStore(runs).directory(probe.id)
        folder.mkdir()
        (folder / "answers.jsonl").write_bytes(bytes(int(megabytes * 2**20)))
        pipe.send(("done", [(probe.id, Failure(probe.id, probe.seed, "diverged", "invented"))]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--megabytes", type=float, default=2.0)
    chosen = parser.parse_args()

    from ray.cluster_utils import Cluster

    from probes.run.ray import runner as ray_runner

    head = {"num_cpus": 0, "object_store_memory": 200 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(-(-chosen.workers // PER_MACHINE)):
        cluster.add_node(num_cpus=PER_MACHINE, object_store_memory=200 << 20)
    ray_runner.RayPool.keeper = WaitingKeeper
    of = classmethod(lambda cls, material: cls(material, b"", ""))
    StudyArchive.of = of  # type: ignore[method-assign, assignment]
    settings = RunnerSettings(kind="ray", workers=chosen.workers, address=cluster.address, start_seconds=900)
    probes = [Probe(Recipe(mixture={"rows": 1.0}), KEY, seed) for seed in range(chosen.workers * chosen.rounds)]
    with TemporaryDirectory() as folder:
        material = cast(Material, (chosen.seconds, chosen.megabytes))
        with ray_runner.RayRunner(material, settings, Path(folder)) as runner:
            while not all(worker.state == "idle" for worker in runner.workers):
                runner._pool.start_missing()
                runner._handle_messages(runner._batch([], lambda _: None))
            started, processor = time.perf_counter(), time.process_time()
            runner.run(probes, lambda _: None)
            took, processor = time.perf_counter() - started, time.process_time() - processor
    cluster.shutdown()
    busy = chosen.seconds * len(probes) / (chosen.workers * took)
    print(
        f"{chosen.workers} workers, {len(probes)} probes of {chosen.seconds:g} s with {chosen.megabytes:g} MB each: "
        f"{took:.1f} s, {busy:.1%} busy; {processor / len(probes) * 1000:.0f} ms of the driver's processor a probe"
    )


if __name__ == "__main__":
    main()
