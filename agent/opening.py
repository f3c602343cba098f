"""Opening a session: a new one from a study, or the last unfinished one of a workspace; then the loop to its end."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.budget import limits
from agent.followers import publish
from agent.graph import run_loop
from agent.ledger import Ledger, SessionRow
from agent.preflight import require_sight
from agent.proposers import Chain, choose
from agent.rows import now
from agent.session import BASELINE_FAILED, Session, Watcher
from agent.study import Study, load_study
from agent.workspace import Workspace, full_disk_is_said, interruptible
from lanes import Recipe
from lanes.errors import BadInput, BaselineFailed, StudyChanged
from probes.reading import ProbeKey
from probes.runner import Runner
from probes.settings import RunnerSettings
from probes.store import ProbeStore, write_durably

WriteReport = Callable[[Workspace, str], Path]


@dataclass(frozen=True)
class Overrides:
    """What the command line says over the study's budget and runner."""

    decisions: int | None = None
    hours: float | None = None
    workers: int | None = None


def begin(
    study: Study,
    workspace: Workspace,
    overrides: Overrides,
    seed: int,
    fresh: bool,
    watcher: Watcher,
    report: WriteReport,
) -> str:
    """Run a new session to its end; returns its id. ``fresh`` starts from the study's recipe, whatever stands."""
    study.check_material()
    require_sight(study, workspace)
    note = _Notes(watcher)
    proposers = choose(study.file.proposer, os.environ, note)
    with _open(workspace, study, overrides, watcher) as (ledger, runner, key):
        start = _start(ledger, study, key.digest, fresh, watcher)
        where = os.path.relpath(study.path, workspace.root)
        row = SessionRow(
            _session_id(ledger), study.name, where, study.question, study.text,
            key.digest, start.digest, seed, vars(overrides), now(),
        )  # fmt: skip
        ledger.begin(row, start)
        note.keep_in(ledger, row.id)
        note(f"BEGIN study {study.name}, {proposers.says}")
        note(runner.about)
        _run(_session(row, study, overrides, key, workspace, ledger, runner, proposers, watcher, report))
    return row.id


