"""The nightlane command. Heavy imports are inside the commands, so that --help answers at once.

Data goes to stdout, messages to stderr. Exit codes are those of common/errors.py.
"""

import errno
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, Root, at, show
from cli.pairs import pairs
from common.errors import BadInput, NightlaneError
from common.printable import tell
from common.threads import one_thread

if TYPE_CHECKING:
    from agent.study.schema import Study
    from agent.workspace.folder import Workspace

EPILOG = (
    "Exit codes: 0 done, 1 a defect of nightlane, 2 bad input, 3 workspace busy, 4 study changed, 5 endpoint "
    "unavailable, 6 requirement missing, 7 disk full, 8 starting recipe not measurable, 9 judge unfit, "
    "130 interrupted (resumable)."
)
app = typer.Typer(
    help="Search overnight for a better preference-tuning recipe, with KEEP decisions that survive the morning.",
    epilog=EPILOG, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

bench = typer.Typer(help="Measure how good nightlane is on this machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")
app.add_typer(pairs, name="pairs")

INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="The study.toml to run.")]
Decisions = Annotated[int | None, typer.Option("--decisions", min=1, help="End after this many decisions.")]
Hours = Annotated[float | None, typer.Option("--hours", min=0.001, help="End after this many active hours.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes; default one per GPU or core.")]
SessionId = Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Default: the latest.")]


@app.command()
def run(
    study: StudyPath,
    workspace: Root = Path(),
    decisions: Decisions = None,
    hours: Hours = None,
    workers: Workers = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the proposers.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start from the study's recipe, whatever stands.")] = False,
) -> None:
    """Run one session: propose, probe, compare, decide, until the budget ends; then write the report."""
    one_thread()
    from agent.loop.start import Overrides, begin
    from view.terminal.live import watching

    loaded = _load(study)
    with _resumable(at(workspace), begins=True), watching() as watcher:
        session = begin(loaded, at(workspace), Overrides(decisions, hours, workers), seed, fresh, watcher, _report)
    _closing(at(workspace), session)


@app.command()
def resume(
    session: SessionId = None,
    workspace: Root = Path(),
    decisions: Decisions = None,
    hours: Hours = None,
    workers: Workers = None,
) -> None:
    """Take up an interrupted session where it stands. Nothing decided is lost, nothing is decided twice."""
    one_thread()
    from agent.loop.start import Overrides, resume
    from view.terminal.live import watching

    with _resumable(at(workspace), begins=False), watching() as watcher:
        done = resume(at(workspace), session, Overrides(decisions, hours, workers), watcher, _report)
    _closing(at(workspace), done)


