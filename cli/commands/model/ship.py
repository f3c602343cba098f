"""``nightlane ship``: takes a study all the way from a session to a checked export."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from cli.commands.model.export import Form, form_of
from cli.commands.model.finetune import Epochs, Processes, Steps, Unreviewed
from cli.commands.session.run import Hours, Probes
from cli.commands.study import load
from cli.options import AsJson, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.interrupts import ENDED_BY
from common.optional_dependencies import require_extra
from common.printable import print_message

if TYPE_CHECKING:
    from agent.ledger.tables import SessionRow
    from agent.study.load import Study
    from agent.workspace.folder import Workspace

commands = typer.Typer()

KILLED = 128
"""The exit code after a signal is this plus the signal's number, as in a shell."""


@commands.command(epilog=example("ship my-study/study.toml"))
def ship(
    study: StudyArgument,
    workspace: WorkspaceFolder = Path(),
    hours: Hours = None,
    probes: Probes = None,
    steps: Steps = None,
    epochs: Epochs = None,
    processes: Processes = None,
    to: Form = "adapter",
    unreviewed: Unreviewed = False,
    as_json: AsJson = False,
) -> None:
    """Take a study all the way: run, finetune, promote and export, one after the other.

    A step that fails ends it with that step's exit code. The same command goes on where it stopped: a finished session
    is not repeated, and complete full-length runs and exports are used again. Prints where everything is."""
    if form_of(to) == "gguf":
        require_extra("gguf", "a GGUF adapter")
    loaded, place = load(study), workspace_at(workspace)
    at, allowed = _given({"--workspace": workspace}), ["--unreviewed"] if unreviewed else []
    session = _session(loaded, place)
    if session is None or not session.finished:
        begin = ["resume", session.id] if session else ["run", str(study)]
        run_step([*begin, *at, *_given({"--hours": hours, "--probes": probes})])
        session = _session(loaded, place)
    length, together = _given({"--steps": steps, "--epochs": epochs}), _given({"--processes": processes})
    adapter = Path(run_step(["finetune", str(study), *at, *length, *together, *allowed]).strip())
    trained = _json(adapter.parent / "finetune.json")
    same_length = ["--steps", str(trained["steps"])]  # so that the promotion uses that run, too
    promotion = json.loads(run_step(["promote", str(study), *at, *same_length, *together, *allowed, "--json"]))
    found = {
        "session": str(place.session(session.id) / "report.md") if session else "",
        "adapter": str(adapter),
        "promotion": str(place.runs / f"promotion-{promotion['promotion']}" / "report.md"),
        "decision": f"{promotion['status']} ({promotion['reason']})",
        "export": str(_exported(study, place, adapter.parent, to)),
    }
    print_result(found if as_json else "\n".join(f"{name:<10} {value}" for name, value in found.items()))


def _session(study: "Study", workspace: "Workspace") -> "SessionRow | None":
    """The newest session under the study's question."""
    from agent.ledger.database.file import holds_sessions
    from agent.ledger.store import Ledger
    from cli.recipe_choice import newest_session

    if not holds_sessions(workspace.ledger):
        return None
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return newest_session(ledger, study.question)


def _exported(study: Path, workspace: "Workspace", run: Path, to: str) -> Path:
    """The export of a full-length run: the one that is there, or one that is made now."""
    from evaluation.results import altered_files
    from finetune.export import RECORD

    folder = workspace.runs / f"export-{run.name.removeprefix('finetune-')}-{to}"
    if (folder / RECORD).exists():
        if altered := ", ".join(altered_files(folder, RECORD)):
            raise BadInput(
                f"an export is used again only as it was written and {altered} in {folder} changed; remove the folder, "
                "and the same command exports again"
            )
        print_message(f"nightlane: {folder} is used again")
    else:
        at = ["--workspace", str(workspace.root), "--study", str(study), "--output", str(folder)]
        run_step(["export", str(run), "--to", to, *at])
    return folder


def _given(options: dict[str, Any]) -> list[str]:
    """The options that have a value, as a command line has them."""
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def run_step(arguments: Sequence[str]) -> str:
    """Run ``nightlane ARGUMENTS``, and return what it printed as its result. Its messages go to the terminal.

    typer.Exit with its exit code if it fails.
    """
    print_message(f"nightlane: next is nightlane {shlex.join(arguments)}")
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        process_group=0,  # a terminal would send Ctrl-C to it, too, and it is forwarded already
    )
    with _forwarding(process):
        result, _ = process.communicate()
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        print_message(f"nightlane: nightlane {arguments[0]} was ended by {name}; run the same command again to go on")
        raise typer.Exit(KILLED - process.returncode)
    if process.returncode:
        raise typer.Exit(process.returncode)
    return result


@contextmanager
def _forwarding(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Forward Ctrl-C, SIGTERM and SIGHUP to the process, which ends where nothing is half written."""

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    handled = [number for number in ENDED_BY if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
