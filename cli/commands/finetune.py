"""``nightlane finetune``: the full-length run."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, StudyFile, WorkspaceFolder, example, print_result, workspace_at
from common.printable import print_message

commands = typer.Typer()

Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="A new or empty folder.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps.")]
Epochs = Annotated[float | None, typer.Option("--epochs", help="Epochs instead of steps; default 3.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the training and of the data order.")]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="A recipe.toml; default the incumbent of the last session."),
]
Unreviewed = Annotated[
    bool, typer.Option("--unreviewed", help="Also train on exported pairs that nobody has reviewed.")
]


@commands.command(epilog=example("finetune my-study/study.toml --output my-model"))
def finetune(
    study: StudyFile,
    output: Output,
    steps: Steps = None,
    epochs: Epochs = None,
    seed: Seed = 42,
    recipe: RecipeFile = None,
    unreviewed: Unreviewed = False,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Train the incumbent recipe at full length on reviewed pairs.

    Prints the path of the adapter."""
    from agent.workspace.pair_stores import open_stores
    from cli.recipe_choice import recipe_for
    from common.interrupts import interruptible, uninterrupted
    from finetune.plan import FinetuneRequest, plan
    from finetune.run import run
    from view.terminal.finetune import manifest_data, plan_text, training

    loaded = load(study)
    chosen = recipe_for(loaded, workspace_at(workspace), recipe)
    request = FinetuneRequest(
        study=loaded.name,
        material=loaded.material,
        recipe=chosen.recipe,
        origin=chosen.origin,
        folder=output,
        seed=seed,
        steps=steps,
        epochs=epochs,
        unreviewed=unreviewed,
        memory=loaded.file.runner,
    )
    planned = plan(request, open_stores(workspace_at(workspace)))
    print_message(plan_text(planned))
    with on_interrupt(lambda: _interrupted(output)), interruptible(), training(planned.steps) as show_progress:

        def on_step(step: int, loss: float) -> None:
            with uninterrupted():
                show_progress(step, loss)

        done = run(planned, loaded.file.runner.threads, on_step)
    if done.combined:
        print_message(
            f"apply it on top of {loaded.file.model.adapter}; {output / 'combined'} combines both, for the base model"
        )
    print_result(manifest_data(done) if as_json else str(output / "adapter"))


def _interrupted(output: Path) -> str:
    """The message after Ctrl-C."""
    from finetune.manifest import is_complete

    if is_complete(output):
        return f"the run in {output} was complete already"
    return f"the run in {output} is incomplete and cannot be resumed; start again with a new --output"
