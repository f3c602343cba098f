"""``nightlane finetune``: the full-length run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, ReportTo, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.printable import print_message

if TYPE_CHECKING:
    from agent.study.load import Study
    from finetune.plan import FinetuneRequest, TrainingPlan

commands = typer.Typer()

RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="A new or empty folder, or the folder of the run to resume; default runs/finetune-ID, the same folder for "
        "the same run.",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps.")]
Epochs = Annotated[float | None, typer.Option("--epochs", help="Epochs instead of steps; default 3.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the training and of the data order; default 42."),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="incumbent|FILE|ID",
        help="The last session's incumbent (default), a recipe.toml, or the id of a session or a row of results.tsv.",
    ),
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option("--objective", metavar="kto|reward", help="Train KTO or a reward model; default as the recipe says."),
]
SaveEvery = Annotated[
    int | None,
    typer.Option("--save-every", min=1, metavar="STEPS", help="Steps between two checkpoints; default 20 checkpoints."),
]
SpotCheckPrompts = Annotated[
    int | None,
    typer.Option(
        "--spot-check",
        min=0,
        metavar="PROMPTS",
        help="Holdout prompts that are answered and scored at each checkpoint; default 24.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", min=1, metavar="N", help="Train with so many processes, one for each GPU; default 1."),
]
Fsdp = Annotated[
    bool,
    typer.Option("--fsdp", help="Divide the base among the --processes; for a base that does not fit on one GPU."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --output from its last checkpoint.")]
Unreviewed = Annotated[
    bool, typer.Option("--unreviewed", help="Also train on exported pairs that nobody has reviewed.")
]
SEED = 42


@commands.command(epilog=example("finetune my-study/study.toml --output my-model"))
def finetune(
    study: StudyArgument,
    output: RunFolder = None,
    steps: Steps = None,
    epochs: Epochs = None,
    seed: Seed = None,
    recipe: RecipeName = None,
    objective: ObjectiveOption = None,
    save_every: SaveEvery = None,
    spot_check: SpotCheckPrompts = None,
    report_to: ReportTo = None,
    processes: Processes = None,
    fsdp: Fsdp = False,
    resume: Resume = False,
    unreviewed: Unreviewed = False,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Train the incumbent recipe at full length on reviewed pairs.

    Without --output, the same command continues a run that was cut off. Prints the path of the adapter."""
    from agent.workspace.pair_stores import open_stores
    from finetune.manifest import is_complete
    from finetune.plan import plan
    from finetune.run_folder import placed
    from view.terminal.finetune import plan_text

    loaded, place = load(study), workspace_at(workspace)
    if output is not None and resume and is_complete(output):
        _print_complete(output, as_json)
        return
    request = _request(
        loaded,
        workspace,
        folder=output,
        resume=resume,
        recipe=recipe,
        given={
            "steps": steps,
            "epochs": epochs,
            "seed": seed,
            "objective": objective,
            "save_every": save_every,
            "spot_check": spot_check,
            "report_to": tuple(report_to or ()),
            "processes": processes,
            "fsdp": fsdp,
            "unreviewed": unreviewed,
        },
    )
    planned = plan(request, open_stores(place))
    print_message(plan_text(planned))
    if output is None:
        planned = placed(planned, place.runs, loaded.file.runner.threads)
        if is_complete(planned.request.folder):
            _print_complete(planned.request.folder, as_json)
            return
    _train(loaded, planned, as_json)


def _train(study: "Study", planned: "TrainingPlan", as_json: bool) -> None:
    """Run the plan with its progress shown, and print how it ended."""
    from common.interrupts import interruptible, uninterrupted
    from finetune.run import run
    from view.terminal.finetune import manifest_data, summary_text, training

    folder = planned.request.folder
    with on_interrupt(lambda: _interrupted(folder)), interruptible(), training(planned.steps) as show_progress:

        def on_line(line: Mapping[str, Any]) -> None:
            with uninterrupted():
                show_progress(line)

        done = run(planned, study.file.runner.threads, on_line, print_message)
    print_message(summary_text(done))
    if done.combined:
        print_message(
            f"apply it on top of {study.file.model.adapter}; {folder / 'combined'} combines both, for the base model"
        )
    print_result(manifest_data(done) if as_json else str(folder / "adapter"))


def _request(
    study: "Study", workspace: Path, *, folder: Path | None, resume: bool, recipe: str | None, given: Mapping[str, Any]
) -> "FinetuneRequest":
    """The request of a command line. If a run in ``folder`` is resumed, options that are not given keep the values with
    which it began. Without ``folder``, the plan determines it."""
    from cli.recipe_choice import INCUMBENT, ChosenRecipe, recipe_for
    from finetune.plan import FinetuneRequest, objective_of
    from finetune.start import read_start

    values = {name: value for name, value in given.items() if value is not None}
    begun = None
    if resume and folder is not None:
        begun, begun_recipe = read_start(folder)
        if "epochs" not in values:
            values.setdefault("steps", begun.steps)
        for name in ("seed", "save_every", "spot_check", "processes"):
            values.setdefault(name, getattr(begun, name))
        if begun.objective != begun_recipe.objective:
            values.setdefault("objective", begun.objective)
        values["unreviewed"] = values["unreviewed"] or begun.unreviewed
        values["fsdp"] = values["fsdp"] or begun.fsdp
    if values["fsdp"]:
        values.setdefault("spot_check", 0)
    if "objective" in values:
        values["objective"] = objective_of(values["objective"])
    if begun is not None and recipe is None:
        chosen = ChosenRecipe(begun_recipe, begun.origin)
    else:
        chosen = recipe_for(study, workspace_at(workspace), recipe or INCUMBENT)
    return FinetuneRequest(
        study=study.name,
        material=study.material,
        recipe=chosen.recipe,
        origin=chosen.origin,
        folder=folder or workspace_at(workspace).runs,
        runner=study.file.runner,
        resume=resume or folder is None,
        **{"seed": SEED, **values},
    )


def _print_complete(folder: Path, as_json: bool) -> None:
    from finetune.checkpoints import remove_all
    from view.terminal.finetune import read_summary

    remove_all(folder)  # a kill may have left some
    print_message(f"the run in {folder} is complete, so there is nothing to resume")
    print_result(read_summary(folder) if as_json else str(folder / "adapter"))


def _interrupted(output: Path) -> str:
    """The message after Ctrl-C."""
    from finetune.checkpoints import last_complete
    from finetune.manifest import is_complete

    if is_complete(output):
        return f"the run in {output} was complete already"
    checkpoint = last_complete(output)
    from_there = f"from step {checkpoint.step}" if checkpoint else "from its beginning"
    return f"the same command with --resume goes on with the run in {output} {from_there}"
