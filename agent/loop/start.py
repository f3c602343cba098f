"""Opening a session: a new one from a study, or the last unfinished one of a workspace; then the loop to its end."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from agent.ledger.file import lost_sessions, no_session_error
from agent.ledger.store import Ledger
from agent.ledger.tables import BAD_ROWS, CheckRow, SessionRow
from agent.loop.budget import judging_allowance, spent_by, with_overrides
from agent.loop.graph import run_loop
from agent.loop.judge_monitor import JudgeMonitor
from agent.loop.measuring import Measuring, Watcher
from agent.loop.nodes import BASELINE_FAILED, Session
from agent.loop.seeds import Seeds
from agent.proposers import Chain, choose
from agent.study.load import Study, load_study
from agent.study.material_check import check_study
from agent.study.power import require_power
from agent.study.schema import Budget
from agent.workspace.folder import Interrupted, Workspace, full_disk_is_said, interruptible, uninterrupted
from common.clock import now
from common.errors import BadInput, BaselineFailed, StudyChanged
from common.files import set_aside, write_durably
from common.redaction import redacted
from lanes import Recipe
from probes.endpoint.spending import Allowance
from probes.inputs.settings import RunnerSettings
from probes.result.reading import ProbeKey
from probes.run import runners
from probes.run.protocol import Runner
from probes.run.store import ProbeStore

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
    runner: Runner | None = None,
    proposers: Chain | None = None,
) -> str:
    """Run a new session to its end; returns its id. ``fresh`` starts from the study's recipe, whatever stands.
    ``runner``, ``proposers``: instead of those that the study asks for."""
    note = _SessionLog(watcher)
    checked = check_study(study, note)
    study = checked.study
    require_power(study, workspace)
    proposers = proposers or choose(study.file.proposer, os.environ, note)
    if missing := lost_sessions(workspace.ledger):
        names = ", ".join(missing)
        note(f"{workspace.ledger} does not have {names}, although the folder exists; this session begins without it")
    with _open(workspace, study, overrides, note, None, runner) as opened:
        ledger, key = opened.ledger, opened.key
        checked.require_unchanged()
        key = replace(key, samples=ledger.chosen_samples(study.question) or key.samples)
        start = _start(ledger, study, key.digest, fresh, watcher)
        where = os.path.relpath(study.path, workspace.root)
        row = SessionRow(
            id=opened.session,
            study=study.name,
            study_path=where,
            question=study.question,
            study_text=study.text,
            key=key.digest,
            start=start.digest,
            seed=seed,
            limits=vars(overrides),
            started=now(),
        )
        ledger.begin(row, start)
        note.keep_in(ledger, row.id)
        opened.judge_monitor.record_first_examination(ledger, row.id)
        note(f"BEGIN study {study.name}, {proposers.says}")
        note(opened.runner.about)
        _note_bad_rows(study, ledger, row.id, note)
        _run(_session(row, key, study, workspace, opened, proposers, note, report))
    return row.id


def resume(
    workspace: Workspace, session_id: str | None, overrides: Overrides, watcher: Watcher, report: WriteReport
) -> str:
    """Take up an unfinished session where it stands and run it to its end; returns its id."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row = _unfinished(ledger, workspace, session_id)
        before = {one.subject: one.data.get("gaps", []) for one in ledger.checks(row.id, BAD_ROWS)}
    study = load_study(Path(os.path.normpath(workspace.root.absolute() / row.study_path)))
    if study.question != row.question:
        raise StudyChanged(
            f"{study.path} no longer asks what session {row.id} began with (a copy is in "
            f"{workspace.session(row.id) / 'study.toml'}); put it back and resume, or begin a new session"
        )
    note = _SessionLog(watcher)
    study = check_study(study, note, before).study
    given = Overrides(
        *(
            given if (given := getattr(overrides, name)) is not None else row.limits.get(name)
            for name in ("decisions", "hours", "workers")
        )
    )
    proposers = choose(study.file.proposer, os.environ, note)
    with _open(workspace, study, given, note, row.id) as opened:
        key = replace(opened.key, samples=_chosen_samples(opened.ledger, row.id) or opened.key.samples)
        if ended := opened.judge_monitor.ended_epoch(opened.ledger, row.id):
            note.keep_in(opened.ledger, row.id)
            _session(row, key, study, workspace, opened, proposers, note, report).close(ended)
            return row.id
        if key.digest != row.key:
            raise StudyChanged(
                f"the probe key of session {row.id} is {row.key} and the model, data, prompts, scorer or software "
                f"now make it {key.digest}; put back what changed and resume, or begin a new session"
            )
        note.keep_in(opened.ledger, row.id)
        opened.ledger.set_limits(row.id, vars(given))
        note(f"RESUME {proposers.says}")
        note(opened.runner.about)
        _note_bad_rows(study, opened.ledger, row.id, note)
        _run(_session(row, key, study, workspace, opened, proposers, note, report))
    return row.id


def _note_bad_rows(study: Study, ledger: Ledger, session: str, note: "_SessionLog") -> None:
    """To the watcher, and into the ledger for the report."""
    for name, source in study.material.read_sources.items():
        if source.bad:
            ledger.record_checks(
                CheckRow(
                    session=session,
                    kind=BAD_ROWS,
                    subject=name,
                    time=now(),
                    data={"told": source.left_out, "gaps": source.gaps},
                )
            )
            note(source.left_out)


@dataclass(frozen=True)
class _OpenSession:
    """What a session needs open: the ledger, the runner with its workers up, the probe key of what lies on disk, and
    the scorer's judge_monitor."""

    session: str
    budget: Budget
    ledger: Ledger
    runner: Runner
    key: ProbeKey
    judge_monitor: JudgeMonitor


