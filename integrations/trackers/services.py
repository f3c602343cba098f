"""How a session is logged to each tracker: one class for each, with the calls of ``TrackerSession``.

Each reads its location and its key from its own environment variables: TRACKIO_DIR, WANDB_MODE, MLFLOW_TRACKING_URI.
TensorBoard's files go to runs/tensorboard. The packages are imported here, when a session is reported to them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from integrations.trackers.session_run import ProbeRun
from view.data.session_record import SessionRecord
from view.markdown import table

TrackerTable = Sequence[Mapping[str, str | int | float | None]]
DECISIONS = "decisions"


class TrackerSession(Protocol):
    """A tracker, opened for one session. Any call may raise whatever its package raises."""

    def probe(self, run: ProbeRun) -> None:
        """A run of its own, in the group of the session."""

    def session(self, decisions: TrackerTable, totals: Mapping[str, float], report: Sequence[Path]) -> None:
        """The last call: a run for the session itself, with the decisions as a table and the files of the report."""


class Trackio:
    def __init__(self, record: SessionRecord) -> None:
        self._project, self._session = record.session.study, record.session.id

    def probe(self, run: ProbeRun) -> None:
        opened = self._open(run.name, {**run.config, "kind": run.kind})
        for step, figures in run.curve:
            opened.log(dict(figures), step=step)
        opened.log({**run.figures, "failed": float(run.kind != "reading")})  # trackio forgets a run without a figure
        opened.finish()

    def session(self, decisions: TrackerTable, totals: Mapping[str, float], report: Sequence[Path]) -> None:
        import pandas
        import trackio

        opened = self._open(f"session-{self._session}", {})
        opened.log({**totals, DECISIONS: trackio.Table(dataframe=pandas.DataFrame(list(decisions)))})
        for path in report:
            opened.log_artifact(path, name=f"{self._session}-{path.name}", type="report")
        opened.finish()

    def _open(self, name: str, config: Mapping[str, Any]) -> Any:
        import trackio

        return trackio.init(
            project=self._project,
            name=name,
            group=self._session,
            config=dict(config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )


class WeightsAndBiases:
    def __init__(self, record: SessionRecord) -> None:
        self._project, self._session = record.session.study, record.session.id
        self._folder = record.workspace.session(record.session.id)

    def probe(self, run: ProbeRun) -> None:
        opened = self._open(run.name, {**run.config, "kind": run.kind})
        for step, figures in run.curve:
            opened.log(dict(figures), step=step)
        opened.summary.update(dict(run.figures))
        opened.finish(exit_code=0 if run.kind == "reading" else 1)

    def session(self, decisions: TrackerTable, totals: Mapping[str, float], report: Sequence[Path]) -> None:
        import wandb

        opened = self._open(f"session-{self._session}", {})
        columns = list(decisions[0]) if decisions else []
        rows = [[None if row[name] is None else str(row[name]) for name in columns] for row in decisions]
        opened.log({DECISIONS: wandb.Table(columns=columns, data=rows), **totals})
        if report:
            artifact = wandb.Artifact(f"report-{self._session}", "report")
            for path in report:
                artifact.add_file(str(path))
            opened.log_artifact(artifact)
        opened.finish()

    def _open(self, name: str, config: Mapping[str, Any]) -> Any:
        import wandb

        return wandb.init(
            project=self._project,
            group=self._session,
            name=name,
            id=f"{self._session}-{name}",
            resume="allow",
            config=dict(config),
            dir=self._folder,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )


class MLflow:
    """The session is the parent run of its probes."""

    def __init__(self, record: SessionRecord) -> None:
        from mlflow import MlflowClient

        self._client, session = MlflowClient(), record.session
        found = self._client.get_experiment_by_name(session.study)
        self._experiment = found.experiment_id if found else self._client.create_experiment(session.study)
        same = f"attributes.run_name = 'session-{session.id}'"
        before = self._client.search_runs([self._experiment], same)
        self._parent = before[0].info.run_id if before else self._run(f"session-{session.id}", {})

    def probe(self, run: ProbeRun) -> None:
        name = self._run(run.name, {"mlflow.parentRunId": self._parent, "group": run.group, "kind": run.kind})
        for key, value in run.config.items():
            self._client.log_param(name, key, value)
        for step, figures in run.curve:
            self._log(name, figures, step)
        self._log(name, run.figures, 0)
        self._client.set_terminated(name, "FINISHED" if run.kind == "reading" else "FAILED")

    def session(self, decisions: TrackerTable, totals: Mapping[str, float], report: Sequence[Path]) -> None:
        self._log(self._parent, totals, 0)
        if decisions:
            columns = {name: [row[name] for row in decisions] for name in decisions[0]}
            self._client.log_dict(self._parent, {"columns": list(columns), "data": _rows(columns)}, f"{DECISIONS}.json")
        for path in report:
            self._client.log_artifact(self._parent, str(path), "report")
        self._client.set_terminated(self._parent, "FINISHED" if report else "KILLED")

    def _run(self, name: str, tags: Mapping[str, str]) -> str:
        return str(self._client.create_run(self._experiment, tags=dict(tags), run_name=name).info.run_id)

    def _log(self, run: str, figures: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        if figures:
            self._client.log_batch(run, metrics=[Metric(name, value, now, step) for name, value in figures.items()])


class TensorBoard:
    """Event files, written without TensorFlow and without torch."""

    def __init__(self, record: SessionRecord) -> None:
        self._folder = record.workspace.runs / "tensorboard" / record.session.id

    def probe(self, run: ProbeRun) -> None:
        scalars = [(step, name, value) for step, figures in run.curve for name, value in figures.items()]
        last = run.curve[-1][0] if run.curve else 0
        scalars += [(last, name, value) for name, value in run.figures.items()]
        self._write(run.name, scalars, {"recipe": _markdown([run.config])})

    def session(self, decisions: TrackerTable, totals: Mapping[str, float], report: Sequence[Path]) -> None:
        texts = {path.stem: path.read_text(encoding="utf-8") for path in report if path.suffix == ".md"}
        self._write("session", [(0, *one) for one in totals.items()], {DECISIONS: _markdown(decisions), **texts})

    def _write(self, name: str, scalars: Sequence[tuple[int, str, float]], texts: Mapping[str, str]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        writer = EventFileWriter(str(self._folder / name))
        for step, tag, value in scalars:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=step, wall_time=time.time(), summary=summary))
        for tag, text in texts.items():
            metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
            shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
            tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
            shown = Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)
            writer.add_event(Event(step=0, wall_time=time.time(), summary=Summary(value=[shown])))
        writer.close()


SERVICES: Mapping[str, Callable[[SessionRecord], TrackerSession]] = {
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "tensorboard": TensorBoard,
}


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns.values(), strict=True)]


def _markdown(rows: TrackerTable) -> str:
    """A table as TensorBoard's text page shows it."""
    if not rows:
        return ""
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return "\n".join(table(list(rows[0]), cells))
