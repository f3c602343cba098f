"""``nightlane service``: a study as a systemd user unit."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.printable import print_message

commands = typer.Typer()


@commands.command(epilog=example("service my-study/study.toml --hours 8"))
def service(
    study: StudyArgument,
    workspace: WorkspaceFolder = Path(),
    hours: Annotated[float | None, typer.Option("--hours", min=0.001, help="As for nightlane run.")] = None,
    probes: Annotated[int | None, typer.Option("--probes", min=1, help="As for nightlane run.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="The folder of the unit; default that of your units.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a systemd user unit that runs a session and survives crashes and reboots.

    The unit continues an unfinished session or begins a new one, is restarted when it fails or hangs, and disables
    itself when the session has ended. Prints the path of the unit."""
    from agent.study.load import load_study
    from cli.service_unit import Service, folder_of_units, write_unit

    loaded, folder = load_study(study), workspace_at(workspace)
    options = [] if hours is None else ["--hours", f"{hours:g}"]
    options += [] if probes is None else ["--probes", str(probes)]
    unit = Service(
        name=loaded.name,
        study=study.absolute(),
        workspace=folder.root.absolute(),
        options=tuple(options),
        deadline=loaded.file.runner.deadline,
        notifies=bool(loaded.file.notify.urls),
    )
    path = str(write_unit(unit, output or folder_of_units(os.environ)))
    print_result({"file": path, "unit": unit.unit} if as_json else path)
    print_message(f"nightlane: begin with: systemctl --user daemon-reload && systemctl --user enable --now {unit.unit}")
    print_message("nightlane: so that it also runs while you are not logged in, once: loginctl enable-linger")
