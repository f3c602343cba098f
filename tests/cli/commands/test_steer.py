"""A night that is steered from other processes: paused, killed, steered while nothing runs, and resumed."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from commands import LONGEST, Command, nightlane

from testing import simulated_study
from view.data.results import read_results

pytestmark = pytest.mark.slow


def status(workspace: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(nightlane("status", "--json", "--workspace", workspace).stdout)
    return found


def wait_for(workspace: Path, what: str) -> None:
    end = time.monotonic() + LONGEST / 10
    while what not in progress(workspace) and time.monotonic() < end:
        time.sleep(0.05)
    assert what in progress(workspace)


def progress(workspace: Path) -> str:
    path = workspace / "runs" / "progress.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def asked(*arguments: object, workspace: Path) -> Any:
    done = nightlane(*arguments, "--workspace", workspace)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.long
def test_a_night_is_steered_killed_and_resumed(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace("decisions = 8", "probes = 44").replace(
        'kind = "simulated"', 'kind = "simulated"\nsimulated_seconds = 0.05'
    )
    path, work = simulated_study.write_study(tmp_path / "study", text), tmp_path / "work"
    process = Command("run", path, "--workspace", work)
    wait_for(work, "BASELINE")
    asked("pause", workspace=work)
    wait_for(work, "REQUEST 1 pause: paused")
    assert "paused; nightlane continue goes on" in nightlane("status", "--workspace", work).stdout
    probes = status(work)["probes"]
    process.send_signal(signal.SIGKILL)
    process.communicate()

    kept = asked("propose", "warmup=0.2", "--why", "it was flat", workspace=work)
    assert f"no process runs session {status(work)['session']}" in kept.stderr
    assert f"nightlane resume --workspace {work}" in kept.stderr
    [open_one, *_] = status(work)["in_flight"]
    asked("skip", open_one["id"], workspace=work)
    refused = nightlane("propose", "learning_rate=3", "--workspace", work)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("nightlane: learning_rate=3 is outside [")
    told = json.loads(asked("note", "be careful", "--json", workspace=work).stdout)
    assert told == {
        "session": status(work)["session"],
        "request": 4,
        "what": "note",
        "data": {"text": "be careful"},
        "is_running": False,
    }

    process = Command("resume", "--workspace", work)
    wait_for(work, "REQUEST 4 note")
    assert status(work)["probes"] == probes, "it is still paused"
    asked("budget", "--probes", 30, workspace=work)
    asked("continue", workspace=work)
    _, errors = process.communicate()
    assert process.returncode == 0, errors

    found = status(work)
    assert [one["asked"] for one in found["requests"]] == [
        "pause",
        'propose warmup=0.2 --why "it was flat"',
        f"skip {open_one['id'][-3:]}",
        'note "be careful"',
        "budget --probes 30",
        "continue",
    ]
    assert all(one["answer"] and not one["answer"].startswith("too late") for one in found["requests"])
    assert found["probes"] <= 30
    rows = read_results(work / "results.tsv")
    assert list(rows[rows["reason"] == "skipped"]["id"]) == [open_one["id"]]
    assert len(rows) == len(set(rows["id"]))
    ended = nightlane("pause", "--workspace", work)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "begin one with nightlane run STUDY" in ended.stderr
