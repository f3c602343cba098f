"""run.json: what a full-length run began with. It is resumed only with the same, so it ends alike."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from common.digests import require_own_digest, with_own_digest
from common.errors import BadInput
from common.files import write_durably
from finetune.manifest import COMPLETE, HOPELESS, read_ending
from finetune.plan import TrainingPlan
from lanes import Recipe

NAME, RECIPE = "run.json", "recipe.toml"
WORDS = {
    "recipe": "the recipe",
    "objective": "the objective",
    "seed": "the seed",
    "steps": "the number of steps",
    "base": "the base model",
    "environment": "the software or the device",
    "rows_at_once": "the rows per forward pass (micro_batch under [runner])",
    "processes": "the number of --processes",
    "gradient_checkpointing": "gradient_checkpointing under [runner]",
}
"""What must be equal when a run is resumed, besides its data."""
FSDP = "fsdp=2"
"""The word in ``environment`` that says that the processes divide the base among them (FSDP2)."""


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """``recipe``, ``base`` and the values of ``data``, by source: digests. ``environment``: software and device.
    ``rows_at_once``: rows per forward pass of each of the ``processes``. ``unreviewed``: whether exports that nobody
    reviewed were allowed. ``model``: the path or hub id that the study names; "" in a run of an older version, whose
    ``epochs`` are 0."""

    study: str
    origin: str
    recipe: str
    objective: str
    seed: int
    steps: int
    base: str
    data: Mapping[str, str]
    environment: str
    rows_at_once: int
    gradient_checkpointing: bool
    unreviewed: bool
    save_every: int
    spot_check: int
    model: str = ""
    epochs: float = 0.0
    processes: int = 1

    @property
    def fsdp(self) -> bool:
        """Whether each process has a part of the base."""
        return FSDP in self.environment.split()

    def differences(self, other: "RunStart") -> Iterator[str]:
        """What differs, with both values, in words."""
        for name, words in WORDS.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                yield f"{words} changed ({_only_changed(str(mine), str(theirs))})"
        for source in sorted({*self.data, *other.data}):
            mine, theirs = self.data.get(source, "missing"), other.data.get(source, "missing")
            if mine != theirs:
                yield f"the data of source {source!r} changed ({mine[:8]} to {theirs[:8]})"


def start_of(plan: TrainingPlan, base: str, environment: str) -> RunStart:
    request = plan.request
    return RunStart(
        study=request.study,
        origin=request.origin,
        recipe=request.recipe.digest,
        objective=request.trains,
        seed=request.seed,
        steps=plan.steps,
        base=base,
        data={source.name: source.digest for source in plan.sources},
        environment=environment,
        rows_at_once=request.runner.rows_at_once(request.recipe.effective_batch // request.processes),
        processes=request.processes,
        gradient_checkpointing=request.runner.gradient_checkpointing,
        unreviewed=request.unreviewed,
        save_every=plan.save_every,
        spot_check=request.spot_check,
        model=request.material.model.path,
        epochs=plan.epochs,
    )


def write_start(folder: Path, start: RunStart, recipe: Recipe) -> None:
    write_durably(folder / RECIPE, recipe.to_toml())
    write_durably(folder / NAME, with_own_digest(json.dumps(asdict(start), indent=1)))


def read_start(folder: Path) -> tuple[RunStart, Recipe]:
    """What the run in a folder began with; BadInput if it holds none that can be resumed."""
    found = read_ending(folder)
    if found is not None and found.status != COMPLETE and found.failure in HOPELESS:
        raise BadInput(
            f"the run in {folder} failed for a reason that would come again ({found.why}); change the recipe and train "
            "with a new --output"
        )
    try:
        return stored_start(folder)
    except (OSError, ValueError):
        raise BadInput(
            f"{folder} holds no full-length run that can be resumed ({NAME} and {RECIPE} say what it began with); "
            "leave --resume out and name a new --output"
        ) from None


def stored_start(folder: Path) -> tuple[RunStart, Recipe]:
    """The stored start of a run and its recipe; OSError or ValueError if they are not as they were written."""
    text = (folder / NAME).read_text(encoding="utf-8")
    require_own_digest(text)
    start = TypeAdapter(RunStart).validate_json(text)
    return start, Recipe.from_toml((folder / RECIPE).read_text(encoding="utf-8"))


def require_same(begun: RunStart, now: RunStart, folder: Path) -> None:
    """BadInput names the first thing that changed since the run began."""
    change = next(begun.differences(now), None)
    if change is not None:
        raise BadInput(
            f"a run goes on with what it began with, and since the run in {folder} began {change}; restore that, or "
            "train again with a new --output"
        )


def _only_changed(mine: str, theirs: str) -> str:
    """The words that differ, as "BEFORE to AFTER", if both texts have the same number of words."""
    before, after = mine.split(), theirs.split()
    if len(before) == len(after):
        pairs = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
        before, after = [one for one, _ in pairs], [other for _, other in pairs]
    return f"{' '.join(before)} to {' '.join(after)}"
