"""A full-length run that was killed ends as one that was not."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from killed import killed_at
from resumable import again_planned, complete, ready, require_equal, resumed

from common.errors import BadInput, WorkspaceBusy
from common.files import locked
from finetune.checkpoints import last_complete
from finetune.start import read_start
from preferences.store.stores import Stores
from probes.inputs.settings import RunnerSettings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.mark.long
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_a_run_that_was_killed_twice_ends_to_the_digit_as_one_that_was_not(
    tmp_path: Path, tiny_folder: Path, objective: str
) -> None:
    recipe = {"objective": objective}
    plan, again = (ready(tmp_path, tiny_folder, out, recipe=recipe) for out in ("whole", "killed"))
    whole = complete(plan)
    killed_at(2, again)
    assert last_complete(again.request.folder) is None, "no checkpoint before step 3: it begins again"
    killed_at(8, resumed(again))
    kept = last_complete(again.request.folder)
    assert kept is not None
    assert kept.step == 6
    (again.request.folder / "adapter").mkdir()
    (again.request.folder / "adapter" / ".tmpHalf").write_text("what a kill leaves while the adapter is saved")
    done = complete(resumed(again))
    assert (whole.resumed, done.resumed) == (0, 6)
    require_equal(whole, done, plan, again)
    assert not (again.request.folder / "checkpoints").exists()


@pytest.mark.long
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_killed_at_random_steps_it_ends_to_the_digit_as_one_that_was_not(
    tmp_path: Path, tiny_folder: Path, objective: str
) -> None:
    recipe = {"objective": objective}
    changes: dict[str, Any] = {"steps": 8, "save_every": 3, "spot_check": 0, "recipe": recipe}
    plan = ready(tmp_path, tiny_folder, "whole", **changes)
    whole = complete(plan)
    for step in random.Random(objective).sample(range(3, 9), 2):
        changes["recipe"] = recipe
        again = again_planned(tmp_path, Stores(tmp_path / "runs" / "rl_data"), f"killed-{step}", **changes)
        killed_at(step, again)
        done = complete(resumed(again))
        assert done.resumed == (step - 1) // 3 * 3
        require_equal(whole, done, plan, again)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what is synced, in order."""
    found, fsync = list[str](), os.fsync

    def noting(descriptor: int) -> None:
        found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return found


@pytest.mark.long
def test_spot_checks_change_nothing_that_is_trained_and_are_on_the_disk_before_a_checkpoint_counts(
    tmp_path: Path, tiny_folder: Path, synced: list[str]
) -> None:
    plan, without = ready(tmp_path, tiny_folder, "with"), ready(tmp_path, tiny_folder, "without", spot_check=0)
    checked, unchecked = complete(plan), complete(without)
    folder = str(plan.request.folder)
    last = synced.index(f"{folder}/checkpoints/checkpoint-9/.complete.json.tmp")
    before = synced[synced.index(f"{folder}/checkpoints/checkpoint-6/.complete.json.tmp") : last]
    assert {f"{folder}/.spot_checks.jsonl.tmp", f"{folder}/train.jsonl", folder} <= set(before)
    assert f"{folder}/.train.jsonl.tmp" in synced, "the lines that a run begins with, also one that goes on"
    assert list(checked.spot_checks) == [0, 3, 6, 9]
    assert unchecked.spot_checks == {}
    assert (checked.final, checked.files) == (unchecked.final, unchecked.files)


@pytest.mark.long
def test_a_quantised_run_is_resumed_in_its_own_data_type(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = {"quantization": "nf4", "optimizer": "adamw_8bit"}
    plan, again = (ready(tmp_path, tiny_folder, out, recipe=recipe, spot_check=0) for out in ("whole", "killed"))
    whole = complete(plan)
    killed_at(5, again)
    require_equal(whole, complete(resumed(again)), plan, again)


def test_a_checkpoint_that_was_cut_off_does_not_count(tmp_path: Path, tiny_folder: Path) -> None:
    plan = ready(tmp_path, tiny_folder, "out", spot_check=0)
    killed_at(8, plan)
    kept = last_complete(plan.request.folder)
    assert kept is not None
    with (kept.folder / "optimizer.pt").open("ab") as stream:
        stream.write(b"x")
    earlier = last_complete(plan.request.folder)
    assert earlier is not None
    assert (kept.step, earlier.step) == (6, 3)
    (earlier.folder / "complete.json").unlink()
    assert complete(resumed(plan)).resumed == 0


def test_what_changed_since_the_run_began_is_named(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ready(tmp_path, tiny_folder, "out", spot_check=0)
    killed_at(4, plan)
    request, folder = plan.request, plan.request.folder

    def told(**changes: Any) -> str:
        with pytest.raises(BadInput) as error:
            complete(resumed(plan, **changes))
        return str(error.value)

    assert "the recipe changed (" in told(recipe=request.recipe.model_copy(update={"learning_rate": 2e-3}))
    assert "the rows per forward pass (micro_batch under [runner]) changed (2 to 4)" in told(runner=RunnerSettings())
    monkeypatch.setattr("probes.run.worker.PACKAGES", ("torch",))
    assert "the software or the device changed" in told()
    monkeypatch.undo()
    with (tmp_path / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"prompt": "# one more\n", "chosen": "a\n", "rejected": "b\n"}) + "\n")
    changed = again_planned(tmp_path, Stores(tmp_path / "runs" / "rl_data"), "out", spot_check=0, resume=True)
    with pytest.raises(BadInput, match="the data of source 'good' changed"):
        complete(changed)
    assert last_complete(folder) is not None, "a refusal removes nothing"
    with locked(folder), pytest.raises(WorkspaceBusy, match="another one trains in"):
        complete(resumed(plan))
    (folder / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no full-length run that can be resumed"):
        read_start(folder)
