"""Begins a session from a study, or resumes the last unfinished one of a workspace, and runs the loop to its end."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.ledger.database.file import lost_sessions, no_session_error
from agent.ledger.store import Ledger
from agent.ledger.tables import BAD_ROWS, CheckRow, SessionRow
from agent.loop.budget import judging_allowance, spent_by, with_overrides
from agent.loop.graph import run_loop
from agent.loop.judging.judge_monitor import JudgeMonitor
from agent.loop.measurements import Measurements
from agent.loop.nodes import BASELINE_FAILED, Session
from agent.loop.seeds import Seeds
from agent.loop.session_log import SessionLog, Watcher
from agent.loop.start_or_resume.baseline import FLOOR
from agent.loop.start_or_resume.starting_recipe import StartFrom, starting_recipe
from agent.policy.search_parts import SearchParts
from agent.proposers import Chain, choose
from agent.study.changes import changes_in_words
from agent.study.engine import runner_settings, why_not_packed
from agent.study.load import Study, load_study, recorded_study
from agent.study.material_check import check_study
from agent.study.power import require_power
from agent.study.schema import Budget
from agent.workspace.folder import Workspace
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import (
    BadInput,
    BaselineFailed,
    DiskFull,
    EndpointUnavailable,
    MissingRequirement,
    StudyChanged,
)
from common.files import set_aside, write_durably
from common.interrupts import Interrupted, interruptible, uninterrupted
from probes.endpoint.spending import Allowance
from probes.result.reading import ProbeKey
from probes.run import runners
from probes.run.protocol import Runner
from probes.run.store import ProbeStore

WriteReport = Callable[[Workspace, str], Path]


@dataclass(frozen=True)
class Overrides:
    """What the command line sets instead of the study's budget and runner."""

    decisions: int | None = None
    hours: float | None = None
    workers: int | None = None
    probes: int | None = None

    def or_else(self, earlier: Mapping[str, Any]) -> "Overrides":
        """These limits, completed by those of an earlier command."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return Overrides(**{name: given.get(name, earlier.get(name)) for name in vars(self)})


def begin(
    study: Study,
    workspace: Workspace,
    overrides: Overrides,
    watcher: Watcher,
    write_report: WriteReport,
    *,
    seed: int = 0,
    start_from: StartFrom = "usual",
    runner: Runner | None = None,
    proposers: Chain | None = None,
    parts: SearchParts | None = None,
) -> str:
    """Run a new session to its end; returns its id.

    ``seed``: of the proposers. ``start_from``: which recipe it starts from (starting_recipe.py). ``runner``,
    ``proposers``, ``parts``: replace those of the study and the usual parts of the search.
    """
    log = SessionLog(watcher)
    checked = check_study(study, log)
    study = checked.study
    require_power(study, workspace)
    proposers = proposers or choose(study.file.proposer, os.environ, log)
    if missing := lost_sessions(workspace.ledger):
        names = ", ".join(missing)
        log(f"{workspace.ledger} does not have {names}, although the folder exists; this session begins without it")
    with _opened(study, workspace, overrides, log, session_id=None, runner=runner) as opened:
        ledger = opened.ledger
        checked.require_unchanged()
        key = replace(opened.key, samples=ledger.chosen_samples(study.question) or opened.key.samples)
        start = starting_recipe(ledger, ProbeStore(workspace.runs), study, key, start_from, log)
        row = opened.new_row(key=key.digest, start=start.recipe.digest, seed=seed, limits=vars(overrides))
        ledger.begin(row, start.recipe, start.check(row.id), opened.judge_monitor.first_row(row.id))
        log.record_in(ledger, row.id)
        log(f"BEGIN study {study.name}, {proposers.description}")
        opened.log_runner_and_bad_rows()
        with _resumable(workspace):
            _run(replace(opened.session(row, key, proposers, write_report), parts=parts or SearchParts()))
    return row.id


def resume(
    workspace: Workspace, session_id: str | None, overrides: Overrides, watcher: Watcher, write_report: WriteReport
) -> str:
    """Continue an unfinished session and run it to its end; returns its id."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row = _unfinished(ledger, workspace, session_id)
        left_out_before = {check.subject: check.data.get("gaps", []) for check in ledger.checks(row.id, BAD_ROWS)}
    log = SessionLog(watcher)
    study = check_study(_study_of(row, workspace), log, left_out_before).study
    overrides = overrides.or_else(row.limits)
    proposers = choose(study.file.proposer, os.environ, log)
    with _resumable(workspace), _opened(study, workspace, overrides, log, row.id) as opened:
        ledger = opened.ledger
        key = replace(opened.key, samples=_chosen_samples(ledger, row.id) or opened.key.samples)
        if ended := opened.judge_monitor.ended_epoch(ledger, row.id):
            log.record_in(ledger, row.id)
            opened.session(row, key, proposers, write_report).close(ended)
            return row.id
        if key.digest != row.key:
            began = ProbeStore(workspace.runs).key(row.key)
            differences = began.differences(key) if began else "the model, data, prompts, scorer or software differs"
            raise StudyChanged(
                f"a session goes on under the probe key that it began with, and since {row.id} began {differences}; "
                f"put back what changed and resume, or begin a new session"
            )
        log.record_in(ledger, row.id)
        ledger.set_limits(row.id, vars(overrides))
        log(f"RESUME {proposers.description}")
        opened.log_runner_and_bad_rows()
        _run(opened.session(row, key, proposers, write_report))
    return row.id


