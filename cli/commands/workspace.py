"""``nightlane doctor``: the machine, the files of a workspace, and the endpoints of a study. For agents: ``nightlane
skill``, their instructions, and ``nightlane schema``, what a command prints with --json."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.study import ask_endpoints, load, require_answers
from cli.options import AsJson, Offline, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.wording import nearest

commands = typer.Typer()


@commands.command(epilog=example("doctor my-study/study.toml --workspace my-workspace"))
def doctor(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="A study.toml, to ask its endpoints one question each.")
    ] = None,
    workspace: WorkspaceFolder = Path(),
    with_repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged files aside and recover what is readable in them.")
    ] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Check the machine, every file of the workspace, and the endpoints of a study.

    Exit code 2 if a file is damaged, 6 if the machine lacks something, 5 if an endpoint that the study requires does
    not answer."""
    from agent.workspace.check import check, repair
    from cli.full_length_files import check_full_length_files
    from cli.machine import examine, file_lines
    from view.terminal.endpoint_trials import trial_line, trials_data

    folder = workspace_at(workspace)
    repaired = repair(folder) if with_repair else []
    statuses = [*check(folder), *check_full_length_files(folder)]
    loaded = load(study) if study is not None else None
    lines, healthy = examine(folder, loaded.file.runner.gpus_per_worker if loaded else 1)
    trials = ask_endpoints(loaded) if loaded is not None and not offline else []
    if as_json:
        files = [{"what": file.path, "whole": file.intact, "says": file.message} for file in statuses]
        machine = {"machine": lines, "healthy": healthy, "files": files, "repaired": repaired}
        print_result({**machine, "endpoints": trials_data(trials)})
    else:
        asked = [f"{'no' if one.trial.failure else 'ok':<8} {trial_line(one)}" for one in trials]
        mended = [f"repaired {message}" for message in repaired]
        print_result("\n".join([*lines, *asked, *file_lines(statuses), *mended]))
    if not all(file.intact for file in statuses):
        raise typer.Exit(2)
    if not healthy:
        raise typer.Exit(6)
    require_answers(trials)


@commands.command(epilog=example("skill"))
def skill(as_json: AsJson = False) -> None:
    """Print the path of SKILL.md, which tells an agent how to write a study, run it, read it and act on it."""
    from cli.skill import SKILL

    print_result({"file": str(SKILL)} if as_json else str(SKILL))


@commands.command(epilog=example("schema status"))
def schema(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="A command, such as status or pairs list.")],
    as_json: AsJson = False,
) -> None:
    """Print every key that a command prints with --json, its type and its meaning; with --json, as a JSON schema."""
    from cli.json_output import OUTPUTS
    from cli.json_output.markdown import shape, types

    name = " ".join(command)
    if name not in OUTPUTS:
        raise BadInput(f"{name!r} is not a command of nightlane{nearest(name, OUTPUTS)}")
    found = OUTPUTS[name].schema
    blocks = [*shape(found), *(block for own, inner in types(found).items() for block in (f"## {own}", *shape(inner)))]
    print_result(found if as_json else "\n\n".join(blocks))
