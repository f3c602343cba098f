"""``nightlane doctor``: the machine and the files of a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at

commands = typer.Typer()


@commands.command(epilog=example("doctor --workspace my-workspace"))
def doctor(
    workspace: WorkspaceFolder = Path(),
    with_repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged files aside and recover what is readable in them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the machine and every file of the workspace.

    Exit code 2 if a file is damaged, 6 if the machine lacks something."""
    from agent.workspace.check import check, repair
    from cli.machine import check_full_length_runs, examine, file_lines

    folder = workspace_at(workspace)
    repaired = repair(folder) if with_repair else []
    statuses = [*check(folder), *check_full_length_runs(folder)]
    lines, healthy = examine(folder)
    if as_json:
        files = [{"what": file.path, "whole": file.intact, "says": file.message} for file in statuses]
        print_result({"machine": lines, "healthy": healthy, "files": files, "repaired": repaired})
    else:
        print_result("\n".join([*lines, *file_lines(statuses), *(f"repaired {message}" for message in repaired)]))
    if not all(file.intact for file in statuses):
        raise typer.Exit(2)
    if not healthy:
        raise typer.Exit(6)
