"""The nightlane command. Heavy imports are inside the commands, so that --help answers at once.

Data goes to stdout, messages to stderr. Exit codes are those of lanes/errors.py.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lanes.errors import BadInput, NightlaneError

if TYPE_CHECKING:
    from agent.study import Study
    from agent.workspace import Workspace

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
pairs = typer.Typer(help="Look at, vote on, import and export the preference pairs.", no_args_is_help=True)
app.add_typer(pairs, name="pairs")

INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="The study.toml to run.")]
Root = Annotated[Path, typer.Option("--workspace", help="The folder that holds results.tsv and runs/.")]
Decisions = Annotated[int | None, typer.Option("--decisions", min=1, help="End after this many decisions.")]
Hours = Annotated[float | None, typer.Option("--hours", min=0.001, help="End after this many active hours.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes; default one per GPU or core.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Store = Annotated[str | None, typer.Option("--kind", help="preference, reward, dpo or orpo; default all.")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="Of a row, or its beginning.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; default the login name.")]
StudyOption = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Its probe and holdout prompts are kept out, now and from now on."),
]
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
    from agent.opening import Overrides, begin
    from view.terminal import watching

    loaded = _load(study)
    with _resumable(_at(workspace)), watching() as watcher:
        session = begin(loaded, _at(workspace), Overrides(decisions, hours, workers), seed, fresh, watcher, _report)
    _closing(_at(workspace), session)


@app.command()
def resume(
    session: SessionId = None,
    workspace: Root = Path(),
    decisions: Decisions = None,
    hours: Hours = None,
    workers: Workers = None,
) -> None:
    """Take up an interrupted session where it stands. Nothing decided is lost, nothing is decided twice."""
    from agent.opening import Overrides, resume
    from view.terminal import watching

    with _resumable(_at(workspace)), watching() as watcher:
        done = resume(_at(workspace), session, Overrides(decisions, hours, workers), watcher, _report)
    _closing(_at(workspace), done)


@app.command()
def status(session: SessionId = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Say what a session has done, what stands, and what is left of its budget."""
    from view.status import session_status, status_text

    found = session_status(_at(workspace), session)
    _print(found if as_json else status_text(found))