def study_to_resume(workspace: Workspace, session_id: str | None) -> Study:
    """The study of the session that ``resume`` would continue, as its file is now."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return _study_of(_unfinished(ledger, workspace, session_id), workspace)


@contextmanager
def _resumable(workspace: Workspace) -> Iterator[None]:
    """Add the command that resumes the session to an error that leaves it unfinished."""
    try:
        with full_disk_reported(workspace):
            yield
    except (DiskFull, EndpointUnavailable, MissingRequirement) as error:
        raise type(error)(f"{error}; then go on with: {workspace.resume_command}") from None


@dataclass(frozen=True)
class _OpenSession:
    """What a session needs while it runs. ``key``: the probe key that the study's files give now."""

    study: Study
    workspace: Workspace
    budget: Budget
    log: SessionLog
    session_id: str
    ledger: Ledger
    runner: Runner
    key: ProbeKey
    judge_monitor: JudgeMonitor

    def new_row(self, *, key: str, start: str, seed: int, limits: Mapping[str, Any]) -> SessionRow:
        """The row of a session that begins now. ``key``, ``start``: digests of the probe key and the first recipe."""
        return SessionRow(
            id=self.session_id,
            study=self.study.name,
            study_path=os.path.relpath(self.study.path, self.workspace.root),
            question=self.study.question,
            study_text=self.study.text,
            key=key,
            start=start,
            seed=seed,
            limits=limits,
            started=now(),
        )

    def session(self, row: SessionRow, key: ProbeKey, proposers: Chain, write_report: WriteReport) -> Session:
        measurements = Measurements(
            row=row,
            study=self.study,
            budget=self.budget,
            key=key,
            workspace=self.workspace,
            ledger=self.ledger,
            runner=self.runner,
            store=ProbeStore(self.workspace.runs),
            judge_monitor=self.judge_monitor,
            log=self.log,
            reserve=2 * self.study.file.policy.holdout_seeds,
        )
        seeds = Seeds(self.study.file.probe.seeds, self.ledger.sessions_before(row.id), row.seed)
        return Session(measurements, proposers, lambda session_id: write_report(self.workspace, session_id), seeds)

    def log_runner_and_bad_rows(self) -> None:
        """Log the runner, ignored columns and bad rows that are left out. The ledger gets the bad rows, too."""
        self.log(self.runner.about)
        if reason := why_not_packed(self.study):
            self.log(f"trained by TRL, not packed: {reason}")
        for name, source in self.study.material.read_sources.items():
            for note in source.notes:
                self.log(note)
            if source.bad:
                data = {"told": source.left_out, "gaps": source.gaps}
                check = CheckRow(session=self.session_id, kind=BAD_ROWS, subject=name, time=now(), data=data)
                self.ledger.record_checks(check)
                self.log(source.left_out)


