"""What the commands have in common: options, the workspace, how data is printed, and how many threads decide."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lanes.printable import give, give_json

if TYPE_CHECKING:
    from agent.workspace import Workspace

Root = Annotated[Path, typer.Option("--workspace", help="The folder that holds results.tsv and runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """For the linear algebra of deciding: its tables are small, and threads that wait for each other cost ten times the
    processor. To be said before numpy is imported; what a user has set is left alone, and workers have their own."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


def at(workspace: Path) -> "Workspace":
    from agent.workspace import Workspace

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