@app.command()
def status(session: SessionId = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Say what a session has done, what stands, and what is left of its budget."""
    one_thread()
    from view.terminal.status import session_status, status_text

    found = session_status(at(workspace), session)
    show(found if as_json else status_text(found))


@app.command()
def report(session: SessionId = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Write the report of a session again, where that may be written, and print it; and bring results.tsv and
    progress.log in step, where they lag behind."""
    one_thread()
    from agent.ledger.result_files import catch_up
    from view.data.session_record import load_record
    from view.report.report import report_data, report_markdown, write_report

    record = load_record(at(workspace), session)
    for told in catch_up(at(workspace)):
        tell(f"nightlane: {told}")
    try:
        write_report(at(workspace), record.session.id)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        folder = at(workspace).session(record.session.id)
        tell(f"nightlane: nothing in {folder} may be written by you, so the report is only printed")
    show(report_data(record) if as_json else report_markdown(record))


@app.command()
def explain(
    decision: Annotated[str, typer.Argument(metavar="ID", help="As in results.tsv; of the latest session, 007.")],
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Say how a decision was come to, in figures, and what would have changed it."""
    one_thread()
    from view.explain.explanation import explain, explain_data
    from view.explain.text import explain_text

    found = explain(at(workspace), decision)
    show(explain_data(found) if as_json else explain_text(found))


@app.command()
def check(
    study: StudyPath,
    workspace: Root = Path(),
    rows: Annotated[
        int, typer.Option("--show", metavar="N", min=0, help="Print N rows of each source as asked and as trained.")
    ] = 0,
) -> None:
    """Validate a study without training: its files, its model, and every row and prompt as the tokenizer renders it;
    and say what a probe will cost."""
    try:
        _check(study, at(workspace), rows)
    except KeyboardInterrupt:
        tell("nightlane: interrupted; the study was not checked to its end")
        raise typer.Exit(INTERRUPTED) from None


def _check(study: Path, workspace: "Workspace", rows: int) -> None:
    from agent.study.material_check import hold
    from agent.study.power import require_sight
    from view.data.cost import cost_text
    from view.terminal.live import rendering
    from view.terminal.rendered_rows import rendered_text, rows_text

    with rendering() as tell_progress:
        held = hold(_load(study), tell, tell=tell_progress)
    require_sight(held.study, workspace)
    show(cost_text(held.study, workspace))
    show(rendered_text(held))
    if rows:
        show(rows_text(held, rows))


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> None:
    """Write a commented study with example data, ready to be checked and made your own."""
    from cli.init import write_template

    for path in write_template(directory):
        show(str(path))


@app.command()
def doctor(
    workspace: Root = Path(),
    mend: Annotated[
        bool, typer.Option("--repair", help="Set aside what is damaged, and take over what can be read of it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what this machine offers, and whether every file of the workspace is whole: exit 2 when one is damaged, 6
    when the machine lacks something."""
    from agent.workspace.check import check, repair
    from cli.doctor import examine, files

    done = repair(at(workspace)) if mend else []
    found = check(at(workspace))
    lines, healthy = examine(at(workspace))
    if as_json:
        told = [{"what": one.what, "whole": one.whole, "says": one.says} for one in found]
        show({"machine": lines, "healthy": healthy, "files": told, "repaired": done})
    else:
        show("\n".join([*lines, *files(found), *(f"repaired {one}" for one in done)]))
    if not all(one.whole for one in found):
        raise typer.Exit(2)
    if not healthy:
        raise typer.Exit(6)


@app.command()
def evaluate(
    problems: Annotated[
        Path, typer.Option("--problems", metavar="FILE", help="HumanEval(+) or MBPP(+) rows: .jsonl, .gz.")
    ],
    model: Annotated[str, typer.Option("--model", help="A folder or hub id; with an adapter, the side before.")] = "",
    study: Annotated[
        Path | None, typer.Option("--study", metavar="FILE", help="Instead: [model] of a study, chat settings too.")
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Of a hub model: a commit, say.")] = None,
    quantization: Annotated[str, typer.Option("--quantization", help="none or nf4.")] = "none",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", metavar="DIR", help="A LoRA adapter to put on the model.")
    ] = None,
    below: Annotated[
        str | None, typer.Option("--model-adapter", metavar="DIR", help="As [model] adapter: on both sides.")
    ] = None,
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="MODEL", help="Served at OPENAI_BASE_URL.")] = "",
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="FILE", help="Of human-eval, evalplus, bigcode or lm-eval.")
    ] = None,
    before: Annotated[Path | None, typer.Option("--before", metavar="FILE", help="Samples to compare with.")] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Sampling seeds.")] = "42,123,7",
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Answers per problem and seed.")] = 1,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01, max=10)] = 0.2,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="At most, per answer.")] = 512,
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, max=60, help="Processor time per answer.")] = 3.0,
    memory: Annotated[int, typer.Option("--memory", min=96, max=1 << 20, help="MiB per answer.")] = 512,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Score a model, an adapter or samples on a file of problems: pass@k, and what fails and why."""
    from agent.workspace.folder import interruptible
    from evaluation.answering import Asking
    from evaluation.evaluate import Request, evaluate
    from finetune.manifest import require_whole
    from probes.inputs.settings import ModelSettings
    from probes.scoring.execution.scorer import ExecutionSettings
    from view.terminal.evaluation import evaluation_data, evaluation_markdown, write_evaluation

    if quantization not in ("none", "nf4"):
        raise BadInput(f"--quantization {quantization!r} is none of none, nf4; give one of them")
    if adapter is not None:
        require_whole(adapter)
    settings, folder = ModelSettings(path=model, revision=revision, adapter=below) if model else None, Path()
    if study is not None:
        given = {"--model": model, "--revision": revision, "--model-adapter": below, "--endpoint": endpoint}
        if twice := [name for name, value in {**given, "--samples": samples}.items() if value]:
            raise BadInput(f"--study says which model answers, and {twice[0]} was given as well; leave one of them out")
        asked = _load(study)
        settings, folder = asked.file.model, asked.material.folder
    elif below is not None and not model:
        raise BadInput("--model-adapter is a part of the base model; name that with --model")
    request = Request(
        problems, settings, adapter, endpoint, samples, before,
        quantization, _numbers(seeds), Asking(number, temperature, tokens),
        ExecutionSettings(seconds=seconds, memory_mb=memory), folder,
    )  # fmt: skip
    try:
        with interruptible():
            done, written = evaluate(request, at(workspace).runs, tell)
    except KeyboardInterrupt:
        tell("nightlane: interrupted; what was answered and judged so far is in the folder named above")
        raise typer.Exit(INTERRUPTED) from None
    write_evaluation(written, done)
    show(evaluation_data(done) if as_json else evaluation_markdown(done))


@app.command()
def finetune(
    study: StudyPath,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="A new or empty folder.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Instead of steps; default 3.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of training and order.")] = 42,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe.toml; default what stands.")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Also on exported pairs that nobody has looked at.")
    ] = False,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Train the recipe that stands at full length, on pairs that somebody looked at. Prints where the adapter is."""
    from agent.workspace.folder import interruptible, uninterrupted
    from agent.workspace.pair_stores import open_stores
    from cli.finetune import recipe_for
    from finetune.plan import Asked, plan
    from finetune.run import run
    from view.terminal.finetune import manifest_data, plan_text, training

    loaded = _load(study)
    chosen = recipe_for(loaded, at(workspace), recipe)
    asked = Asked(
        loaded.name, loaded.material, chosen.recipe, chosen.origin, output, seed, steps, epochs, unreviewed
    )  # fmt: skip
    planned = plan(asked, open_stores(at(workspace)))
    tell(plan_text(planned))
    with _all_or_none(output), interruptible(), training(planned.steps) as trained:

        def on_step(step: int, loss: float) -> None:
            with uninterrupted():
                trained(step, loss)

        done = run(planned, loaded.file.runner.threads, on_step)
    if done.combined:
        tell(f"it goes on top of {loaded.file.model.adapter}; {output / 'combined'} holds both, for the bare model")
    show(manifest_data(done) if as_json else str(output / "adapter"))


