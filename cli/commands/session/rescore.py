"""``nightlane rescore``: what a session would have kept with another scorer."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.exit_codes import on_interrupt
from cli.options import AsJson, SessionId, WorkspaceFolder, example, print_result, workspace_at
from common.parallel import one_thread
from common.printable import print_message

commands = typer.Typer()


@commands.command(epilog=example("rescore --scorer strict-judge.toml"))
def rescore(
    session: SessionId = None,
    scorer: Annotated[
        Path, typer.Option("--scorer", metavar="FILE", help="A TOML file with the table [scorer]; a study is one, too.")
    ] = ...,  # type: ignore[assignment]
    workspace: WorkspaceFolder = Path(),
    dollars: Annotated[
        float | None, typer.Option("--dollars", min=0.0, help="Most dollars for judging; default no limit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the kept answers of a session's confirmations with another scorer, and decide again.

    Shows what the session decided, and what the same rule decides on the same pairs with the old and with the new
    scores. Writes runs/rescore-*/ and changes nothing else. A confirmation whose answers are gone is named and left
    out."""
    one_thread()
    from agent.rescore.replacement_scorer import read_replacement_scorer
    from agent.rescore.session import rescore
    from view.terminal.rescored import rescored_text

    folder, new = workspace_at(workspace), read_replacement_scorer(scorer)
    with on_interrupt(lambda: "scores so far are kept; the same command goes on"):
        found = rescore(folder, session, new, print_message, dollars)
    print_result(asdict(found) if as_json else rescored_text(found))
