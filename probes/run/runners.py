"""Which runner a study's ``[runner] kind`` names. Another package adds one by an entry point of nightlane.runners."""

from pathlib import Path
from typing import Protocol

from common.plugins import plugins
from probes.inputs.material import Material
from probes.inputs.settings import LOCAL_WORKERS, RunnerSettings
from probes.run.protocol import Runner


class OpenRunner(Protocol):
    """What an entry point of nightlane.runners names."""

    def __call__(self, material: Material, settings: RunnerSettings, runs: Path, quantization: str) -> Runner:
        """A runner that keeps each probe's directory under ``runs``; ``quantization`` is that of the first recipe."""


def open_runner(material: Material, settings: RunnerSettings, runs: Path, quantization: str) -> Runner:
    """The runner of a kind that ``RunnerSettings`` accepted."""
    if settings.kind == LOCAL_WORKERS:
        from probes.run.local_workers import ResidentRunner

        return ResidentRunner(material, settings, runs, quantization)
    opened: OpenRunner = plugins("runners")[settings.kind].load()
    return opened(material, settings, runs, quantization)
