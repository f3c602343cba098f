"""A Ray cluster whose machines are processes here, and workers on it that follow a script."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stub_worker

from probes.run.ray.archives import StudyArchive
from probes.run.ray.keeper import Keeper

ROOT = Path(__file__).parents[2]
OBJECT_STORE = 100 << 20
ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}",
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A machine that does not answer is lost after two seconds.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "500",
}
"""Environment variables of the machines: their actors can import nightlane and the helpers, and use no network."""


class StubKeeper(Keeper):
    """Keeps a stub_worker, whose material is a Script."""

    serve = staticmethod(stub_worker.serve)

    def _material(self, study: StudyArchive) -> object:
        return study.material


class Machines:
    """A cluster whose head has no cores, so that workers are only on the machines that ``add`` starts."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE, "include_dashboard": False},
        )
        self.address: str = self._cluster.address

    def add(self, cores: int = 1, gpus: int = 0) -> Any:
        return self._cluster.add_node(num_cpus=cores, num_gpus=gpus, object_store_memory=OBJECT_STORE, wait=True)

    def kill(self, machine: Any) -> None:
        """Kill all processes of a machine at once, as a power failure would."""
        for processes in machine.all_processes.values():
            for one in processes:
                os.kill(one.process.pid, signal.SIGKILL)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def machines(cores: Sequence[int] = ()) -> Iterator[Machines]:
    """A cluster with a machine for each number of cores. Afterwards, this process is connected to no cluster."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        cluster = Machines()
        try:
            for number in cores:
                cluster.add(number)
            yield cluster
        finally:
            ray.shutdown()
            cluster.close()
