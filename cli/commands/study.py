"""``nightlane init``, ``check`` and ``prompts``, and how every command reads a study."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import on_interrupt
from cli.options import AsJson, Offline, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput, EndpointUnavailable
from common.parallel import one_thread
from common.printable import print_message

if TYPE_CHECKING:
    from agent.study.endpoint_trials import EndpointTrial
    from agent.study.load import Study
    from agent.workspace.folder import Workspace

commands = typer.Typer()


@commands.command(epilog=example("init my-study --kind rules"))
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="How answers are scored: code (programs with tests), rules (patterns and counts) or judge (a language "
            "model with a rubric); default code.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented study.toml with example data, for one of three ways of scoring."""
    from cli.example_studies import DEFAULT, kinds_in_words, write_example_study

    files = [str(path) for path in write_example_study(directory, kind or DEFAULT.kind)]
    print_result({"study": str(directory / "study.toml"), "files": files} if as_json else "\n".join(files))
    if kind is None:
        print_message(f"a study of the kind {DEFAULT.kind}; --kind chooses another ({kinds_in_words()})")
    print_message(f"next: nightlane check {directory / 'study.toml'}")


@commands.command(epilog=example("check my-study/study.toml --show 3"))
def check(
    study: StudyArgument,
    workspace: WorkspaceFolder = Path(),
    rows: Annotated[
        int,
        typer.Option("--show", metavar="N", min=0, help="Print N rows of each source, as text and as trained tokens."),
    ] = 0,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Validate a study without training: files, model, rows, prompts and endpoints.

    Renders every row and prompt with the model's tokenizer. Prints the cost and memory of a probe, the chance of a
    KEEP in a night, and what would double it. Refuses a study whose probes do not fit into memory. Asks each
    endpoint that the study uses one question; exit code 5 if one that the study requires does not answer."""
    one_thread()
    if rows and as_json:
        raise BadInput(f"--show {rows} prints rows for people to read, and --json is for programs; leave one out")
    with on_interrupt(lambda: "the study was not checked to its end"):
        _check(study, workspace_at(workspace), rows, offline, as_json)


def _check(study: Path, workspace: "Workspace", rows: int, offline: bool, as_json: bool) -> None:
    from agent.study.material_check import check_study, memory_fit
    from agent.study.power import require_power
    from integrations.notices.send import require_addresses
    from view.data.study_cost import check_data, cost_text
    from view.terminal.endpoint_trials import trials_text
    from view.terminal.live import rendering
    from view.terminal.rendered_rows import rendered_text, rows_text, unchecked_text

    with rendering() as progress:
        checked = check_study(load(study), print_message, on_progress=progress)
    require_power(checked.study, workspace)
    require_addresses(checked.study.file.notify, os.environ)
    memory = memory_fit(checked)
    if memory is not None:
        memory.require()
    if as_json:
        trials = [] if offline else ask_endpoints(checked.study)
        print_result(check_data(checked, workspace, memory, trials))
        require_answers(trials)
        return
    print_result(unchecked_text(checked) + cost_text(checked.study, workspace, memory))
    if counts := rendered_text(checked):
        print_result(counts)
    if rows:
        print_result(rows_text(checked, rows))
    if not offline:
        trials = ask_endpoints(checked.study)
        if said := trials_text(trials):
            print_result(said)
        require_answers(trials)


def ask_endpoints(study: "Study") -> "list[EndpointTrial]":
    """Ask every endpoint that the study uses one question."""
    from agent.study.endpoint_trials import try_endpoints

    return list(try_endpoints(study, os.environ))


def require_answers(trials: "Sequence[EndpointTrial]") -> None:
    """EndpointUnavailable if an endpoint that the study requires cannot be used."""
    missing = [one.trial.role for one in trials if one.required and one.trial.failure]
    if missing:
        raise EndpointUnavailable(
            f"the study needs the endpoint of the {' and the '.join(missing)}, which cannot be used (see above); mend "
            "it, or give --offline to ask none"
        )


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


@commands.command(epilog=example("prompts my-study/study.toml"))
def prompts(
    study: StudyArgument,
    harvest: Annotated[
        float, typer.Option("--harvest", min=0.0, max=0.9, help="Share of the samples that make pairs.")
    ] = 0.2,
    holdout: Annotated[
        float, typer.Option("--holdout", min=0.0, max=0.9, help="Share of the samples that confirm at the end.")
    ] = 0.2,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the file of prompts of a study whose scorer is a task of Inspect or lm-evaluation-harness.

    Each sample of the task becomes a prompt with its category, in one of three disjoint splits. Prints the path."""
    from collections import Counter

    from agent.study.load import load_study
    from common.files import write_durably
    from probes.scoring.benchmarks.prompts import prompt_rows
    from probes.scoring.benchmarks.scorer import prompts_task

    if harvest + holdout >= 1:
        raise BadInput(
            f"--harvest {harvest:g} and --holdout {holdout:g} leave no sample that decides; make them smaller"
        )
    loaded = load_study(study)
    path = loaded.material.prompt_file
    if path.exists() and not force:
        raise BadInput(f"{path} exists; give --force to write over it, or name another file under [prompts]")
    rows = list(prompt_rows(prompts_task(loaded.scorer, loaded.material.folder), harvest, holdout))
    write_durably(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    counts = Counter(row["split"] for row in rows)
    print_message(f"{len(rows)} prompts: {', '.join(f'{number} {split}' for split, number in counts.items())}")
    print_result({"file": str(path), "prompts": len(rows), "splits": dict(counts)} if as_json else str(path))
