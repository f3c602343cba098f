"""``nightlane promote``: the incumbent against the starting recipe, at full length, on the holdout prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.model.finetune import Epochs, Processes, Steps, Unreviewed
from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, StudyArgument, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

if TYPE_CHECKING:
    from agent.workspace.folder import Workspace
    from finetune.promotion.promote import Promotion

commands = typer.Typer()

RecipeToPromote = Annotated[
    str | None,
    typer.Option("--recipe", metavar="incumbent|FILE|ID", help="The recipe to promote; default the incumbent."),
]
TrainingSeeds = Annotated[
    str | None, typer.Option("--seeds", help="Training seeds, three or more; default '42 123 7'.")
]
Compare = Annotated[
    int,
    typer.Option(
        "--compare",
        min=0,
        metavar="N",
        help="Train N more recipes that the session measured, to see whether probes predict the full length.",
    ),
]


@commands.command(epilog=example("promote my-study/study.toml"))
def promote(
    study: StudyArgument,
    recipe: RecipeToPromote = None,
    seeds: TrainingSeeds = None,
    steps: Steps = None,
    epochs: Epochs = None,
    compare: Compare = 0,
    processes: Processes = None,
    unreviewed: Unreviewed = False,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Compare the starting recipe with the incumbent at full length, and say PROMOTE or HOLD.

    Prints the report. The full-length runs are kept under runs/ and used again; the same command goes on after a
    kill."""
    from agent.workspace.pair_stores import open_stores
    from cli.promotion_candidates import candidates
    from cli.recipe_choice import INCUMBENT
    from common.interrupts import interruptible
    from finetune.promotion.promote import SEEDS, PromotionRequest
    from finetune.promotion.promote import promote as run_promotion
    from view.report.promotion import promotion_data, promotion_markdown, write_promotion
    from view.terminal.finetune import training

    loaded, place = load(study), workspace_at(workspace)
    found = candidates(loaded, place, recipe or INCUMBENT, compare)
    request = PromotionRequest(
        study=loaded.name,
        material=loaded.material,
        target=loaded.target,
        guards=loaded.guards,
        start=found.start,
        stands=found.stands,
        others=found.others,
        seeds=SEEDS if seeds is None else _numbers(seeds),
        steps=steps,
        epochs=epochs,
        unreviewed=unreviewed,
        processes=processes or 1,
        runner=loaded.file.runner,
        confidence=loaded.file.policy.confidence,
    )
    with on_interrupt(lambda: "full-length runs are kept; the same command goes on"), interruptible():
        done = run_promotion(
            request, open_stores(place), place.runs, loaded.file.runner.threads, training, print_message
        )
        write_promotion(place.runs / f"promotion-{done.id}", done)
        if found.session:
            _record(place, found.session, done)
    print_result(promotion_data(done) if as_json else promotion_markdown(done))


def _record(workspace: "Workspace", session: str, done: "Promotion") -> None:
    """Write the row of the promotion into results.tsv, after its session."""
    from agent.ledger.results.promotions import record_promotion
    from probes.result.comparison import Comparison

    request, outcomes = done.request, done.outcomes
    comparison = None
    if outcomes is not None:
        comparison = Comparison(
            differences=outcomes.differences,
            seeds=outcomes.seeds,
            confidence=request.confidence,
            critical_candidate=outcomes.critical[1],
            critical_baseline=outcomes.critical[0],
        )
    messages = record_promotion(
        workspace,
        session,
        promotion=done.id,
        status=done.decision.status,
        reason=done.decision.reason,
        description=done.decision.explanation,
        incumbent=request.stands.recipe.digest,
        comparison=comparison,
        target=request.target,
        guards=request.guards,
        length={"steps": done.steps, "samples": request.material.probe.samples},
    )
    for message in messages:
        print_message(message)


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isdecimal() and int(part) < 2**32 for part in parts):
        raise BadInput(f"--seeds {text!r} are no training seeds; give numbers from 0 to 4294967295, such as '42 123 7'")
    return tuple(map(int, parts))
