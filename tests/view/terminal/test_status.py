"""nightlane status: running, interrupted, finished; the incumbent and the next command."""

import json
from pathlib import Path

import nights

from agent.ledger.store import Ledger
from view.data.session_record import load_record
from view.terminal.status import session_status, status_text


def test_a_finished_session_tells_its_reason_what_stands_and_how_to_go_on(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.CLIMBING, decisions=2)
    status = session_status(workspace, None)
    assert status["state"] == "finished"
    assert status["decisions"] == {"KEEP": 2, "DISCARD": 0, "CRASH": 0, "RETRACT": 0}
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert status["incumbent"] == ledger.decisions()[-1].incumbent != status["start"]
    assert [row["knob"] for row in status["differences"]] == ["learning_rate"]
    assert status["probes"] == len(list(workspace.runs.glob("probe-*")))
    later = load_record(workspace, None).study.file.policy.later_error
    assert status["error_left"] == {"budget": later, "left": later}, "a KEEP opens a budget for what follows"
    assert "holdout holds" in status_text(status)
    assert status["proposers"] == {"optuna": 1, "thompson": 1}
    assert status["go_on"].startswith("nightlane run ")
    assert status["go_on"].endswith(f"--workspace {workspace.root}")
    assert json.loads(json.dumps(status)) == status


def test_an_interrupted_session_is_told_with_the_command_that_resumes_it(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, stop_after=2)
    status = session_status(workspace, None)
    assert status["state"] == "interrupted"
    assert status["go_on"] == f"nightlane resume {status['session']} --workspace {workspace.root}"
    assert status["budget_left"].startswith("2 of 4 decisions")
    assert "interrupted" in status_text(status)


def test_a_held_workspace_shows_its_unfinished_session_as_running(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, stop_after=1)
    with workspace.held():
        status = session_status(workspace, None)
        assert status["state"] == "running"
        assert f"running (process {status['process']})" in status_text(status)
    assert session_status(workspace, None)["state"] == "interrupted"


def test_a_finished_session_is_not_running_because_another_one_is(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, decisions=1)
    with workspace.held():
        status = session_status(workspace, None)
        assert (status["state"], status["process"]) == ("finished", None)


def test_a_session_with_only_its_baseline_has_a_status(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.variant().replace("decisions = 8", "hours = 1e-9"), decisions=None)
    lines = status_text(session_status(workspace, None)).splitlines()
    assert any(line.startswith("decisions ") and "0 KEEP, 0 DISCARD, 0 CRASH" in line for line in lines)
    assert any(line.startswith("incumbent ") and line.endswith("as at the start") for line in lines)


def test_the_text_is_one_aligned_line_per_fact(tmp_path: Path) -> None:
    lines = status_text(session_status(nights.night(tmp_path), None)).splitlines()
    assert all(line[14] == " " and line[15] != " " for line in lines)
