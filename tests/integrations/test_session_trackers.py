"""Sessions in trackers: what each is told, that a resumed one is told nothing twice, and that none is ever in the way.

The trackers themselves write local files; a tracker that is not installed is skipped.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nights
import pytest

from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.workspace.folder import Workspace
from common.errors import BadInput
from integrations.trackers import reporting as reports
from integrations.trackers.reporting import reporting
from integrations.trackers.session_run import ProbeRun, decision_table
from view.data.session_record import SessionRecord, load_record
from view.report.report import write_report

TEXT = nights.variant(probes="20").replace("simulated_seconds = 0.01\n", "").replace("decisions = 8\n", "")


class Told:
    """A tracker that keeps what it is told."""

    def __init__(self, record: SessionRecord) -> None:
        self.runs: list[ProbeRun] = []
        self.ends: list[tuple[int, Mapping[str, float], list[str]]] = []
        opened.append(self)

    def probe(self, run: ProbeRun) -> None:
        self.runs.append(run)

    def session(self, decisions: Sequence[Any], totals: Mapping[str, float], report: Sequence[Path]) -> None:
        self.ends.append((len(decisions), totals, [path.name for path in report]))


opened: list[Told] = []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.follower.SECONDS", 0.05)
    opened.clear()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    monkeypatch.setattr(reports, "require_trackers", lambda names: None)
    monkeypatch.setattr(reports, "SERVICES", {"told": Told, "broken": broken})
    return opened


def broken(record: SessionRecord) -> Told:
    raise RuntimeError("no route to host")


def night(folder: Path, *names: str, said: list[str] | None = None, stop_at: int | None = None) -> Workspace:
    workspace, asked = Workspace(folder / "workspace"), nights.study(folder, TEXT, per_category=4)
    with reporting(names, workspace, (said if said is not None else []).append):
        begin(asked, workspace, Overrides(), nights.Silent(stop_at=stop_at), write_report)
    return workspace


def test_each_probe_is_a_run_and_the_end_has_decisions_and_report(tmp_path: Path, told: list[Told]) -> None:
    workspace = night(tmp_path, "told")
    record, [service] = load_record(workspace, None), told
    assert [run.name for run in service.runs] == [f"probe-{row.id}" for row in record.probes]
    assert {run.group for run in service.runs} == {record.session.id}
    one = service.runs[0]
    assert {"learning_rate", "beta", "curriculum", "seed", "recipe"} <= one.config.keys()
    assert {"score/overall", "score/lists", "score/arithmetic", "seconds", "tokens"} <= one.figures.keys()
    assert service.ends == [
        (len(record.decisions), service.ends[0][1], ["report.md", "report.html", "recipe.toml"]),
    ]
    assert service.ends[0][1]["probes"] == len(record.probes)
    assert {row["reason"] for row in decision_table(record)} == {row.reason for row in record.decisions}


def test_a_curve_is_told_by_step_without_what_is_not_finite(tmp_path: Path, told: list[Told]) -> None:
    from integrations.trackers.session_run import probe_run

    workspace = night(tmp_path, "told")
    record = load_record(workspace, None)
    rows = ['{"step": 1, "loss": 2.5, "text": "x"}', '{"step": 2, "loss": NaN, "grad_norm": 1}', "torn"]
    folder = record.store.directory(record.probes[0].id)
    (folder / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert probe_run(record, record.probes[0]).curve == ((1, {"train/loss": 2.5}), (2, {"train/grad_norm": 1.0}))


def test_a_resumed_session_tells_each_probe_once(tmp_path: Path, told: list[Told]) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(tmp_path, "told", stop_at=3)
    workspace = Workspace(tmp_path / "workspace")
    assert told[0].runs
    assert told[0].ends[0][2] == [], "there is no report yet"
    with reporting(("told",), workspace, print):
        resume(workspace, None, Overrides(), nights.Silent(), write_report)
    names = [run.name for service in told for run in service.runs]
    assert len(names) == len(set(names)) == len(load_record(workspace, None).probes)


def test_a_tracker_that_fails_is_told_once_and_the_night_goes_on(tmp_path: Path, told: list[Told]) -> None:
    said: list[str] = []
    workspace = night(tmp_path, "broken", "told", said=said)
    assert load_record(workspace, None).session.finished
    assert said == ["REPORT the tracker broken failed (no route to host), and the session continues without it"]
    assert said[0] in (workspace.runs / "progress.log").read_text(encoding="utf-8")
    assert told[0].ends, "the other tracker has everything"


def test_a_reading_whose_folder_is_not_whole_yet_is_told_later(tmp_path: Path, told: list[Told]) -> None:
    record = load_record(night(tmp_path, "told"), None)
    folder = record.store.directory(record.probes[0].id)
    (record.workspace.session(record.session.id) / reports.FILE).unlink()
    (folder / "outcome.json").rename(folder / "kept")
    running = replace(load_record(record.workspace, None), session=replace(record.session, finished=None))
    reporter = reports.Reporter(["told"], record.workspace, print)
    reporter.follow(running)
    assert [run.name for run in told[-1].runs] == [f"probe-{row.id}" for row in record.probes[1:]]
    (folder / "kept").rename(folder / "outcome.json")
    reporter.follow(load_record(record.workspace, None))
    assert told[-1].runs[-1].name == folder.name


def test_an_unknown_tracker_is_refused_before_the_night(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'comet' of --report-to is an unknown tracker; give one of trackio"):
        night(tmp_path, "comet")
    assert not (tmp_path / "workspace" / "runs").exists()


def recorded(folder: Path, name: str) -> tuple[SessionRecord, Callable[[str], Any]]:
    """A night that was reported to a real tracker, and its scores by probe."""
    said: list[str] = []
    record = load_record(night(folder, name, said=said), None)
    assert said == []
    return record, lambda probe: record.outcomes[probe].mean("overall")  # type: ignore[union-attr]


def test_tensorboard_has_a_run_for_each_probe_and_the_decisions(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record, score = recorded(tmp_path, "tensorboard")
    folder = record.workspace.runs / "tensorboard" / record.session.id
    assert len([path for path in folder.iterdir() if path.name != "session"]) == len(record.probes)
    for row in record.probes[:3]:
        found = EventAccumulator(str(folder / f"probe-{row.id}"))
        found.Reload()
        assert found.Scalars("score/overall")[0].value == pytest.approx(score(row.id))
    session = EventAccumulator(str(folder / "session"))
    session.Reload()
    assert session.Scalars("probes")[0].value == len(record.probes)
    [table] = session.Tensors("decisions/text_summary")
    text = table.tensor_proto.string_val[0].decode()
    assert text.count("\n") == len(record.decisions) + 1
    assert "report/text_summary" in session.Tags()["tensors"]


def test_mlflow_has_the_probes_as_children_and_the_report_as_an_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    record, score = recorded(tmp_path, "mlflow")
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("simulated")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop(f"session-{record.session.id}")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["probes"] == len(record.probes)
    assert runs.keys() == {f"probe-{row.id}" for row in record.probes}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    for row in record.probes[:3]:
        found = runs[f"probe-{row.id}"]
        assert found.data.metrics["score/overall"] == pytest.approx(score(row.id))
        assert found.data.params["seed"] == str(row.seed)
    files = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    assert files == {"report/report.md", "report/report.html", "report/recipe.toml"}
    local = client.download_artifacts(parent.info.run_id, "decisions.json", str(tmp_path))
    assert len(json.loads(Path(local).read_text(encoding="utf-8"))["data"]) == len(record.decisions)


def test_trackio_has_the_runs_in_the_session_s_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    record, score = recorded(tmp_path, "trackio")
    runs = {run.name: run for run in trackio.Api().runs("simulated")}
    assert runs.keys() == {f"session-{record.session.id}", *(f"probe-{row.id}" for row in record.probes)}
    one = record.probes[0]
    found = runs[f"probe-{one.id}"]
    assert found.config["seed"] == one.seed
    assert found.config["_Group"] == record.session.id
    from trackio.sqlite_storage import SQLiteStorage

    logs = SQLiteStorage.get_logs("simulated", found.name)
    assert [row["score/overall"] for row in logs if "score/overall" in row] == [score(one.id)]
    folder = record.workspace.session(record.session.id)
    report = hashlib.sha256((folder / "report.md").read_bytes()).hexdigest()
    assert [path for path in (tmp_path / "trackio" / "artifacts").rglob(report)], "the report is an artifact"


def test_wandb_writes_an_offline_run_for_each_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    record, _ = recorded(tmp_path, "wandb")
    folder = record.workspace.session(record.session.id) / "wandb"
    assert len(list(folder.glob("offline-run-*"))) == len(record.probes) + 1
    with Ledger(record.workspace.ledger, read_only=True) as ledger:
        assert not [text for _, _, text in ledger.events() if text.startswith("REPORT")]
