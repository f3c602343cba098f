"""Two processes train one run together, over gloo on the CPU, as they would on two GPUs."""

import multiprocessing
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import commands
import pytest
from killed import killed_at
from resumable import again_planned, complete, figures, ready, require_equal, resumed
from safetensors.numpy import load_file

from common.errors import BadInput, NightlaneError
from finetune import processes
from finetune import run as running
from finetune.plan import TrainingPlan
from preferences.store.stores import Stores
from probes.inputs.settings import RunnerSettings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(autouse=True)
def fork_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "CONTEXT", commands.WorkerContext())


def both(folder: Path, tiny_folder: Path, **changes: Any) -> tuple[TrainingPlan, TrainingPlan]:
    """The same run in one process with two passes of two rows, and in two processes with a pass of two rows each."""
    runner = RunnerSettings(micro_batch=2)
    recipe = {"lora_dropout": 0.0, **changes.pop("recipe", {})}
    given = {"runner": runner, "recipe": recipe, "steps": 4, "save_every": 2, **changes}
    one = ready(folder, tiny_folder, "one", **{**given, "recipe": dict(recipe)})
    stores = Stores(folder / "runs" / "rl_data")
    return one, again_planned(folder, stores, "two", processes=2, **{**given, "recipe": dict(recipe)})


@pytest.mark.long
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_two_processes_train_what_one_does_and_the_first_alone_writes(
    tmp_path: Path, tiny_folder: Path, objective: str
) -> None:
    one, two = both(tmp_path, tiny_folder, recipe={"objective": objective})
    alone, together = complete(one), complete(two)
    for line, other in zip(figures(one.request.folder), figures(two.request.folder), strict=True):
        assert {name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in line.items()} == other
    assert together.tokens == alone.tokens
    assert together.spot_checks == pytest.approx(alone.spot_checks)
    mine, theirs = (load_file(one.request.folder / "adapter" / "adapter_model.safetensors") for one in (one, two))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert value == pytest.approx(theirs[name], rel=1e-3, abs=1e-6)
    names = [{path.name for path in plan.request.folder.iterdir()} for plan in (one, two)]
    assert names[1] - names[0] == {"process-1.log"}
    assert "WORLD_SIZE" not in os.environ


@pytest.mark.long
def test_killed_with_both_processes_it_goes_on_to_the_same_digits(tmp_path: Path, tiny_folder: Path) -> None:
    given: dict[str, Any] = {"processes": 2, "steps": 5, "save_every": 2, "spot_check": 0}
    whole = ready(tmp_path, tiny_folder, "whole", **given)
    cut = again_planned(tmp_path, Stores(tmp_path / "runs" / "rl_data"), "cut", **given)
    first = complete(whole)
    killed_at(4, cut)
    second = complete(resumed(cut))
    assert second.resumed == 2
    require_equal(first, second, whole, cut)
    with pytest.raises(BadInput, match=re.escape("the number of --processes changed (2 to 1)")):
        complete(resumed(cut, processes=1))


@pytest.mark.long
def test_the_run_ends_when_one_of_its_processes_is_killed(tmp_path: Path, tiny_folder: Path) -> None:
    _, plan = both(tmp_path, tiny_folder, steps=400, spot_check=0)

    def on_line(line: Mapping[str, Any]) -> None:
        if line["step"] == 2:
            (other,) = multiprocessing.active_children()
            other.kill()

    with pytest.raises(NightlaneError, match="one was killed, perhaps for lack of memory"):
        running.run(plan, 1, on_line)


@pytest.mark.long
def test_processes_that_cannot_share_a_batch_are_refused(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(BadInput, match="--processes 3 does not divide it; give one of 1, 2, 4"):
        ready(tmp_path, tiny_folder, "out", processes=3)
    with pytest.raises(BadInput, match="sorts the pairs of a whole batch"):
        both(tmp_path, tiny_folder, recipe={"objective": "dpo", "dpo_loss": "aot"})
