"""nightlane's own runners keep the contract that is shipped for those of others."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny

from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.run.runners import Runner, open_runner
from testing import simulated_study
from testing.contracts import RunnerContract
from testing.simulated_runner import CLIFF


class TestSimulated(RunnerContract):
    def material(self, folder: Path) -> Material:
        simulated_study.write_data(folder)
        return tiny.material(folder)

    def open(self, material: Material, runs: Path) -> Runner:
        return open_runner(material, RunnerSettings(kind="simulated"), runs, "none")

    def recipes(self) -> Sequence[Recipe]:
        return tiny.recipe(), tiny.recipe(beta=0.3)

    def failing_recipe(self) -> Recipe:
        return tiny.recipe(learning_rate=CLIFF + 0.1)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("forked_workers")
class TestLocalWorkers(RunnerContract):
    def material(self, folder: Path) -> Material:
        simulated_study.write_data(folder)
        tiny.write_model(folder / "model")
        return tiny.material(folder)

    def open(self, material: Material, runs: Path) -> Runner:
        return open_runner(material, RunnerSettings(workers=1, threads=1, deadline=120), runs, "none")

    def recipes(self) -> Sequence[Recipe]:
        return tiny.recipe(), tiny.recipe(objective="dpo")

    def failing_recipe(self) -> Recipe:
        return tiny.recipe(max_length=8)
