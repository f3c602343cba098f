"""``nightlane run``, ``resume``, ``status``, ``report`` and ``explain``: sessions and what they decided."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, ReportTo, SessionId, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.parallel import one_thread
from common.printable import print_message
from common.systemd import started

if TYPE_CHECKING:
    from agent.loop.start_or_resume.session import Overrides
    from agent.loop.start_or_resume.starting_recipe import StartFrom
    from agent.workspace.folder import Workspace

commands = typer.Typer()

DecisionLimit = Annotated[int | None, typer.Option("--decisions", min=1, help="Propose at most so many changes.")]
Hours = Annotated[
    float | None, typer.Option("--hours", min=0.001, help="Stop after this many hours; a suspended machine costs none.")
]
Probes = Annotated[int | None, typer.Option("--probes", min=1, help="Stop after this many probes.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; default one per GPU, or one per core.")
]


@commands.command(epilog=example("run my-study/study.toml --hours 8"))
def run(
    study: StudyArgument,
    workspace: WorkspaceFolder = Path(),
    decisions: DecisionLimit = None,
    hours: Hours = None,
    probes: Probes = None,
    workers: Workers = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the proposers.")] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from the study's recipe, not from an earlier session's incumbent.")
    ] = False,
    from_incumbent: Annotated[
        bool,
        typer.Option("--from-incumbent", help="Start from the incumbent from before the study's data changed."),
    ] = False,
    as_json: AsJson = False,
    or_resume: Annotated[
        bool, typer.Option("--or-resume", help="Go on with the study's unfinished session, if there is one.")
    ] = False,
    report_to: ReportTo = None,
) -> None:
    """Run a session until its budget is spent, then write the report.

    A session proposes changes of the recipe, tests them in short training runs and keeps the confirmed ones. Prints the
    path of the report."""
    one_thread()
    from agent.loop.start_or_resume.session import Overrides, begin
    from integrations.notices.follow import notifying
    from integrations.trackers.reporting import reporting
    from view.terminal.live import watching

    if fresh and from_incumbent:
        raise BadInput(
            "--fresh starts from the study's recipe and --from-incumbent from another; leave one of them out"
        )
    start_from: StartFrom = "study" if fresh else "before" if from_incumbent else "usual"
    loaded = load(study)
    folder, overrides = workspace_at(workspace), Overrides(decisions, hours, workers, probes)
    if or_resume and (unfinished := _unfinished(study, folder)):
        _go_on(folder, unfinished, overrides, report_to, as_json)
        return
    started()
    with (
        on_interrupt(_interrupted(folder, begins=True)),
        watching() as watcher,
        notifying(loaded.name, loaded.file.notify, folder, watcher.note),
        reporting(report_to or (), folder, watcher.note),
    ):
        session = begin(loaded, folder, overrides, watcher, _write_report, seed=seed, start_from=start_from)
    _name_page(folder, session)
    print_result(_done(folder, session) if as_json else str(folder.session(session) / "report.md"))


@commands.command(epilog=example("resume"))
def resume(
    session: SessionId = None,
    workspace: WorkspaceFolder = Path(),
    decisions: DecisionLimit = None,
    hours: Hours = None,
    probes: Probes = None,
    workers: Workers = None,
    as_json: AsJson = False,
    report_to: ReportTo = None,
) -> None:
    """Continue an interrupted session.

    No decision is lost or made twice. Prints the path of the report."""
    one_thread()
    from agent.loop.start_or_resume.session import Overrides

    _go_on(workspace_at(workspace), session, Overrides(decisions, hours, workers, probes), report_to, as_json)


def _go_on(
    folder: "Workspace", session: str | None, overrides: "Overrides", report_to: list[str] | None, as_json: bool
) -> None:
    from agent.loop.start_or_resume.session import resume, study_to_resume
    from integrations.notices.follow import notifying
    from integrations.trackers.reporting import reporting
    from view.terminal.live import watching

    started()
    asked = study_to_resume(folder, session)
    with (
        on_interrupt(_interrupted(folder, begins=False)),
        watching() as watcher,
        notifying(asked.name, asked.file.notify, folder, watcher.note),
        reporting(report_to or (), folder, watcher.note),
    ):
        done = resume(folder, session, overrides, watcher, _write_report)
    _name_page(folder, done)
    print_result(_done(folder, done) if as_json else str(folder.session(done) / "report.md"))


@commands.command(epilog=example("status --json"))
def status(session: SessionId = None, workspace: WorkspaceFolder = Path(), as_json: AsJson = False) -> None:
    """Show a session's decisions so far, its incumbent recipe, the rest of its budget, and the probes in flight."""
    one_thread()
    from view.terminal.status import session_status, status_text

    found = session_status(workspace_at(workspace), session)
    print_result(found if as_json else status_text(found))


