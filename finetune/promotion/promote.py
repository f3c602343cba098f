"""``nightlane promote``: compares the starting recipe and the incumbent at full length, on the holdout prompts.

runs/finetune-ID/   the full-length runs   runs/promotion-ID/   report.md   promotion.json, written last
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.digests import digest_of
from common.errors import BadInput
from evaluation.own_study.evaluate import StudyRequest
from evaluation.own_study.stored import StoredAnswer
from finetune.plan import FinetuneRequest, TrainingPlan, plan
from finetune.promotion.decision import PromotionDecision, decide
from finetune.promotion.figures import PromotionComparison, outcomes
from finetune.promotion.full_runs import FullRun, RunProgress, complete_run, holdout_answers
from finetune.promotion.prediction import BothLengths, Prediction, prediction
from finetune.run import Note, prepare_device
from finetune.watch.spot_check import NAME as SPOT_CHECKS
from finetune.watch.spot_check import SPLIT, read_spot_checks
from lanes import Recipe
from preferences.store.stores import Stores
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.model.load import load_quietly
from probes.run.workbench import Workbench

SEEDS = (42, 123, 7)
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Candidate:
    """A recipe. ``origin``: where it comes from, in words. ``probe_delta``: its difference from the start in the target
    category, in probes; None if it was not measured."""

    recipe: Recipe
    origin: str
    probe_delta: float | None = None


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """``start``: the starting recipe; ``stands``: the one to promote; ``others``: recipes that are trained only to see
    whether probes predict the full length. ``steps``, ``epochs``: the length of the starting recipe's runs, whose
    number of steps all runs get. ``processes``: how many train each run together."""

    study: str
    material: Material
    target: str
    guards: Mapping[str, float]
    start: Candidate
    stands: Candidate
    others: tuple[Candidate, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    steps: int | None = None
    epochs: float | None = None
    unreviewed: bool = False
    processes: int = 1
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if len(set(self.seeds)) != len(self.seeds) or len(self.seeds) < FEWEST_SEEDS:
            raise BadInput(
                f"a promotion needs {FEWEST_SEEDS} or more different seeds, and {' '.join(map(str, self.seeds))} has "
                f"{len(set(self.seeds))}; give --seeds '42 123 7'"
            )


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """``outcomes``: None if a side could not be completed, or if both are one recipe. ``failed``: full-length runs that
    ended without an adapter, with the reason."""

    id: str
    request: PromotionRequest
    steps: int
    decision: PromotionDecision
    outcomes: PromotionComparison | None
    prediction: Prediction
    failed: tuple[tuple[str, int, str], ...] = ()


def promote(
    request: PromotionRequest, stores: Stores, runs: Path, threads: int, progress: RunProgress, note: Note
) -> Promotion:
    """Train the missing runs, let them answer, compare and decide. An interrupted promotion goes on where it was."""
    if not request.material.prompts_of(SPLIT):
        raise BadInput(
            f"a promotion asks the holdout prompts, and {request.material.prompt_file} has none; add some of that split"
        )
    plans = _plans(request, stores, runs)
    steps = plans[request.start.recipe.digest].steps
    names = [request.start, request.stands, *request.others]
    identity = digest_of([one.recipe.digest for one in names[:2]] + [steps, list(request.seeds)])[:12]
    same = request.start.recipe.effect == request.stands.recipe.effect
    trained = {} if same else _trained(plans, request.seeds, runs, threads, progress, note)
    failed = tuple((digest, one.seed, one.failure) for digest, own in trained.items() for one in own if one.failure)
    whole = {digest: own for digest, own in trained.items() if not any(one.failure for one in own)}
    answers = _answers(request, whole, threads, note)
    start, stands = request.start.recipe.digest, request.stands.recipe.digest
    found = (
        outcomes(answers[start], answers[stands], request.confidence)
        if start in answers and stands in answers and not same
        else None
    )
    measured = [
        BothLengths(
            recipe=one.recipe.digest,
            probe=one.probe_delta,
            full=outcomes(answers[start], answers[one.recipe.digest], request.confidence)
            .differences[request.target]
            .delta,
            at_steps=_at_steps(whole[start], whole[one.recipe.digest]),
        )
        for one in (request.stands, *request.others)
        if one.probe_delta is not None and start in answers and one.recipe.digest in answers
    ]
    return Promotion(
        id=identity,
        request=request,
        steps=steps,
        decision=decide(found, request.target, request.guards, request.confidence)
        if found
        else _undecided(same, start, failed),
        outcomes=found,
        prediction=prediction(measured, request.material.probe.steps, request.confidence),
        failed=failed,
    )


def _plans(request: PromotionRequest, stores: Stores, runs: Path) -> dict[str, TrainingPlan]:
    """The plan of each recipe, all of the same number of steps."""
    steps, plans = request.steps, dict[str, TrainingPlan]()
    for one in (request.start, request.stands, *request.others):
        asked = FinetuneRequest(
            study=request.study,
            material=request.material,
            recipe=one.recipe,
            origin=one.origin,
            folder=runs,
            seed=request.seeds[0],
            steps=steps,
            epochs=None if plans else request.epochs,
            unreviewed=request.unreviewed,
            processes=request.processes,
            runner=request.runner,
            resume=True,  # the folder follows from the plan
        )
        plans[one.recipe.digest] = plan(asked, stores)
        steps = plans[one.recipe.digest].steps
    return plans


def _trained(
    plans: Mapping[str, TrainingPlan], seeds: Sequence[int], runs: Path, threads: int, progress: RunProgress, note: Note
) -> dict[str, list[FullRun]]:
    """The runs of each recipe. Once a run of a recipe has failed for good, its other seeds are not trained."""
    done: dict[str, list[FullRun]] = {digest: [] for digest in plans}
    for seed in seeds:
        for digest, planned in plans.items():
            if any(one.failure for one in done[digest]):
                continue
            note(f"full-length run: recipe {digest}, seed {seed}, {planned.steps} steps")
            done[digest].append(complete_run(planned, seed, runs, threads, progress, note))
            if failure := done[digest][-1].failure:
                note(f"recipe {digest}, seed {seed}, failed: {failure}")
    return done


def _answers(
    request: PromotionRequest, runs: Mapping[str, Sequence[FullRun]], threads: int, note: Note
) -> dict[str, Mapping[int, list[StoredAnswer]]]:
    """The holdout answers of each recipe, by seed."""
    load_quietly()
    device = prepare_device(threads, request.runner.gpus_per_worker)
    recipes = {one.recipe.digest: one.recipe for one in (request.start, request.stands, *request.others)}
    bench = Workbench(request.material, device, {}, request.runner)
    try:
        return {
            digest: holdout_answers(
                StudyRequest(
                    name=request.study,
                    material=request.material,
                    target=request.target,
                    guards=request.guards,
                    quantization=recipes[digest].quantization,
                    runner=request.runner,
                    split=SPLIT,
                ),
                bench,
                own,
                note,
            )
            for digest, own in runs.items()
        }
    finally:
        bench.close()


def _at_steps(start: Sequence[FullRun], other: Sequence[FullRun]) -> dict[int, float]:
    """The mean difference of the spot checks at each step that all runs have."""
    found: dict[int, list[float]] = {}
    for one, two in zip(start, other, strict=True):
        before = {check.step: check.mean for check in read_spot_checks(one.folder / SPOT_CHECKS)}
        for check in read_spot_checks(two.folder / SPOT_CHECKS):
            level = before.get(check.step)
            if check.step and check.mean is not None and level is not None:
                found.setdefault(check.step, []).append(check.mean - level)
    return {step: sum(own) / len(own) for step, own in found.items() if len(own) == len(start)}


def _undecided(same: bool, start: str, failed: Sequence[tuple[str, int, str]]) -> PromotionDecision:
    """The decision where nothing can be compared."""
    if same:
        return PromotionDecision("HOLD", "same_recipe", "the starting recipe still stands: there is nothing to promote")
    recipe, seed, why = next(iter(failed))
    reason = "baseline_failed" if recipe == start else "failed"
    which = "starting recipe" if recipe == start else "recipe that stands"
    return PromotionDecision("HOLD", reason, f"the {which} failed at full length with seed {seed}: {why}")
