"""nightlane ship: the whole way, where it stops and how it goes on."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from commands import nightlane, require_documented

from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from cli.commands.model import ship as shipping
from cli.commands.model.ship import run_step
from common.digests import file_digest, with_own_digest
from common.errors import BadInput
from common.files import write_durably
from finetune.export import RECORD
from testing import simulated_study
from view.data.results import read_results

SCORER = "def score(prompt, answer, category, checks):\n    return {'score': len(answer) % 11, 'note': 'its length'}\n"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the steps that were run, each in a process of its own."""
    names: list[str] = []

    def run(arguments: Sequence[str]) -> str:
        names.append(arguments[0])
        done = nightlane(*arguments)
        sys.stderr.write(done.stderr)
        if done.returncode:
            raise typer.Exit(done.returncode)
        return done.stdout

    monkeypatch.setattr(shipping, "run_step", run)
    return names


def write_study(folder: Path, model: Path) -> Path:
    text = simulated_study.STUDY.replace('path = "none"', f'path = "{model}"')
    text = text.replace("effective_batch = 4", "effective_batch = 4\nmax_length = 128")
    text = text.replace("[target]", '[scorer]\nkind = "function"\nfunction = "own.py:score"\n[target]')
    (folder / "own.py").write_text(SCORER, encoding="utf-8")
    return simulated_study.write_study(folder, text.replace("samples = 4\n", "samples = 1\nmax_new_tokens = 6\n"))


@pytest.mark.long
@pytest.mark.slow
def test_a_study_goes_all_the_way_and_nothing_is_done_twice(
    tmp_path: Path, tiny_folder: Path, steps: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(tmp_path, tiny_folder / "model")

    def shipped() -> dict[str, str]:
        shipping.ship(study, tmp_path, steps=2, as_json=True)
        output = capsys.readouterr().out
        require_documented(["ship"], output)
        return dict(json.loads(output))

    found = shipped()
    assert steps == ["run", "finetune", "promote", "export"]
    card = (Path(found["export"]) / "README.md").read_text(encoding="utf-8")
    assert f"**{found['decision'].split()[0]}** (`" in card
    assert Path(found["session"]).exists()
    assert Path(found["promotion"]).exists()
    assert len(list((tmp_path / "runs").glob("finetune-*"))) in (1, 6), "the promotion uses the first run again"
    rows = read_results(tmp_path / "results.tsv")
    assert set(rows["status"]) & {"PROMOTE", "HOLD"}
    steps.clear()
    assert shipped() == found
    assert steps == ["finetune", "promote"]


def test_an_export_is_used_again_only_as_it_was_written(tmp_path: Path, steps: list[str]) -> None:
    folder = tmp_path / "runs" / "export-1-adapter"
    folder.mkdir(parents=True)
    (folder / "adapter.safetensors").write_text("weights")
    record = {"files": {"adapter.safetensors": file_digest(folder / "adapter.safetensors")}}
    write_durably(folder / RECORD, with_own_digest(json.dumps(record)))
    asked = (tmp_path / "study.toml", Workspace(tmp_path), tmp_path / "finetune-1", "adapter")
    assert shipping._exported(*asked) == folder
    (folder / "adapter.safetensors").write_text("weight")
    with pytest.raises(BadInput, match=r"adapter\.safetensors in .* changed; remove the folder"):
        shipping._exported(*asked)
    assert steps == []


@pytest.mark.long
def test_it_ends_with_the_exit_code_of_the_step_that_failed(tmp_path: Path, steps: list[str]) -> None:
    study = simulated_study.write_study(tmp_path)  # its model is missing, which a simulated session does not notice
    for expected in (["run", "finetune"], ["finetune"]):
        with pytest.raises(typer.Exit) as ended:
            shipping.ship(study, tmp_path)
        assert ended.value.exit_code == 2
        assert steps == expected
        steps.clear()


def test_an_interrupted_session_is_resumed_with_the_limits_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simulated_study.write_study(tmp_path)
    study, asked = load_study(path), list[Sequence[str]]()
    row = SessionRow(
        id="s1",
        study=study.name,
        study_path="study.toml",
        question=study.question,
        study_text=study.text,
        key="k",
        start=study.start.digest,
        seed=0,
        limits={},
        started="2026-11-21T20:00:00Z",
    )
    (tmp_path / "runs").mkdir()
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as ledger:
        ledger.begin(row, study.start)

    def interrupted(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        raise typer.Exit(130)

    monkeypatch.setattr(shipping, "run_step", interrupted)
    with pytest.raises(typer.Exit):
        shipping.ship(path, tmp_path, hours=2.0)
    assert asked == [["resume", "s1", "--workspace", str(tmp_path), "--hours", "2.0"]]


def test_a_form_that_is_none_is_refused_before_the_session(tmp_path: Path) -> None:
    study = simulated_study.write_study(tmp_path)
    done = nightlane("ship", study, "--workspace", tmp_path, "--to", "onnx")
    assert done.returncode == 2
    assert "--to 'onnx' is no form of an export; give adapter, gguf or merged" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
def test_a_step_is_a_command_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_step(["--version"]).startswith("nightlane ")
    with pytest.raises(typer.Exit) as ended:
        run_step(["status", "--workspace", str(tmp_path)])
    assert ended.value.exit_code == 2
    assert "nightlane: next is nightlane status --workspace" in capfd.readouterr().err
