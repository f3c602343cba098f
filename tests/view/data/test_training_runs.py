"""Runs and probes as a person sees them, whatever of their files is there."""

import json
from pathlib import Path

import finetune_workspace
import pytest

from agent.loop.in_flight import ProbeInFlight
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.result.reading import Failure, outcome_to_json
from probes.run.store import MANIFEST
from testing.workspace_files import write_curve
from view.data.training.curve import Curve
from view.data.training.probes import probe_folders, read_probe
from view.data.training.runs import read_run
from view.data.training.workspace import TrainingRuns


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finetune_workspace.make(tmp_path_factory.mktemp("runs"))


def test_a_probe_is_running_complete_failed_or_cut_off(workspace: Workspace, tmp_path: Path) -> None:
    complete = read_probe(*_of(probe_folders(workspace)[0]), {})
    assert (complete.status, complete.done, complete.steps, complete.objective) == ("COMPLETE", 12, 12, "orpo")
    folder = tmp_path / "probe-abc"
    folder.mkdir()
    write_curve(folder, range(1, 4), 12)
    assert read_probe(*_of(folder), {}).status == "STOPPED"
    flying = ProbeInFlight(id="abc", seed=1, phase="training", step=5, steps=12, loss=0.5, phase_began=0, seen=0)
    running = read_probe(*_of(folder), {"abc": flying})
    assert (running.status, running.done, running.steps) == ("RUNNING", 5, 12)
    failure = Failure("abc", 1, "diverged", "loss is nan at step 3")
    (folder / MANIFEST).write_text(json.dumps(outcome_to_json(failure)), encoding="utf-8")
    failed = read_probe(*_of(folder), {})
    assert (failed.status, failed.why) == ("FAILED", "loss is nan at step 3")


def test_a_run_whose_files_are_damaged_is_shown_as_far_as_they_go(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finetune_workspace.run(folder, 40, 40, "COMPLETE")
    for name in ("finetune.json", "run.json", "spot_checks.jsonl"):
        (folder / name).write_text('{"steps": 40, "do', encoding="utf-8")
    found = read_run(*_of(folder))
    assert (found.status, found.done, found.final["step"], found.spot_checks) == ("STOPPED", 40, 40, ())


def test_only_runs_and_probes_of_the_workspace_are_found(workspace: Workspace) -> None:
    runs = TrainingRuns(workspace)
    assert runs.find("collapsed")[0].status == "FAILED"
    for name in ("runs", "..", "../runs", "/etc", "rl_data", ""):
        with pytest.raises(BadInput, match="there is no training run"):
            runs.find(name)


def _of(folder: Path) -> tuple[Path, Curve]:
    return folder, Curve(folder).refresh()
