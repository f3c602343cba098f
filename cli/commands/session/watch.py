"""``nightlane view``: a workspace in a browser. ``nightlane watch``: the running session in the terminal."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import on_interrupt
from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_json_line, print_message

if TYPE_CHECKING:
    from agent.workspace.folder import Workspace

SECONDS = 2.0
"""Between two checks whether a session's status changed."""
commands = typer.Typer()


@commands.command(epilog=example("view --workspace runs-of-tonight"))
def view(
    workspace: WorkspaceFolder = Path(),
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="The port on 127.0.0.1.")] = 8765,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the pages of a workspace on this machine: sessions while they run, decisions, training and pairs.

    Prints the address to open in a browser. Its token keeps other users of the machine and other sites out. Reads the
    workspace, and writes nothing but your votes on pairs; Ctrl-C ends it."""
    from view.server.app import address_with, listening, new_token, serve

    found = workspace_at(workspace)
    if not found.root.is_dir():
        raise BadInput(f"there is no folder {found.root}; give the folder that holds runs/ as --workspace")
    with listening(port) as socket:
        token = new_token()
        address = address_with(token, port)
        print_result({"address": address} if as_json else address)
        print_message("Ctrl-C ends it")
        if browser:
            typer.launch(address)
        serve(found, token, port, socket)


@commands.command(epilog=example("watch --workspace runs-of-tonight"))
def watch(
    workspace: WorkspaceFolder = Path(),
    notify: Annotated[
        bool,
        typer.Option(
            "--notify", help="Draw nothing; notify the addresses of [notify] when the session's process is gone."
        ),
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="With --notify: look once and end, for cron or systemd.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the latest session in this terminal while it runs: probes, loss, decisions, budget left, notes.

    Works over SSH, writes nothing, and needs only permission to read. When another session begins, it shows that one. q
    or Ctrl-C ends it; the session goes on. --json prints the JSON of nightlane status, a line for each change, until
    the session ends; it needs no terminal."""
    found = workspace_at(workspace)
    if not found.root.is_dir():
        raise BadInput(f"there is no folder {found.root}; give the folder that holds runs/ as --workspace")
    if as_json and notify:
        raise BadInput("--notify sends notices and prints no JSON; leave --json or --notify out")
    if as_json:
        _print_changes(found)
        return
    if once and not notify:
        raise BadInput("--once ends after one look for a dead session; give --notify with it")
    if notify:
        _notify(found, once)
        return
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInput("nightlane watch needs a terminal for input and output; use nightlane status")
    from view.watch.app import WatchApp

    WatchApp(found).run()


def _print_changes(workspace: "Workspace") -> None:
    """Print the latest session's status as a line of JSON whenever it changes, until the session ends."""
    from view.terminal.status import session_status

    last: dict[str, Any] = {}
    while last.get("state", "running") == "running":
        status = session_status(workspace, last.get("session"))
        if _without_clock(status) != _without_clock(last):
            print_json_line(status)
        last = status
        if status["state"] == "running":
            time.sleep(SECONDS)


def _without_clock(status: "dict[str, Any]") -> "dict[str, Any]":
    """The status without the keys that change merely because time passes."""
    return {name: value for name, value in status.items() if name not in ("active_hours", "spent", "budget_left")}


def _notify(workspace: "Workspace", once: bool) -> None:
    from integrations.notices.watchdog import Watchdog

    watchdog = Watchdog(workspace, lambda text: print_message(f"nightlane: {text}"))
    if once:
        watchdog.look()
        return
    with on_interrupt(lambda: "the session goes on"):
        watchdog.run()
