"""nightlane finetune as a person types it."""

import json
import signal
import time
from pathlib import Path

import pytest
from commands import Command, nightlane
from trainable import stores, write_study

from lanes import Recipe


def refused(*arguments: object) -> str:
    done = nightlane(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nightlane: ")
    return last


@pytest.mark.long
@pytest.mark.slow
def test_from_the_store_to_an_adapter_by_the_commands_alone(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out, where = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out", ("--workspace", tmp_path)
    assert nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", *where).returncode == 0
    told = refused("finetune", study, "--output", out, *where)
    assert "0 of 5 rows were judged good or bad; run nightlane pairs review --kind dpo, or pass --unreviewed" in told
    assert not out.exists()
    reviewed = nightlane("pairs", "review", "--by", "ann", *where, answers="good\nbad\ngood\ngood\ngood\n")
    assert "counts as reviewed" in reviewed.stdout
    done = nightlane("finetune", study, "--output", out, "--epochs", "2", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out / 'adapter'}\n"
    assert (out / "adapter" / "adapter_model.safetensors").exists()
    manifest = json.loads((out / "finetune.json").read_text(encoding="utf-8"))
    recipe = Recipe.from_toml((out / "recipe.toml").read_text(encoding="utf-8"))
    assert (manifest["steps"], manifest["recipe"]) == (4, recipe.digest)
    assert manifest["sources"][0]["looked_at"] == "reviewed"
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"recipe {recipe.digest}: the study's own, since ")
    assert lines[1] == "4 steps of 4 rows, seed 42"
    assert "8 rows, 16 drawn; an export of 8 dpo rows, reviewed; 1 judged bad (" in lines[2]
    assert lines[3] == "objective orpo; a checkpoint every 1 step; 8 holdout prompts answered and scored at each"
    assert lines[-2].startswith("step 4 of 4, loss ")
    assert lines[-1].startswith("COMPLETE: 4 of 4 steps, 2.00 epochs, loss ")
    assert "is not an empty folder" in refused("finetune", study, "--output", out, *where)


@pytest.mark.long
@pytest.mark.slow
def test_unreviewed_pairs_are_trained_on_when_that_is_said_and_it_is_kept(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out, where = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out", ("--workspace", tmp_path)
    nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", *where)
    done = nightlane("finetune", study, "--output", out, "--steps", "2", "--unreviewed", "--json", *where)
    assert done.returncode == 0, done.stderr
    recorded = json.loads((out / "finetune.json").read_text(encoding="utf-8"))
    assert recorded.pop("sha256")
    assert json.loads(done.stdout) == recorded
    assert json.loads(done.stdout)["sources"][0]["looked_at"] == "unreviewed"
    assert "not reviewed (--unreviewed)" in done.stderr


def test_a_wrong_command_line_is_one_sentence(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out"
    nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", "--workspace", tmp_path)
    begun = ("finetune", study, "--output", out, "--workspace", tmp_path, "--unreviewed")
    assert "leave one out" in refused(*begun, "--steps", "3", "--epochs", "1")
    assert "give a recipe.toml" in refused(*begun, "--recipe", tmp_path / "none.toml")
    assert not out.exists()


@pytest.mark.long
@pytest.mark.slow
def test_an_interrupted_run_says_where_it_stopped_and_is_resumed(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out"
    nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", "--workspace", tmp_path)
    begun = ("finetune", study, "--output", out, "--workspace", tmp_path)
    once = (*begun, "--steps", 3000, "--save-every", 10, "--spot-check", 0, "--unreviewed")
    process, end = Command(*once), time.monotonic() + 120
    while not (out / "checkpoints" / "checkpoint-10" / "complete.json").exists() and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate()
    assert (process.returncode, told) == (130, "")
    last = errors.strip().splitlines()[-1]
    assert last.startswith(
        f"nightlane: interrupted by SIGTERM; the same command with --resume goes on with the run in {out}"
    )
    ended = json.loads((out / "finetune.json").read_text(encoding="utf-8"))
    assert (ended["status"], ended["why"], ended["steps"]) == ("STOPPED", "interrupted by SIGTERM", 3000)
    assert 10 <= ended["done"] < 3000
    assert (out / ended["checkpoint"] / "adapter_model.safetensors").exists()
    assert "is not an empty folder" in refused(*once)
    assert "the number of steps changed (3000 to 20)" in refused(*begun, "--resume", "--steps", 20)
    assert "the seed changed (42 to 1)" in refused(*begun, "--resume", "--seed", 1)


@pytest.mark.long
@pytest.mark.slow
def test_a_complete_run_has_nothing_to_resume(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out"
    nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", "--workspace", tmp_path)
    begun = ("finetune", study, "--output", out, "--workspace", tmp_path)
    assert "holds no full-length run that can be resumed" in refused(*begun, "--resume")
    assert nightlane(*begun, "--steps", "1", "--unreviewed").returncode == 0
    (out / "checkpoints" / "checkpoint-1").mkdir(parents=True)  # as a kill leaves them
    again = nightlane(*begun, "--resume")
    assert (again.returncode, again.stdout) == (0, f"{out / 'adapter'}\n")
    assert not (out / "checkpoints").exists()
    assert again.stderr == f"the run in {out} is complete, so there is nothing to resume\n"
    without = ("finetune", study, "--workspace", tmp_path, "--steps", 1, "--unreviewed")
    first, second = nightlane(*without), nightlane(*without)
    (folder,) = (tmp_path / "runs").glob("finetune-*")
    assert first.stdout == second.stdout == f"{folder / 'adapter'}\n"
    assert "is complete, so there is nothing to resume" in second.stderr
    assert "is complete" not in first.stderr
