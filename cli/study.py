"""``nightlane init`` and ``nightlane check``, and how every command reads a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import on_interrupt
from cli.options import StudyFile, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

if TYPE_CHECKING:
    from agent.study.load import Study
    from agent.workspace.folder import Workspace

commands = typer.Typer()
EXAMPLE_STUDY = Path(__file__).with_name("example_study")


@commands.command(epilog=example("init my-study"))
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> None:
    """Write a commented study.toml with example data."""
    for path in write_example_study(directory):
        print_result(str(path))


@commands.command(epilog=example("check my-study/study.toml --show 3"))
def check(
    study: StudyFile,
    workspace: WorkspaceFolder = Path(),
    rows: Annotated[
        int,
        typer.Option("--show", metavar="N", min=0, help="Print N rows of each source, as text and as trained tokens."),
    ] = 0,
) -> None:
    """Validate a study without training: files, model, rows and prompts.

    Renders every row and prompt with the model's tokenizer. Prints the cost of a probe and its memory, what a night
    can show, and what would double its chance. Refuses a study whose probes do not fit into memory."""
    with on_interrupt(lambda: "the study was not checked to its end"):
        _check(study, workspace_at(workspace), rows)


def _check(study: Path, workspace: "Workspace", rows: int) -> None:
    from agent.study.material_check import check_study
    from agent.study.memory_check import memory_fit
    from agent.study.power import require_power
    from view.data.cost import cost_text
    from view.terminal.live import rendering
    from view.terminal.rendered_rows import rendered_text, rows_text, unchecked_text

    with rendering() as progress:
        checked = check_study(load(study), print_message, on_progress=progress)
    require_power(checked.study, workspace)
    memory = memory_fit(checked)
    if memory is not None:
        memory.require()
    print_result(unchecked_text(checked) + cost_text(checked.study, workspace, memory))
    if counts := rendered_text(checked):
        print_result(counts)
    if rows:
        print_result(rows_text(checked, rows))


def load(path: Path) -> "Study":
    """Read a study. The material of a bundled study is built when it is used for the first time."""
    from agent.study.load import load_study

    study = load_study(path)
    if study.file.lab:
        from importlib import import_module

        from view.terminal.live import building

        with building(study.file.lab) as progress:
            import_module(f"labs.{study.file.lab}").build(path.parent / "build", progress)
    return study


def write_example_study(directory: Path) -> list[Path]:
    """Copy the example study and return the files written. BadInput if one of them exists already."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{directory} cannot be made a folder ({error.strerror}); name a new or empty one") from None
    copies = {path: directory / path.name for path in sorted(EXAMPLE_STUDY.iterdir()) if path.is_file()}
    for copy in copies.values():
        if copy.exists():
            raise BadInput(f"{copy} exists and init overwrites nothing; name a new or empty folder")
    for original, copy in copies.items():
        copy.write_bytes(original.read_bytes())
    return list(copies.values())
