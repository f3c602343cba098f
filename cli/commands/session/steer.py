"""``nightlane pause``, ``continue``, ``stop``, ``skip``, ``propose``, ``note`` and ``budget``: a person steers a
session that runs in another terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at
from common.printable import print_message

if TYPE_CHECKING:
    from agent.ledger.requests import RequestKind
    from agent.steering.requests import CheckRequest

commands = typer.Typer()
BEFORE_A_BATCH = "taken before the next batch of probes"
BETWEEN_ROUNDS = "taken when the present wave or stack is measured"


@commands.command(epilog=example("pause"))
def pause(workspace: WorkspaceFolder = Path(), as_json: AsJson = False) -> None:
    """Pause the session before its next batch of probes.

    The wave or the pairs that are being measured are finished first. A pause costs no hours of the budget. The workers
    keep the base model in memory; Ctrl-C and later nightlane resume free it."""
    _ask(workspace, "pause", None, BEFORE_A_BATCH, as_json)


@commands.command("continue", epilog=example("continue"))
def go_on(workspace: WorkspaceFolder = Path(), as_json: AsJson = False) -> None:
    """Go on after nightlane pause, or take back a nightlane stop that has not ended the session yet."""
    _ask(workspace, "continue", None, BEFORE_A_BATCH, as_json)


@commands.command(epilog=example("stop --after-round"))
def stop(
    workspace: WorkspaceFolder = Path(),
    after_round: Annotated[
        bool,
        typer.Option("--after-round", help="First finish the present wave or stack, and the checks at the end."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End the session before its next batch of probes, with its report.

    A stack that is being confirmed is then left unconfirmed, and KEEPs are not re-tested, unless --after-round is
    given."""
    from agent.steering.requests import stop

    _ask(workspace, "stop", stop(after_round), BEFORE_A_BATCH, as_json)


@commands.command(epilog=example("skip 007"))
def skip(
    proposal: Annotated[str, typer.Argument(metavar="ID", help="An open proposal, as nightlane status --json has it.")],
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Take a proposal out of the search: it gets a DISCARD row, and this session does not try its change again."""
    from agent.steering.requests import skip

    _ask(workspace, "skip", skip(proposal), BETWEEN_ROUNDS, as_json)


@commands.command(epilog=example('propose beta=0.2 --why "answers are too long"'))
def propose(
    change: Annotated[str, typer.Argument(metavar="KNOB=VALUE", help="One knob of the study, and a value of it.")],
    workspace: WorkspaceFolder = Path(),
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The hypothesis, for the row and the report.")] = "",
    as_json: AsJson = False,
) -> None:
    """Propose a change: it is in the next wave, and is decided on like any other.

    Its proposer is "person". A change that the incumbent cannot make is refused."""
    from agent.steering.requests import propose

    _ask(workspace, "propose", propose(change, why), BETWEEN_ROUNDS, as_json)


@commands.command(epilog=example('note "prefer small learning rates"'))
def note(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the language model should know.")],
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Send a note to the language model that proposes; it is shown in all later turns."""
    from agent.steering.requests import note

    _ask(workspace, "note", note(text), BEFORE_A_BATCH, as_json)


@commands.command(epilog=example("budget --hours 10"))
def budget(
    workspace: WorkspaceFolder = Path(),
    hours: Annotated[float | None, typer.Option("--hours", min=0.001, help="Hours of the whole session.")] = None,
    probes: Annotated[int | None, typer.Option("--probes", min=1, help="Probes of the whole session.")] = None,
    decisions: Annotated[
        int | None, typer.Option("--decisions", min=1, help="Changes that the whole session proposes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the limits of the whole session, including what it has already spent."""
    from agent.steering.requests import budget

    limits = {"hours": hours, "probes": probes, "decisions": decisions}
    _ask(workspace, "budget", budget(limits), BEFORE_A_BATCH, as_json)


def _ask(workspace: Path, what: "RequestKind", check: "CheckRequest | None", when: str, as_json: bool) -> None:
    from agent.steering.requests import ask, in_words

    folder = workspace_at(workspace)
    asked = ask(folder, what, check) if check else ask(folder, what)
    request = asked.request
    if as_json:
        print_result(
            {
                "session": asked.session,
                "request": request.number,
                "what": request.what,
                "data": dict(request.data),
                "is_running": asked.is_running,
            }
        )
    else:
        print_result(f"request {request.number} to session {asked.session}: {in_words(request)}")
    if asked.is_running:
        print_message(f"nightlane: {when}; nightlane status shows what became of it")
    else:
        print_message(
            f"nightlane: no process runs session {asked.session}, so it is taken once you go on with: "
            f"{folder.resume_command}"
        )