@bench.command("sandbox")
def bench_sandbox(as_json: Json = False) -> None:
    """Attack the sandbox with hostile programs, and time it: what holds here, and what a program costs."""
    from bench.sandbox.sandbox import main

    raise typer.Exit(main(as_json))


@bench.command("decisions")
def bench_decisions(
    quick: Annotated[bool, typer.Option("--quick", help="A few nights, in under two minutes.")] = False,
    as_json: Json = False,
    landscapes: Annotated[
        str | None, typer.Option("--landscapes", metavar="MODULE:NAME", help="Your own landscapes instead.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Also write decisions.md and decisions.json there.")
    ] = None,
) -> None:
    """Play simulated nights whose truth is known, with nightlane and its rivals: what is kept, and what should be."""
    one_thread()
    from bench.decisions.command import main

    raise typer.Exit(main(quick, as_json, landscapes, output))


@bench.command("faults")
def bench_faults(
    quick: Annotated[bool, typer.Option("--quick", help="A few of each, in two minutes.")] = False,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="At most; default 30, quick 2.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only kill, cut, full, error, damaged or real; default all.")
    ] = None,
    case: Annotated[int | None, typer.Option("--case", min=0, metavar="N", help="Only this one, of that kind.")] = None,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Also write faults.md and faults.json there.")
    ] = None,
) -> None:
    """Kill commands at system calls, cut the power, fill the disk, damage files: what is lost, doubled, different."""
    from bench.faults.command import main

    raise typer.Exit(main(quick, minutes, kind, case, as_json, output))