@app.command()
def report(session: SessionId = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Write the report of a session again and print it."""
    from view.report import report_data, report_markdown, write_report
    from view.session_record import load_record

    record = load_record(_at(workspace), session)
    write_report(_at(workspace), record.session.id)
    _print(report_data(record) if as_json else report_markdown(record))


@app.command()
def explain(
    decision: Annotated[str, typer.Argument(metavar="ID", help="As in results.tsv; of the latest session, 007.")],
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Say how a decision was come to, in figures, and what would have changed it."""
    from view.explain import explain, explain_data
    from view.explain_text import explain_text

    found = explain(_at(workspace), decision)
    _print(explain_data(found) if as_json else explain_text(found))


@app.command()
def check(study: StudyPath, workspace: Root = Path()) -> None:
    """Validate a study without training, and say what a probe will cost."""
    from agent.preflight import require_sight
    from view.cost import cost_text

    loaded = _load(study)
    loaded.check_material()
    require_sight(loaded, _at(workspace))
    _print(cost_text(loaded, _at(workspace)))


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> None:
    """Write a commented study with example data, ready to be checked and made your own."""
    from agent.template import write_template

    for path in write_template(directory):
        _print(str(path))


@app.command()
def doctor(workspace: Root = Path()) -> None:
    """Show what this machine offers: packages, devices, sandbox, endpoint, disk. Exit 6 when something is missing."""
    from agent.doctor import examine

    lines, healthy = examine(_at(workspace))
    _print("\n".join(lines))
    if not healthy:
        raise typer.Exit(6)


@app.command()
def evaluate(
    problems: Annotated[Path, typer.Option("--problems", metavar="FILE", help="HumanEval or MBPP rows: .jsonl, .gz.")],
    model: Annotated[str, typer.Option("--model", help="A folder or hub id; with an adapter, the side before.")] = "",
    revision: Annotated[str | None, typer.Option("--revision", help="Of a hub model: a commit, say.")] = None,
    quantization: Annotated[str, typer.Option("--quantization", help="none or nf4.")] = "none",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", metavar="DIR", help="A LoRA adapter to put on the model.")
    ] = None,
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="MODEL", help="Served at OPENAI_BASE_URL.")] = "",
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="FILE", help="Rows of task_id, completion.")
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
    from agent.evaluate import Request, evaluate
    from probes.evaluation.answering import Asking
    from probes.scoring.execution import ExecutionSettings
    from probes.settings import ModelSettings
    from view.evaluation import evaluation_data, evaluation_markdown, write_evaluation

    if quantization not in ("none", "nf4"):
        raise BadInput(f"--quantization {quantization!r} is none of none, nf4; give one of them")
    request = Request(
        problems, ModelSettings(path=model, revision=revision) if model else None, adapter, endpoint, samples, before,
        quantization, _numbers(seeds), Asking(number, temperature, tokens),
        ExecutionSettings(seconds=seconds, memory_mb=memory),
    )  # fmt: skip
    try:
        done, folder = evaluate(request, _at(workspace), lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        sys.stderr.write("nightlane: interrupted; what was answered and judged so far is in the folder named above\n")
        raise typer.Exit(INTERRUPTED) from None
    write_evaluation(folder, done)
    _print(evaluation_data(done) if as_json else evaluation_markdown(done))


@bench.command("sandbox")
def bench_sandbox(as_json: Json = False) -> None:
    """Attack the sandbox with hostile programs, and time it: what holds here, and what a program costs."""
    from bench.sandbox import main

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
    from bench.decisions.command import main

    raise typer.Exit(main(quick, as_json, landscapes, output))


@pairs.command("list")
def pairs_list(
    kind: Store = None,
    state: Annotated[str, typer.Option("--state", help="live, withdrawn or all.")] = "all",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The latest of each store; default 50, as JSON all.")
    ] = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """List the rows of the stores, as votes and withdrawals leave them."""
    from agent.pairs import kinds_of, listed, open_stores
    from view.pairs import list_data, list_text

    found = listed(open_stores(_at(workspace)), kinds_of(kind), state)
    _print(list_data(found, limit) if as_json else list_text(found, limit or 50))


@pairs.command("show")
def pairs_show(row: RowId, workspace: Root = Path(), as_json: Json = False) -> None:
    """Show one row: its prompt, its answers side by side, where they come from, what was said of it."""
    from agent.pairs import open_stores
    from view.pairs import pair_data, pair_text

    found = open_stores(_at(workspace)).find(row)
    _print(pair_data(found) if as_json else pair_text(found, _width()))


@pairs.command("vote")
def pairs_vote(
    row: RowId,
    choice: Annotated[str, typer.Argument(metavar="up|down|flip|drop|clear", help="clear takes your votes back.")],
    by: By = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Vote on a row: up or down is counted, flip swaps its sides, drop keeps it out of exports."""
    from agent.pairs import open_stores, vote
    from view.pairs import pair_data, vote_text

    found = vote(open_stores(_at(workspace)), row, choice, by)
    _print(pair_data(found) if as_json else vote_text(found))


@pairs.command("import")
def pairs_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".jsonl or .csv")],
    kind: Annotated[str, typer.Option("--kind", help="preference, reward, dpo, orpo or votes.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out instead of taking none.")] = False,
    origin: Annotated[
        str, typer.Option("--origin", help="sampled, human, reference or mechanical, of sides whose row does not say.")
    ] = "human",
    rejected_origin: Annotated[
        str | None, typer.Option("--rejected-origin", help="Of rejected sides, where it is another one.")
    ] = None,
    category: Annotated[str, typer.Option("--category", help="Of rows that do not say.")] = "imported",
    source: Annotated[str | None, typer.Option("--source", help="Of rows that do not say; default FILE.")] = None,
    by: By = None,
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Take pairs, rewards or votes from a file. Every bad row is named; taking a file twice changes nothing."""
    from agent.pairs import import_file, open_stores
    from preferences.imports import Defaults
    from preferences.provenance import origin_of
    from view.pairs import import_data, import_text

    origins = origin_of(origin), origin_of(rejected_origin or origin)
    defaults = Defaults(category, source or file.name, *origins)
    stores = open_stores(_at(workspace), study)
    done = import_file(stores, file, kind, defaults, by, skip_bad, lambda text: typer.echo(text, err=True))
    _print(import_data(done) if as_json else import_text(done))


@pairs.command("export")
def pairs_export(
    folder: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="A new or empty folder.")],
    kind: Annotated[str, typer.Option("--kind", help="preference, reward, dpo or orpo.")],
    form: Annotated[str, typer.Option("--format", help="jsonl or parquet.")] = "jsonl",
    downvoted: Annotated[bool, typer.Option("--downvoted", help="Also rows with more votes down than up.")] = False,
    licence: Annotated[str, typer.Option("--license", help="For the dataset card.")] = "unknown",
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Write a store as a dataset that TRL trains on, with a card. Prints where the data is."""
    from agent.pairs import open_stores
    from preferences.exports import export, format_of
    from preferences.rows import kind_of
    from view.pairs_card import export_data, write_card

    done = export(open_stores(_at(workspace), study), kind_of(kind), format_of(form), folder, downvoted)
    write_card(done, licence)
    _print(export_data(done) if as_json else str(done.file))


@pairs.command("audit")
def pairs_audit(kind: Store = None, study: StudyOption = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Say what the stores hold and whether it is fit to train on. Exit 2 where a row asks a probe or holdout prompt."""
    from agent.pairs import audits, kinds_of, open_stores
    from preferences.exports import require_clean
    from view.pairs_audit import audit_data, audit_markdown

    stores = open_stores(_at(workspace), study)
    found = audits(stores, kinds_of(kind))
    _print(audit_data(found) if as_json else audit_markdown(found, str(stores.folder)))
    for one in found:
        require_clean(one)


@pairs.command("certify")
def pairs_certify(
    contracts: Annotated[Path, typer.Option("--contracts", metavar="FILE", help="JSONL of prompt and contract.")],
    kind: Annotated[str, typer.Option("--kind", help="dpo or preference.")] = "dpo",
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Hold the chosen sides of a store to the eight layers of the code gate; what passes becomes an ORPO row."""
    from agent.certifying import certify_store
    from agent.pairs import open_stores
    from view.pairs_certify import certify_data, certify_text

    def say(done: int, total: int) -> None:
        typer.echo(f"certified or refused: {done} of {total}", err=True)

    done = certify_store(open_stores(_at(workspace), study), kind, contracts, say)
    _print(certify_data(done) if as_json else certify_text(done))


@pairs.command("review")
def pairs_review(
    kind: Annotated[str | None, typer.Option("--kind", help="Default: the first that nobody has looked at.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many to show.")] = 5,
    by: By = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Look at the rows of the lowest coverage or score, one by one, and say of each: good, bad, skip or quit."""
    from agent.pairs import open_stores, review
    from view.pairs import pair_text, review_data, review_text

    def ask() -> str | None:
        typer.echo("good, bad, skip or quit? ", nl=False, err=True)
        return sys.stdin.readline() or None

    done = review(
        open_stores(_at(workspace)), kind, rows, by,
        lambda one, place, of: typer.echo(pair_text(one, _width(), f"{place} of {of}"), err=as_json), ask,
    )  # fmt: skip
    _print(review_data(done) if as_json else review_text(done))


@contextmanager
def _resumable(workspace: "Workspace") -> Iterator[None]:
    """Ctrl-C says how to go on, once there is something to go on with."""
    try:
        yield
    except KeyboardInterrupt:
        go_on = "nothing was decided yet; start again"
        if workspace.ledger.exists():
            go_on = f"what was decided is on the disk. Go on with: {workspace.resume_command}"
        sys.stderr.write(f"nightlane: interrupted; {go_on}\n")
        raise typer.Exit(INTERRUPTED) from None


def _load(path: Path) -> "Study":
    """The study, with its lab's material made when it is used for the first time."""
    from agent.study import load_study

    study = load_study(path)
    if study.file.lab:
        from importlib import import_module

        from view.terminal import building

        with building(study.file.lab) as progress:
            import_module(f"labs.{study.file.lab}").build(path.parent / "build", progress)
    return study


def _at(workspace: Path) -> "Workspace":
    from agent.workspace import Workspace

    return Workspace(workspace)


def _report(workspace: "Workspace", session: str) -> Path:
    from view.report import write_report

    return write_report(workspace, session)


def _closing(workspace: "Workspace", session: str) -> None:
    """Where the report is: the one line of data a session prints."""
    _print(str(workspace.session(session) / "report.md"))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--seeds {text!r} must be whole numbers with commas between them; give 42,123,7 say") from None


def _width() -> int:
    """Columns of the terminal; COLUMNS, or 100, where there is none."""
    from shutil import get_terminal_size

    return get_terminal_size((100, 24)).columns


def _print(content: object) -> None:
    import json

    typer.echo(content if isinstance(content, str) else json.dumps(content, indent=2))


def main() -> None:
    """Entry point: a NightlaneError becomes its sentence and its exit code, Ctrl-C becomes 130."""
    try:
        code = app(standalone_mode=False) or 0
    except NightlaneError as error:
        sys.stderr.write(f"nightlane: {error}\n")
        code = error.exit_code
    except OSError as error:
        code = _unusable(error)
    except Exception as error:
        code = _usage(error)
    sys.exit(code)


def _unusable(error: OSError) -> int:
    """A file or folder of the user's that cannot be read or written; an error without a file is a defect of ours."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        sys.stderr.write(
            f"nightlane: the disk is full and {error.filename or 'a file'} cannot be written; free some space\n"
        )
        return 7
    if error.filename is None:
        raise error
    sys.stderr.write(
        f"nightlane: {error.filename} cannot be used ({error.strerror}); check the path and who may use it\n"
    )
    return 2


def _usage(error: Exception) -> int:
    """A wrong command line is told as one sentence; anything else is a defect and keeps its traceback."""
    show = getattr(error, "format_message", None)
    if show is None:
        raise error
    sys.stderr.write(f"nightlane: {show().rstrip('.')}; see nightlane --help\n")
    return 2


if __name__ == "__main__":
    main()
