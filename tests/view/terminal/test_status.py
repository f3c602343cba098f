"""nightlane status: running, interrupted, finished; the incumbent and the next command."""

import json
from pathlib import Path
from typing import Any

import nights
import pytest

from agent.ledger.store import Ledger
from agent.loop.start.begin_or_resume import Overrides, begin
from agent.policy.night_parts import NightParts
from agent.workspace.folder import Workspace
from common.wording import count
from probes.run.store import ProbeStore
from testing.simulated_runner import SimulatedRunner
from view.data.session_record import load_record
from view.report.report import write_report
from view.terminal.status import session_status, status_text


def stopped(folder: Path, batch: int) -> dict[str, Any]:
    """The status of a night that was interrupted before it measured a batch of probes, counted from 1: the start, the
    first wave, the pairs of a stack."""
    workspace, step = Workspace(folder / "workspace"), nights.hasty()
    study = nights.study(folder, nights.governed(nights.TWO_KNOBS).replace("decisions = 8", "probes = 60"))
    runner = SimulatedRunner(study.material, ProbeStore(workspace.runs), world=nights.ADDING)
    watcher, parts = nights.Silent(stop_at=batch), NightParts(next_step=step)
    with pytest.raises(KeyboardInterrupt):
        begin(study, workspace, Overrides(), watcher, write_report, runner=runner, parts=parts)
    return session_status(workspace, None)


def test_a_finished_session_tells_its_reason_what_stands_and_how_to_go_on(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    workspace = nights.night(tmp_path, text, world=nights.ADDING, probes=40, step=nights.hasty())
    status = session_status(workspace, None)
    assert status["state"] == "finished"
    kept = status["decisions"]["KEEP"]
    assert kept > 0
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert status["incumbent"] == ledger.decisions("WHERE status = 'KEEP'")[-1].incumbent != status["start"]
    assert len(status["differences"]) == kept
    assert status["probes"] == len(list(workspace.runs.glob("probe-*")))
    later = load_record(workspace, None).study.file.policy.later_error
    assert status["error_left"] == {"budget": later, "left": later}, "a KEEP opens a budget for what follows"
    assert (status["waves"] > 0, status["stacks"] > 0, status["measuring"]) == (True, True, None)
    assert status["recipes"] == sum(len(wave.data["recipes"]) for wave in load_record(workspace, None).waves)
    assert sum(status["proposers"].values()) == sum(status["decisions"].values())
    assert status["go_on"].startswith("nightlane run ")
    assert status["go_on"].endswith(f"--workspace {workspace.root}")
    assert json.loads(json.dumps(status)) == status


def test_an_interrupted_session_is_told_with_the_command_that_resumes_it(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=40, stop_after=0)
    status = session_status(workspace, None)
    assert status["state"] == "interrupted"
    assert status["go_on"] == f"nightlane resume {status['session']} --workspace {workspace.root}"
    assert "38 of 40 probes" in status["budget_left"]
    assert "interrupted" in status_text(status)


def test_a_wave_in_progress_is_told_recipe_by_recipe(tmp_path: Path) -> None:
    status = stopped(tmp_path, 2)
    found = status["measuring"]
    assert (found["kind"], found["number"]) == ("wave", 1)
    assert {one["state"] for one in found["recipes"]} == {"waiting"}
    lines = status_text(status).splitlines()
    assert f"measuring      wave 1: 0 of {len(found['recipes'])} recipes" in lines
    for recipe in found["recipes"]:
        assert recipe["changes"]
        assert f"{'':15}waiting: {', '.join(recipe['changes'])}" in lines


def test_a_stack_in_progress_is_told_with_its_changes_and_the_pairs_so_far(tmp_path: Path) -> None:
    for batch, pairs in ((3, 0), (4, 1)):
        status = stopped(tmp_path / str(batch), batch)
        found = status["measuring"]
        assert (found["kind"], found["number"], found["pairs"]) == ("stack", 1, pairs)
        lines = status_text(status).splitlines()
        [line] = [line for line in lines if line.startswith("measuring ")]
        assert line.endswith(f"{count(pairs, 'pair')} of at most {found['most_pairs']}")
        assert all(f"{'':15}{change}" in lines for change in found["changes"])
        assert f"{len(status['in_flight'])} changes not decided yet" in status_text(status)


def test_a_held_workspace_shows_its_unfinished_session_as_running(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=40, stop_after=0)
    with workspace.held():
        status = session_status(workspace, None)
        assert status["state"] == "running"
        assert f"running (process {status['process']})" in status_text(status)
    assert session_status(workspace, None)["state"] == "interrupted"


def test_a_finished_session_is_not_running_because_another_one_is(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=5)
    with workspace.held():
        status = session_status(workspace, None)
        assert (status["state"], status["process"]) == ("finished", None)


def test_a_session_with_only_its_baseline_has_a_status(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.variant().replace("decisions = 8", "hours = 1e-9"), decisions=None)
    lines = status_text(session_status(workspace, None)).splitlines()
    assert any(line.startswith("decisions ") and "0 KEEP, 0 DISCARD, 0 CRASH" in line for line in lines)
    assert any(line.startswith("incumbent ") and line.endswith("as at the start") for line in lines)


def test_the_text_is_one_aligned_line_per_fact(tmp_path: Path) -> None:
    lines = status_text(session_status(nights.night(tmp_path, probes=12), None)).splitlines()
    assert all(line[14] == " " and line[15] != " " for line in lines)