@bench.command("soak")
def bench_soak(
    quick: Annotated[bool, typer.Option("--quick", help="A short one, in under two minutes.")] = False,
    as_json: Json = False,
) -> None:
    """Decide thousands of times in one workspace: what a decision costs at the start and at the end. Exit 1: a limit
    is missed."""
    one_thread()
    from bench.speed.soak import main

    raise typer.Exit(main(quick, as_json))


@contextmanager
def _resumable(workspace: "Workspace", begins: bool) -> Iterator[None]:
    """Ctrl-C says how to go on, once there is something to go on with. ``begins``: a new session, which is there to go
    on with when the ledger has it."""
    from agent.ledger.file import holds_sessions, session_ids

    before = session_ids(workspace.ledger) if begins else None
    try:
        yield
    except KeyboardInterrupt as interrupt:
        by = f" by {interrupt}" if str(interrupt) else ""
        go_on = f"what was decided is on the disk. Go on with: {workspace.resume_command}"
        if not holds_sessions(workspace.ledger) or (before is not None and session_ids(workspace.ledger) == before):
            go_on = "no session was begun yet, so nothing is lost; start again"
        tell(f"nightlane: interrupted{by}; {go_on}")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _all_or_none(output: Path) -> Iterator[None]:
    """Ctrl-C says what a full-length run leaves."""
    try:
        yield
    except KeyboardInterrupt:
        from finetune.manifest import is_complete

        left = "is no complete run, and none is taken up; begin again with a new --output"
        left = "was complete already" if is_complete(output) else left
        tell(f"nightlane: interrupted; what is in {output} {left}")
        raise typer.Exit(INTERRUPTED) from None


def _load(path: Path) -> "Study":
    """The study, with its lab's material made when it is used for the first time."""
    from agent.study.schema import load_study

    study = load_study(path)
    if study.file.lab:
        from importlib import import_module

        from view.terminal.live import building

        with building(study.file.lab) as progress:
            import_module(f"labs.{study.file.lab}").build(path.parent / "build", progress)
    return study


def _report(workspace: "Workspace", session: str) -> Path:
    from view.report.report import write_report

    return write_report(workspace, session)


def _closing(workspace: "Workspace", session: str) -> None:
    """Where the report is: the one line of data a session prints."""
    show(str(workspace.session(session) / "report.md"))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--seeds {text!r} must be whole numbers with commas between them; give 42,123,7 say") from None


def main() -> None:
    """Entry point: a NightlaneError becomes its sentence and its exit code, Ctrl-C becomes 130."""
    try:
        code = app(standalone_mode=False) or 0
    except NightlaneError as error:
        tell(f"nightlane: {error}")
        code = error.exit_code
    except OSError as error:
        code = _unusable(error)
    except sqlite3.DatabaseError as error:
        code = _damaged(error)
    except Exception as error:
        code = _usage(error)
    sys.exit(code)


def _unusable(error: OSError) -> int:
    """A file or folder of the user's that cannot be read or written; an error without a file is a defect of ours."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        tell(f"nightlane: the disk is full and {error.filename or 'a file'} cannot be written; free some space")
        return 7
    if error.errno == errno.EIO:
        tell(
            f"nightlane: the disk failed ({error.strerror}) at {error.filename or 'a file'}; look at it, then try again"
        )
        return 7
    if error.filename is None:
        return _defect(error)
    tell(f"nightlane: {error.filename} cannot be used ({error.strerror}); check the path and who may use it")
    return 2


def _damaged(error: sqlite3.DatabaseError) -> int:
    """A database that broke under a command; an error of ours in its use is a defect and keeps its traceback."""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
        raise error
    tell(
        f"nightlane: a database of the workspace cannot be used ({error}); nightlane doctor with the same --workspace "
        "says which, and what to do"
    )
    return 2


def _usage(error: Exception) -> int:
    """A wrong command line is told as one sentence; anything else is a defect and keeps its traceback."""
    show = getattr(error, "format_message", None)
    if show is None:
        return _defect(error)
    tell(f"nightlane: {show().rstrip('.')}; see nightlane --help")
    return 2


def _defect(error: Exception) -> int:
    """Ours, with its traceback, which may quote anybody."""
    tell("".join(traceback.format_exception(error)), end="")
    return 1


if __name__ == "__main__":
    main()