@commands.command(epilog=example("report 20261129-232334"))
def report(session: SessionId = None, workspace: WorkspaceFolder = Path(), as_json: AsJson = False) -> None:
    """Write a session's report again, as report.html and report.md, and print it.

    report.html is one file with charts and answers side by side; it opens in any browser, without a network. Also
    brings results.tsv and progress.log up to date with the ledger."""
    one_thread()
    from agent.ledger.results.files import catch_up
    from common.files import describe_file_error
    from view.data.session_record import load_record
    from view.report.report import report_data, report_markdown, write_report

    folder = workspace_at(workspace)
    record = load_record(folder, session)
    for message in catch_up(folder):
        print_message(f"nightlane: {message}")
    written: Path | None = None
    try:
        written = write_report(folder, record.session.id)
        _name_page(folder, record.session.id)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        reason = f"cannot hold the report ({describe_file_error(error)})"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "is not writable for you"
        print_message(f"nightlane: {folder.session(record.session.id)} {reason}, so the report is only printed")
    if as_json:
        print_result(report_data(record))
    else:
        print_result(written.read_text(encoding="utf-8") if written else report_markdown(record))


@commands.command(epilog=example("explain 007"))
def explain(
    asked: Annotated[
        list[str],
        typer.Argument(
            metavar="ID", help='The id in results.tsv; 007 and "stack 2" are of the latest session.', show_default=False
        ),
    ],
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show the figures behind a decision or a stack, and the thresholds that decided."""
    one_thread()
    from view.explain.explanation import explain, explain_data
    from view.explain.text import explain_text

    found = explain(workspace_at(workspace), "-".join(asked))
    print_result(explain_data(found) if as_json else explain_text(found))


def _done(workspace: "Workspace", session: str) -> dict[str, object]:
    """How a session ended, and where its report is."""
    from view.report.report import PAGE
    from view.terminal.status import session_status

    status, folder = session_status(workspace, session), workspace.session(session)
    names = ("session", "study", "state", "finish_reason", "decisions", "incumbent", "differences", "probes")
    files = {"report": "report.md", "page": PAGE, "recipe": "recipe.toml"}
    paths = {name: str(folder / file) if (folder / file).exists() else None for name, file in files.items()}
    return {**{name: status[name] for name in names}, **paths}


def _unfinished(study: Path, workspace: "Workspace") -> str | None:
    """The last session of this study that has not ended."""
    from agent.ledger.database.file import holds_sessions
    from agent.ledger.overview import LedgerOverview

    if not holds_sessions(workspace.ledger):
        return None
    with LedgerOverview(workspace.ledger, read_only=True) as ledger:
        rows = [row for row in ledger.session_rows() if not row.finished]
    own = [row.id for row in rows if (workspace.root / row.study_path).resolve() == study.resolve()]
    return own[-1] if own else None


def _interrupted(workspace: "Workspace", begins: bool) -> Callable[[], str]:
    """The message after Ctrl-C: how to resume, or that there is nothing to resume. ``begins``: the command starts a new
    session, which can be resumed once the ledger has it."""
    from agent.ledger.database.file import holds_sessions, session_ids

    before = session_ids(workspace.ledger) if begins else None

    def message() -> str:
        if not holds_sessions(workspace.ledger) or (before is not None and session_ids(workspace.ledger) == before):
            return "no session has begun yet, so nothing is lost; start again"
        return f"every decision so far is saved; continue with: {workspace.resume_command}"

    return message


def _name_page(workspace: "Workspace", session: str) -> None:
    """Print the path of report.html, unless it could not be written."""
    from view.report.report import PAGE

    page = workspace.session(session) / PAGE
    if page.exists():
        print_message(f"nightlane: the page is {page}")


def _write_report(workspace: "Workspace", session: str) -> Path:
    from view.report.report import write_report

    return write_report(workspace, session)
