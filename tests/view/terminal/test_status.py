"""nightlane status: running, interrupted, finished; the incumbent and the next command."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nights
import pytest

from agent.ledger.store import Ledger
from agent.loop.in_flight import FILE, InFlightFile
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.workspace.folder import Workspace
from common.wording import count
from probes.result.reading import Probe
from probes.run.protocol import Progress
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
    watcher, parts = nights.Silent(stop_at=batch), SearchParts(next_step=step)
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
    assert status["recipes"] == sum(len(wave.recipes) for wave in load_record(workspace, None).waves)
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


class Looking(nights.Silent):
    """Asks for the status at the second message of each of the first batches."""

    def __init__(self, workspace: Workspace, batches: int) -> None:
        super().__init__(stop_at=batches + 1)
        self.workspace, self.messages = workspace, 0
        self.statuses: list[dict[str, Any]] = []

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        super().measuring(title, probes)
        self.messages, self.title, self.probes = 0, title, probes

    def progress(self, progress: Progress) -> None:
        self.messages += 1
        if self.messages == 2:
            self.statuses.append(session_status(self.workspace, None))


def test_the_probes_in_flight_are_told_with_their_step_and_the_time_left(tmp_path: Path) -> None:
    workspace, study = Workspace(tmp_path / "workspace"), nights.study(tmp_path)
    watcher = Looking(workspace, batches=2)
    with pytest.raises(KeyboardInterrupt):
        begin(study, workspace, Overrides(), watcher, write_report)
    first, second = (status["running"] for status in watcher.statuses)
    assert (first["done"], first["waiting"], len(first["probes"])) == (0, len(study.file.probe.seeds) - 1, 1)
    [probe] = first["probes"]
    assert (probe["phase"], probe["step"], probe["steps"], probe["seed"]) == ("training", 4, 20, 42)
    assert (first["seconds_left"], probe["seconds_left"]) == (None, None), "no probe has ended"
    assert second["seconds_left"] == second["probes"][0]["seconds_left"] == 0, "they take 10 ms"
    lines = status_text(watcher.statuses[1]).splitlines()
    [line] = [line for line in lines if line.startswith("in flight ")]
    assert line.endswith(f"1 running, {second['waiting']} waiting, 0 done, about 0 s left")
    [probe] = second["probes"]
    told = f"worker 0, probe {probe['id']} seed {probe['seed']}: training, step 4 of 20, loss 3.000, about 0 s left"
    assert f"{'':15}{told}" in lines
    after = session_status(workspace, None)
    assert (after["state"], after["running"]) == ("interrupted", None)


def test_what_a_killed_process_left_in_flight_is_not_told_as_running(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=40, stop_after=0)
    record = load_record(workspace, None)
    found = Probe(record.start, record.baseline_readings[0].key, 7)
    file = InFlightFile(workspace.session(record.session.id))
    with file.batch("wave 1", [found]):
        left = (workspace.session(record.session.id) / FILE).read_text(encoding="utf-8")
        with workspace.held():
            assert session_status(workspace, None)["running"]["waiting"] == 1
        assert session_status(workspace, None)["running"] is None, "nobody holds the workspace"
    (workspace.session(record.session.id) / FILE).write_text(
        left.replace(f'"process": {os.getpid()}', f'"process": {os.getpid() + 1}'), encoding="utf-8"
    )
    with workspace.held():
        assert session_status(workspace, None)["running"] is None, "another process wrote it"


def test_the_cut_answers_of_the_start_and_of_the_incumbent_are_told_with_the_remedy(tmp_path: Path) -> None:
    workspace = nights.cutting(tmp_path)
    status = session_status(workspace, None)
    assert status["decisions"]["KEEP"] > 0
    start, incumbent = status["cut_answers"]["start"], status["cut_answers"]["incumbent"]
    assert (start["cut"], incumbent["cut"] * 4) == (0, incumbent["answers"])
    lines, limit = status_text(status).splitlines(), "max_new_tokens = 256"
    assert f"cut answers    0 of {start['answers']} answers (0.0 %) of the starting recipe at {limit}" in lines
    told = f"{incumbent['cut']} of {incumbent['answers']} answers (25.0 %) of the incumbent at {limit}"
    assert f"{'':15}{told}: their ends are missing, raise max_new_tokens under [probe]" in lines
    assert "cut answers" not in status_text(session_status(nights.night(tmp_path / "unknown", probes=5), None))


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
