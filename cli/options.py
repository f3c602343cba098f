"""What the commands have in common: options, the workspace, and how data is printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.printable import give, give_json

if TYPE_CHECKING:
    from agent.workspace.folder import Workspace

Root = Annotated[Path, typer.Option("--workspace", help="The folder that holds results.tsv and runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def at(workspace: Path) -> "Workspace":
    from agent.workspace.folder import Workspace

    return Workspace(workspace)


def width() -> int:
    """Columns of the terminal; COLUMNS, or 100, where there is none."""
    from shutil import get_terminal_size

    return get_terminal_size((100, 24)).columns


def show(content: object) -> None:
    """Text or JSON, to stdout."""
    if isinstance(content, str):
        give(content)
    else:
        give_json(content)
