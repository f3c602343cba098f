"""``nightlane watch``: the running session in the terminal."""

import sys
from pathlib import Path

import typer

from cli.options import WorkspaceFolder, example, workspace_at
from common.errors import BadInput

commands = typer.Typer()


@commands.command(epilog=example("watch --workspace runs-of-tonight"))
def watch(workspace: WorkspaceFolder = Path()) -> None:
    """Show the latest session in this terminal while it runs: probes, loss, decisions, budget left, notes.

    Works over SSH, writes nothing, and needs no more than permission to read. When another session begins, it shows
    that one. q or Ctrl-C ends it; the session goes on."""
    found = workspace_at(workspace)
    if not found.root.is_dir():
        raise BadInput(f"there is no folder {found.root}; give the folder that holds runs/ as --workspace")
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInput("nightlane watch draws on a terminal, and its output or input is none; use nightlane status")
    from view.watch.app import WatchApp

    WatchApp(found).run()