@contextmanager
def _open(
    workspace: Workspace,
    study: Study,
    overrides: Overrides,
    note: "_SessionLog",
    session: str | None,
    given: Runner | None = None,
) -> Iterator[_OpenSession]:
    """For a new session (None) or one that is taken up. A new one's scorer is examined before a worker asks it
    anything: what it finds may begin a comparison epoch, which is in the probe key."""
    budget = with_overrides(study.file.budget, overrides.decisions, overrides.hours)
    with (
        workspace.held(),
        interruptible(),
        full_disk_is_said(workspace),
        Ledger(workspace.ledger) as ledger,
    ):
        name = session or _session_id(ledger, workspace)

        def allowance() -> Allowance:
            return judging_allowance(budget, spent_by(ledger, name, budget, workspace), workspace, name)

        with JudgeMonitor.of(study, allowance, note) as judge_monitor:
            if session is None:
                judge_monitor.begin()
            resident = study.file.runner.kind == "resident"
            note.watcher.note(
                "starting the workers, which load the base model" if resident else "the runner is simulated"
            )
            with given or open_runner(study, workspace, overrides.workers) as runner:
                key = study.material.key(runner.environment, runner.base)
                yield _OpenSession(name, budget, ledger, runner, key, judge_monitor)


def _session(
    row: SessionRow,
    key: ProbeKey,
    study: Study,
    workspace: Workspace,
    opened: _OpenSession,
    proposers: Chain,
    note: "_SessionLog",
    report: WriteReport,
) -> Session:
    measuring = Measuring(
        row,
        study,
        opened.budget,
        key,
        workspace,
        opened.ledger,
        opened.runner,
        ProbeStore(workspace.runs),
        opened.judge_monitor,
        note,
        reserve=2 * study.file.policy.holdout_seeds,
    )
    seeds = Seeds(study.file.probe.seeds, opened.ledger.sessions_before(row.id), row.seed)
    return Session(measuring, proposers, lambda session_id: report(workspace, session_id), seeds)


def _chosen_samples(ledger: Ledger, session: str) -> int | None:
    """Answers per prompt that a session settled on; None before it did."""
    return next((int(check.data["samples"]) for check in ledger.checks(session, "floor")), None)


def _run(session: Session) -> None:
    workspace = session.measuring.workspace
    folder = workspace.session(session.row.id)
    folder.mkdir(parents=True, exist_ok=True)
    for left in (*workspace.root.glob(".results.tsv.tmp"), *workspace.runs.glob(".*.tmp"), *folder.glob(".*.tmp")):
        left.unlink()  # of writes that a kill cut off
    if (folder / "study.toml").is_dir():
        set_aside(folder / "study.toml")
    write_durably(folder / "study.toml", session.row.study_text)
    session.measuring.over_budget()
    session.measuring.publish()
    try:
        if unfit := session.examine_resumed():
            session.end(unfit)
        else:
            run_loop(session, folder / "checkpoint.sqlite")
    except Interrupted as interrupt:
        with uninterrupted(), full_disk_is_said(session.measuring.workspace):
            session.measuring.note(f"INTERRUPTED by {interrupt}")
            session.measuring.publish()
        raise
    finally:
        session.measuring.over_budget()
    ended = session.measuring.ledger.session(session.row.id)
    if ended is not None and (ended.finish_reason or "").startswith(BASELINE_FAILED):
        raise BaselineFailed(
            f"{ended.finish_reason}; change [recipe] in the study, or mend the machine, and begin again"
        )


def open_runner(study: Study, workspace: Workspace, workers: int | None) -> Runner:
    settings: RunnerSettings = study.file.runner
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    return runners.open_runner(study.material, settings, workspace.runs, study.start.quantization)


def _start(ledger: Ledger, study: Study, key: str, fresh: bool, watcher: Watcher) -> Recipe:
    """What stood at the end of the last session under the same question and probe key, else the study's recipe."""
    standing = None if fresh else ledger.incumbent(study.question, key)
    if standing is None or standing == study.start.digest:
        return study.start
    watcher.note(f"starting from recipe {standing}, kept by an earlier session (--fresh starts from the study's own)")
    return ledger.recipe(standing)


def _session_id(ledger: Ledger, workspace: Workspace) -> str:
    """A name that no session has, not even one whose ledger is gone: a clock may come to the same second twice."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    taken = set(ledger.sessions())
    names = (stamp, *(f"{stamp}-{n}" for n in range(2, 10_000)))
    return next(name for name in names if name not in taken and not workspace.session(name).exists())


def _unfinished(ledger: Ledger, workspace: Workspace, session_id: str | None) -> SessionRow:
    row = ledger.session(session_id or ledger.unfinished())
    if row is None and (known := ledger.sessions()):
        raise BadInput(f"{workspace.root} has no session {session_id!r}; it has {', '.join(known)}")
    if row is None or (row.finished and not session_id and lost_sessions(workspace.ledger)):
        raise no_session_error(workspace.ledger)
    if row.finished:
        raise BadInput(f"session {row.id} ended ({row.finish_reason}); begin a new one with nightlane run STUDY")
    return row


class _SessionLog:
    """Notes go to the watcher and, once there is a session in the ledger, to its lines of the progress log."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.waiting: list[str] = []
        self.write: Callable[[str], None] = self.waiting.append

    def keep_in(self, ledger: Ledger, session_id: str) -> None:
        def write(text: str) -> None:
            ledger.record_event(f"{session_id}-{uuid.uuid4().hex}", session_id, now(), text)

        self.write = write
        for text in self.waiting:
            write(text)

    def __call__(self, text: str) -> None:
        text = redacted(text)
        self.watcher.note(text)
        self.write(text)
