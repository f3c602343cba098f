"""``nightlane view``: the pages of a workspace in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

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
    from view.server.serve import address_with, listening, new_token, serve

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
