"""finetune.json, the record of a full-length run that ended: complete, failed or stopped. It is written last.

It has no score: probe readings are never compared with full-length runs (invariant 1, docs/architecture.md).
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.digests import file_digest, require_own_digest, with_own_digest
from common.errors import BadInput
from common.files import sync, write_durably
from finetune.plan import TrainingPlan
from finetune.sources import TrainedSource
from probes.train.curve import NAME as CURVE

NAME = "finetune.json"
RunStatus = Literal["COMPLETE", "FAILED", "STOPPED"]
COMPLETE: RunStatus = "COMPLETE"
HOPELESS = ("diverged", "untrainable", "collapsed")
"""Failures that would recur, since the same recipe and data cause them."""
COMBINED = "combined"
REMEDY = "restore the folder, or train again with a new --output"
ReviewWord = Literal["own", "reviewed", "unreviewed"]


@dataclass(frozen=True)
class TrainedOn:
    """A source of the training rows. ``rows``: how many it has; ``drawn``: how many the run drew, with repetitions.

    ``looked_at``: "own" for data that no store exported; "unreviewed" for an export that nobody reviewed and that the
    user allowed. ``judged_bad``: ids of its rows that a reviewer called bad.
    """

    name: str
    file: str
    digest: str
    rows: int
    drawn: int
    looked_at: ReviewWord
    judged_bad: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """``recipe``, ``base``, ``data``: digests. ``steps``: the steps that were planned; ``done``: those that were made;
    ``why``: the reason, in words, if the run ended early, and ``failure``: its kind. ``final``: figures of the last
    step, as in train.jsonl. ``seconds``, ``tokens``: of the training loop alone; ``wall_seconds``: of the whole
    command. ``files``: the digest of each file of the adapter, by name; ``combined``: those of the combined adapter, if
    there is one. ``checkpoint``: the last good one of an incomplete run; ``resumed``: the step at which the run was
    resumed. ``spot_checks``: the mean score of the answers at each checkpoint, by step; step 0 is the base."""

    study: str
    recipe: str
    origin: str
    seed: int
    steps: int
    sources: tuple[TrainedOn, ...]
    base: str
    final: dict[str, float]
    seconds: float
    tokens: int
    files: dict[str, str]
    combined: dict[str, str] = field(default_factory=dict)
    status: RunStatus = COMPLETE
    done: int = 0
    why: str = ""
    failure: str = ""
    objective: str = ""
    epochs: float = 0.0
    data: str = ""
    wall_seconds: float = 0.0
    versions: str = ""
    checkpoint: str = ""
    resumed: int = 0
    spot_checks: dict[int, float | None] = field(default_factory=dict)


def trained_on(plan: TrainingPlan) -> tuple[TrainedOn, ...]:
    return tuple(
        TrainedOn(
            name=source.name,
            file=source.file,
            digest=source.digest,
            rows=len(source.pairs),
            drawn=source.drawn,
            looked_at=_review(source),
            judged_bad=source.review.bad,
        )
        for source in plan.sources
    )


def manifest_of(
    plan: TrainingPlan, *, base: str, versions: str, resumed: int, wall_seconds: float, **ending: Any
) -> Manifest:
    """The manifest of a run of this plan; ``ending``: the fields that say how it ended."""
    request = plan.request
    return Manifest(
        study=request.study,
        recipe=request.recipe.digest,
        origin=request.origin,
        seed=request.seed,
        steps=plan.steps,
        sources=trained_on(plan),
        objective=request.trains,
        data=plan.data,
        base=base,
        versions=versions,
        resumed=resumed,
        wall_seconds=round(wall_seconds, 3),
        **ending,
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    sync(folder / CURVE)
    write_durably(folder / NAME, with_own_digest(json.dumps(asdict(manifest), indent=1, allow_nan=False)))


@dataclass(frozen=True)
class RunEnding:
    """How the run in a folder ended."""

    status: RunStatus
    why: str
    failure: str


def read_ending(folder: Path) -> RunEnding | None:
    """How the run in a folder ended; None if it has not, or if its record cannot be read."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
        require_own_digest(text)
        found = json.loads(text)
        status = found.get("status", COMPLETE)  # older versions wrote the record of a complete run alone
        return RunEnding(status, str(found.get("why", "")), str(found.get("failure", "")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def is_complete(folder: Path) -> bool:
    ended = read_ending(folder)
    return ended is not None and ended.status == COMPLETE


def saved(adapter: Path) -> dict[str, str]:
    """Make an adapter's files durable; returns the digest of each."""
    files = sorted(path for path in adapter.iterdir() if path.is_file())
    for path in (*files, adapter, adapter.parent):
        sync(path)
    return {path.name: file_digest(path) for path in files}


def require_whole(adapter: Path) -> None:
    """BadInput if an adapter of a full-length run is not as it was saved. An adapter without a manifest is accepted."""
    path = adapter.resolve().parent / NAME
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8")
        require_own_digest(text)
        record = json.loads(text)
        files = dict(record.get(_manifest_key(adapter), {}))
        changed = [name for name, digest in files.items() if file_digest(adapter / name) != digest]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path} has the digests of {adapter} and cannot be compared with it ({error}); {REMEDY}"
        ) from None
    if (status := record.get("status", COMPLETE)) != COMPLETE:
        raise BadInput(
            f"only the adapter of a complete run is used, and by {path} the run of {adapter} is {status}; go on with "
            "nightlane finetune --resume, or give its last good checkpoint"
        )
    if changed:
        raise BadInput(f"{adapter / changed[0]} is not as it was saved, by {path}; {REMEDY}")


def _manifest_key(adapter: Path) -> str:
    """The key of an adapter's digests in the manifest beside it."""
    return "combined" if adapter.resolve().name == COMBINED else "files"


def _review(source: TrainedSource) -> ReviewWord:
    if source.review.record is None and not source.review.stored:
        return "own"
    return "reviewed" if source.review.reviewed else "unreviewed"
