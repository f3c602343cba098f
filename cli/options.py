"""What the commands share: options, the workspace, and printing of results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import BadInput
from common.printable import print_data, print_json

if TYPE_CHECKING:
    from agent.workspace.folder import Workspace

WorkspaceFolder = Annotated[
    Path, typer.Option("--workspace", metavar="DIR", help="The folder that holds results.tsv and runs/.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="The study.toml file.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no endpoint.")]
SessionId = Annotated[str | None, typer.Argument(metavar="[SESSION]", help="A session's id; default the latest.")]

ReportTo = Annotated[
    list[str] | None,
    typer.Option("--report-to", metavar="TRACKER", help="trackio, wandb, mlflow or tensorboard; may be repeated."),
]


def example(arguments: str) -> str:
    """The example at the end of a command's help."""
    return f"Example: nightlane {arguments}"


def workspace_at(folder: Path) -> "Workspace":
    from agent.workspace.folder import Workspace

    if folder.is_file():
        raise BadInput(f"--workspace {folder} is a file; give the folder that holds results.tsv and runs/")
    return Workspace(folder)


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS, or 100, where there is none."""
    from shutil import get_terminal_size

    return get_terminal_size((100, 24)).columns


def print_result(content: object) -> None:
    """Text, or data as JSON, to stdout."""
    if isinstance(content, str):
        print_data(content)
    else:
        print_json(content)
