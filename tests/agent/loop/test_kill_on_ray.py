"""A session on a Ray cluster: its process and a machine are killed, and it is resumed."""

import signal
import time
from pathlib import Path

import pytest
import ray_clusters
from commands import LONGEST, Command

from testing import simulated_study
from view.data.results import read_results

pytest.importorskip("ray", reason="Ray is not installed; run: pip install 'nightlane[ray]'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PROBES = 10


def outcomes(workspace: Path) -> dict[str, int]:
    """When each probe was recorded."""
    return {path.parent.name: path.stat().st_mtime_ns for path in workspace.glob("runs/probe-*/outcome.json")}


def wait_for(number: int, workspace: Path, process: Command) -> None:
    end = time.monotonic() + LONGEST
    while len(outcomes(workspace)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_session_goes_on_with_the_machines_that_are_left(tiny_folder: Path, tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace('path = "none"', f'path = "{tiny_folder / "model"}"')
    text = text.replace("decisions = 8", f"probes = {PROBES}")
    text = text.replace("steps = 20", "steps = 8\nmax_new_tokens = 8").replace(
        "seeds = [42, 123, 7]", "seeds = [42, 7]"
    )
    text = text.replace("effective_batch = 4", "effective_batch = 4\nlora_rank = 4\nmax_length = 128")
    with ray_clusters.machines() as cluster:
        machines = [cluster.add(), cluster.add()]
        runner = f'kind = "ray"\naddress = "{cluster.address}"'
        path = simulated_study.write_study(tmp_path / "study", text.replace('kind = "simulated"', runner))
        workspace = tmp_path / "night"
        process = Command("run", str(path), "--workspace", str(workspace))
        wait_for(1, workspace, process)
        cluster.kill(machines.pop())
        wait_for(3, workspace, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = outcomes(workspace)
        process = Command("resume", "--workspace", str(workspace))
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    after = outcomes(workspace)
    assert before.items() <= after.items(), "no finished probe was run again"
    assert len(after) > len(before)
    rows = read_results(workspace / "results.tsv")
    assert len(rows) == len(set(rows["id"])) > 1
    assert "CRASH" not in set(rows["status"])