def resume(
    workspace: Workspace, session_id: str | None, overrides: Overrides, watcher: Watcher, report: WriteReport
) -> str:
    """Take up an unfinished session where it stands and run it to its end; returns its id."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row = _unfinished(ledger, workspace, session_id)
    study = load_study(Path(os.path.normpath(workspace.root.absolute() / row.study_path)))
    if study.question != row.question:
        raise StudyChanged(
            f"{study.path} no longer asks what session {row.id} began with (a copy is in "
            f"{workspace.session(row.id) / 'study.toml'}); put it back and resume, or begin a new session"
        )
    study.check_material()
    given = Overrides(
        *(
            given if (given := getattr(overrides, name)) is not None else row.limits.get(name)
            for name in ("decisions", "hours", "workers")
        )
    )
    note = _Notes(watcher)
    proposers = choose(study.file.proposer, os.environ, note)
    with _open(workspace, study, given, watcher) as (ledger, runner, key):
        if key.digest != row.key:
            raise StudyChanged(
                f"the probe key of session {row.id} is {row.key} and the model, data, prompts, scorer or software "
                f"now make it {key.digest}; put back what changed and resume, or begin a new session"
            )
        note.keep_in(ledger, row.id)
        ledger.set_limits(row.id, vars(given))
        note(f"RESUME {proposers.says}")
        note(runner.about)
        _run(_session(row, study, given, key, workspace, ledger, runner, proposers, watcher, report))
    return row.id


@contextmanager
def _open(
    workspace: Workspace, study: Study, overrides: Overrides, watcher: Watcher
) -> Iterator[tuple[Ledger, Runner, ProbeKey]]:
    """The workspace held, its ledger, the runner with its workers up, and the probe key of what lies on disk."""
    with (
        workspace.held(),
        interruptible(),
        full_disk_is_said(workspace),
        Ledger(workspace.ledger) as ledger,
    ):
        resident = study.file.runner.kind == "resident"
        watcher.note("starting the workers, which load the base model" if resident else "the runner is simulated")
        with open_runner(study, workspace, overrides.workers) as runner:
            yield ledger, runner, study.material.key(runner.environment, runner.base)


def _session(
    row: SessionRow,
    study: Study,
    overrides: Overrides,
    key: ProbeKey,
    workspace: Workspace,
    ledger: Ledger,
    runner: Runner,
    proposers: Chain,
    watcher: Watcher,
    report: WriteReport,
) -> Session:
    budget = limits(study.file.budget, overrides.decisions, overrides.hours)
    store = ProbeStore(workspace.runs)
    return Session(
        row, study, budget, key, workspace, ledger, runner, store, proposers, watcher,
        lambda session_id: report(workspace, session_id),
    )  # fmt: skip


def _run(session: Session) -> None:
    folder = session.workspace.session(session.row.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "study.toml", session.row.study_text)
    session.over_budget()
    publish(session.ledger, session.workspace.root)
    try:
        run_loop(session, folder / "checkpoint.sqlite")
    finally:
        session.over_budget()
    ended = session.ledger.session(session.row.id)
    if ended is not None and (ended.finish_reason or "").startswith(BASELINE_FAILED):
        raise BaselineFailed(
            f"{ended.finish_reason}; change [recipe] in the study, or mend the machine, and begin again"
        )


def open_runner(study: Study, workspace: Workspace, workers: int | None) -> Runner:
    settings: RunnerSettings = study.file.runner
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    if settings.kind == "simulated":
        from probes.simulated import SimulatedRunner

        return SimulatedRunner(study.material, ProbeStore(workspace.runs), settings.simulated_seconds)
    from probes.resident import ResidentRunner

    return ResidentRunner(study.material, settings, workspace.runs, study.start.quantization)


def _start(ledger: Ledger, study: Study, key: str, fresh: bool, watcher: Watcher) -> Recipe:
    """What stood at the end of the last session under the same question and probe key, else the study's recipe."""
    standing = None if fresh else ledger.standing(study.question, key)
    if standing is None or standing == study.start.digest:
        return study.start
    watcher.note(f"starting from recipe {standing}, kept by an earlier session (--fresh starts from the study's own)")
    return ledger.recipe(standing)


def _session_id(ledger: Ledger) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    taken = set(ledger.sessions())
    return next(name for name in [stamp, *(f"{stamp}-{n}" for n in range(2, 10_000))] if name not in taken)


def _unfinished(ledger: Ledger, workspace: Workspace, session_id: str | None) -> SessionRow:
    if session_id:
        row = ledger.session(session_id)
        if row is None:
            raise BadInput(f"{workspace.root} has no session {session_id!r}; it has {', '.join(ledger.sessions())}")
    else:
        open_ones = [s for name in ledger.sessions() if (s := ledger.session(name)) and s.finished is None]
        row = open_ones[-1] if open_ones else ledger.session()
    if row is None:
        raise BadInput(f"{workspace.root} holds no session; begin one with nightlane run STUDY")
    if row.finished:
        raise BadInput(f"session {row.id} ended ({row.finish_reason}); begin a new one with nightlane run STUDY")
    return row


class _Notes:
    """Notes go to the watcher and, once there is a session in the ledger, to its lines of the progress log."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.waiting: list[str] = []
        self.write: Callable[[str], None] = self.waiting.append

    def keep_in(self, ledger: Ledger, session_id: str) -> None:
        def write(text: str) -> None:
            ledger.note(f"{session_id}-{uuid.uuid4().hex}", session_id, now(), text)

        self.write = write
        for text in self.waiting:
            write(text)

    def __call__(self, text: str) -> None:
        self.watcher.note(text)
        self.write(text)
