"""A full-length run that failed or was stopped: its manifest, and its error in one sentence."""

from collections.abc import Mapping
from typing import Any

from common.errors import BadInput, NightlaneError
from common.wording import one_line
from finetune.checkpoints import last_complete
from finetune.manifest import Manifest, RunStatus, manifest_of
from finetune.plan import TrainingPlan
from finetune.start import RunStart
from finetune.watch.spot_check import NAME as SPOT_CHECKS
from finetune.watch.spot_check import Collapsed, read_spot_checks
from probes.run.classify import classify
from probes.run.failures import MEANINGS
from probes.train.curve import LOGGED, read_curve
from probes.train.curve import NAME as CURVE

RESUMABLE = ("disk", "device")
"""Failures of the machine, not of the recipe: once the cause is gone, the run can be resumed unchanged."""


def unfinished(
    plan: TrainingPlan, start: RunStart, resumed: int, error: BaseException, wall_seconds: float
) -> Manifest:
    """The manifest of a run that failed or was stopped. ``resumed``: the step that it went on from."""
    folder = plan.request.folder
    curve, checkpoint = read_curve(folder / CURVE), last_complete(folder, good=True)
    last: Mapping[str, Any] = {"step": 0, "seconds": 0.0, "tokens": 0, **(curve[-1] if curve else {})}
    stopped = isinstance(error, KeyboardInterrupt)
    status: RunStatus = "STOPPED" if stopped else "FAILED"
    return manifest_of(
        plan,
        base=start.base,
        versions=start.environment,
        resumed=resumed,
        wall_seconds=wall_seconds,
        final={name: last[name] for name in LOGGED if last.get(name) is not None},
        seconds=last["seconds"],
        tokens=last["tokens"],
        files={},
        status=status,
        done=last["step"],
        why=f"interrupted by {error or 'Ctrl-C'}" if stopped else one_line(str(error), 300),
        failure="" if isinstance(error, KeyboardInterrupt) else _failure(error),
        epochs=plan.epochs_of(last["step"]),
        checkpoint=str(checkpoint.folder.relative_to(folder)) if checkpoint else "",
        spot_checks={check.step: check.mean for check in read_spot_checks(folder / SPOT_CHECKS)},
    )


def _failure(error: BaseException) -> str:
    """The kind of a failure: "collapsed", or that of a probe."""
    if isinstance(error, Collapsed):
        return "collapsed"
    return classify(error) if isinstance(error, Exception) else "error"


def as_error(error: Exception, plan: TrainingPlan) -> Exception:
    """A failure of the run in one sentence, with its exit code. A defect of ours stays as it is."""
    folder = plan.request.folder
    checkpoint = last_complete(folder, good=True)
    good = f"the last good checkpoint is {checkpoint.folder}" if checkpoint else "there is no good checkpoint"
    what = one_line(str(error), 300)
    if isinstance(error, Collapsed):
        use = "use that one, or " if checkpoint else ""
        return BadInput(
            f"a run ends when its answers, gradients or rewards collapse, and here {what}; {good}: {use}lower "
            "learning_rate in a recipe.toml, give it with --recipe, and train again with a new --output"
        )
    meaning = MEANINGS[classify(error)]
    if isinstance(error, NightlaneError) or meaning.error is None:
        return error
    goes_on = "go on (finetune with --resume, promote with the same command)"
    again = goes_on if classify(error) in RESUMABLE else "train again with a new --output"
    return meaning.error(
        f"{meaning.words} ({what}); {folder / CURVE} has the curve and {good}: {meaning.remedy}, and {again}"
    )
