"""Opens the runner that a study's ``[runner] kind`` names.

Another package adds one by an entry point of ``nightlane.runners`` that names an OpenRunner; it imports all it needs
from here.
"""

from pathlib import Path
from typing import Protocol

from common.optional_dependencies import require_extra
from common.plugins import plugins
from probes.inputs.material import Material
from probes.inputs.settings import LOCAL_WORKERS, RAY, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, Reading, Score, Timing, Unscored
from probes.run.protocol import Listener, OnOutcome, Progress, Runner, WorkerStatus, ignore_outcome
from probes.run.store import ProbeStore

__all__ = [
    "Failure",
    "Listener",
    "Material",
    "OnOutcome",
    "OpenRunner",
    "Outcome",
    "Probe",
    "ProbeStore",
    "Progress",
    "Reading",
    "Runner",
    "RunnerSettings",
    "Score",
    "Timing",
    "Unscored",
    "WorkerStatus",
    "ignore_outcome",
    "open_runner",
]


class OpenRunner(Protocol):
    """What an entry point of nightlane.runners names."""

    def __call__(self, material: Material, settings: RunnerSettings, runs: Path, quantization: str) -> Runner:
        """Open a runner that keeps each probe's directory under ``runs``. ``quantization``: of the first recipe."""


def open_runner(material: Material, settings: RunnerSettings, runs: Path, quantization: str) -> Runner:
    """The runner of a kind that ``RunnerSettings`` accepted."""
    if settings.kind == LOCAL_WORKERS:
        from probes.run.local_workers import ResidentRunner

        return ResidentRunner(material, settings, runs, quantization)
    if settings.kind == RAY:
        require_extra("ray", '[runner] kind = "ray"')
        from probes.run.ray.runner import RayRunner

        return RayRunner(material, settings, runs, quantization)
    opened: OpenRunner = plugins("runners")[settings.kind].load()
    return opened(material, settings, runs, quantization)
