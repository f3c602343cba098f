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
    assert lines[-1].startswith("step 4 of 4, loss ")
    assert "is not an empty folder" in refused("finetune", study, "--output", out, *where)


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
    assert "'--output'" in refused("finetune", study)
    assert not out.exists()


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_manifest_and_says_so(tmp_path: Path, tiny_folder: Path) -> None:
    stores(tmp_path)
    study, out = write_study(tmp_path, tiny_folder / "model"), tmp_path / "out"
    nightlane("pairs", "export", tmp_path / "mined", "--kind", "dpo", "--workspace", tmp_path)
    process = Command("finetune", study, "--output", out, "--workspace", tmp_path, "--steps", 3000, "--unreviewed")
    curve, end = out / "train.jsonl", time.monotonic() + 120
    while not (curve.exists() and curve.stat().st_size) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate()
    assert (process.returncode, told) == (130, "")
    assert errors.strip().splitlines()[-1] == (
        f"nightlane: interrupted by SIGTERM; the run in {out} is incomplete and cannot be resumed; start again with a "
        "new --output"
    )
    assert curve.stat().st_size
    assert not (out / "finetune.json").exists()