@contextmanager
def _opened(
    study: Study,
    workspace: Workspace,
    overrides: Overrides,
    log: SessionLog,
    session_id: str | None,
    runner: Runner | None = None,
) -> Iterator[_OpenSession]:
    """Lock the workspace and start the workers. ``session_id``: the session to resume; None for a new one.

    The scorer of a new session is examined before any worker uses it, since the examination may begin a comparison
    epoch, which is part of the probe key.
    """
    budget = with_overrides(study.file.budget, vars(overrides))
    with workspace.held(), interruptible(), full_disk_reported(workspace), Ledger(workspace.ledger) as ledger:
        name = session_id or _new_id(ledger, workspace)

        def allowance() -> Allowance:
            return judging_allowance(budget, spent_by(ledger, name, budget, workspace), workspace, name)

        with JudgeMonitor.of(study, allowance, log, log.examining) as judge_monitor:
            if session_id is None:
                judge_monitor.begin()
            loads = study.file.runner.loads_models
            log.watcher.note("starting the workers, which load the base model" if loads else "the runner is simulated")
            with runner or open_runner(study, workspace, overrides.workers) as running:
                yield _OpenSession(
                    study=study,
                    workspace=workspace,
                    budget=budget,
                    log=log,
                    session_id=name,
                    ledger=ledger,
                    runner=running,
                    key=study.material.key(running.environment, running.base),
                    judge_monitor=judge_monitor,
                )


def _run(session: Session) -> None:
    """Run the loop to its end. BaselineFailed if the starting recipe cannot be measured."""
    measurements, workspace = session.measurements, session.measurements.workspace
    folder = workspace.session(session.row.id)
    _prepare_folder(workspace, folder, session.row.study_text)
    measurements.over_budget()
    measurements.publish()
    try:
        if unfit := session.examine_resumed():
            session.end(unfit)
        else:
            session.restore()
            run_loop(session, folder / "checkpoint.sqlite")
    except Interrupted as interrupt:
        with uninterrupted(), full_disk_reported(workspace):
            measurements.log(f"INTERRUPTED by {interrupt}")
            measurements.publish()
        raise
    finally:
        measurements.over_budget()  # counts the time until now
    ended = measurements.ledger.session(session.row.id)
    if ended is not None and (ended.finish_reason or "").startswith(BASELINE_FAILED):
        raise BaselineFailed(
            f"{ended.finish_reason}; change [recipe] in the study, or mend the machine, and begin again"
        )


def _prepare_folder(workspace: Workspace, folder: Path, study_text: str) -> None:
    """Create the session's folder with a copy of the study, and remove what killed writes left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in (*workspace.root.glob(".results.tsv.tmp"), *workspace.runs.glob(".*.tmp"), *folder.glob(".*.tmp")):
        leftover.unlink()
    if (folder / "study.toml").is_dir():
        set_aside(folder / "study.toml")
    write_durably(folder / "study.toml", study_text)


def open_runner(study: Study, workspace: Workspace, workers: int | None) -> Runner:
    settings = runner_settings(study)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    return runners.open_runner(study.material, settings, workspace.runs, study.start.quantization)


def _chosen_samples(ledger: Ledger, session_id: str) -> int | None:
    """The number of answers per prompt that a session chose; None if it has not chosen yet."""
    return next((int(check.data["samples"]) for check in ledger.checks(session_id, FLOOR)), None)


def _new_id(ledger: Ledger, workspace: Workspace) -> str:
    """An id that no session has, not even one whose ledger is gone. Two sessions may begin in the same second."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    existing = set(ledger.sessions())
    names = (stamp, *(f"{stamp}-{n}" for n in range(2, 10_000)))
    return next(name for name in names if name not in existing and not workspace.session(name).exists())


def _study_of(row: SessionRow, workspace: Workspace) -> Study:
    """The study of a session as its file is now; StudyChanged if decisions would depend on something else."""
    study = load_study(Path(os.path.normpath(workspace.root.absolute() / row.study_path)))
    if study.question != row.question:
        changes = changes_in_words(recorded_study(study.path, row.study_text), study)
        raise StudyChanged(
            f"{study.path} no longer asks what session {row.id} began with ({changes}; a copy is in "
            f"{workspace.session(row.id) / 'study.toml'}); put it back and resume, or begin a new session"
        )
    return study


def _unfinished(ledger: Ledger, workspace: Workspace, session_id: str | None) -> SessionRow:
    row = ledger.session(session_id or ledger.unfinished())
    if row is None and (known := ledger.sessions()):
        raise BadInput(f"{workspace.root} has no session {session_id!r}; it has {', '.join(known)}")
    if row is None or (row.finished and not session_id and lost_sessions(workspace.ledger)):
        raise no_session_error(workspace.ledger)
    if row.finished:
        raise BadInput(f"session {row.id} ended ({row.finish_reason}); begin a new one with nightlane run STUDY")
    return row
