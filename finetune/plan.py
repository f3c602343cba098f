"""The plan of a full-length run: what is trained, on which rows and how long. All refusals happen here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Literal, get_args

from common.digests import digest_of
from common.errors import BadInput
from finetune.review import ReviewState, require_reviewed, review_state
from lanes import Recipe
from preferences.store.stores import Stores
from probes.inputs.files.records import rows_digest
from probes.inputs.material import Material
from probes.inputs.settings import MemorySettings
from probes.inputs.sources import good_source
from probes.inputs.training_rows import Pair, check_overlap, quotas
from probes.model.compatibility import Requirements, require_fit
from probes.model.load import locate
from probes.rendering.row_check import count, refused_rows

EPOCHS = 3.0
MOST_STEPS = 10_000_000
CHECKPOINTS = 20
"""Checkpoints of a run, unless the user says how many steps lie between two."""
SPOT_CHECK = 24
"""Holdout prompts that are answered and scored at each checkpoint."""
Objective = Literal["kto", "reward"]
"""What a full-length run can train besides the objectives of a recipe."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True)
class FinetuneRequest:
    """A run as the user requests it.

    ``origin``: where the recipe comes from, in words. ``objective``: None for the recipe's own. ``save_every``: steps
    between two checkpoints, None for the twentieth part of the run. ``spot_check``: how many holdout prompts are
    answered at each checkpoint. ``report_to``: trackers of the trainer. ``resume``: the folder holds a run to go on
    with.
    """

    study: str
    material: Material
    recipe: Recipe
    origin: str
    folder: Path
    seed: int
    steps: int | None = None
    epochs: float | None = None
    unreviewed: bool = False
    memory: MemorySettings = field(default_factory=MemorySettings)
    objective: Objective | None = None
    save_every: int | None = None
    spot_check: int = SPOT_CHECK
    report_to: tuple[str, ...] = ()
    resume: bool = False

    @property
    def trains(self) -> str:
        """The objective of the training."""
        return self.objective or self.recipe.objective


@dataclass(frozen=True)
class Source:
    """A source of the mixture. ``file``: as the study names it; ``drawn``: the number of rows that the run draws from
    it; ``left_out``: the rows that are not trained on, in words; ``notes``: what else was done to its rows."""

    name: str
    file: str
    digest: str
    pairs: tuple[Pair, ...]
    drawn: int
    review: ReviewState
    left_out: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A run that passed every check. ``sources``: in the order of the study."""

    request: FinetuneRequest
    steps: int
    sources: tuple[Source, ...]

    @property
    def rows(self) -> int:
        """The number of rows that the run draws."""
        return self.steps * self.request.recipe.effective_batch

    @property
    def epochs(self) -> float:
        return self.epochs_of(self.steps)

    def epochs_of(self, steps: int) -> float:
        """So many steps in passes over as many rows as all sources have together."""
        return round(steps * self.request.recipe.effective_batch / sum(map(len, self.pairs.values())), 4)

    @property
    def save_every(self) -> int:
        """Steps between two checkpoints."""
        return self.request.save_every or ceil(self.steps / CHECKPOINTS)

    @property
    def data(self) -> str:
        """The digest of all data."""
        return digest_of({source.name: source.digest for source in self.sources})

    @property
    def pairs(self) -> Mapping[str, tuple[Pair, ...]]:
        return {source.name: source.pairs for source in self.sources}


def plan(request: FinetuneRequest, stores: Stores) -> Plan:
    """Check a request and plan its run.

    BadInput if the folder is in use, the model cannot train the recipe, an export was not reviewed or was changed, a
    row has a probe or holdout prompt, or the length is out of bounds.
    """
    if not request.resume:
        require_empty(request.folder)
    material, recipe = request.material, request.recipe
    locate(material.model, material.folder)
    renderer = require_fit(material, Requirements.of(recipe, answers=False))
    files = {name: where for name, where in material.source_files.items() if name in recipe.mixture}
    states = {name: review_state(name, where, stores) for name, where in files.items()}
    for state in states.values():
        require_reviewed(state, request.unreviewed)
    read = {
        name: good_source(name, where, material.data.bad_rows, material.data.prompt_in(name))
        for name, where in files.items()
    }
    if renderer is not None:
        counts = count(renderer, {name: source.pairs for name, source in read.items()}, recipe.max_length)
        refused = refused_rows(counts, files, material.data.bad_rows)
        read = {name: source.without(refused[name]) if refused[name] else source for name, source in read.items()}
    pairs = {name: source.pairs for name, source in read.items()}
    digests = {name: rows_digest(where) for name, where in files.items()}
    check_overlap(files, pairs, material.all_prompts)
    steps = resolve_steps(sum(map(len, pairs.values())), recipe.effective_batch, request.steps, request.epochs)
    drawn = quotas(recipe.shares, steps * recipe.effective_batch)
    named = material.data.sources
    sources = (
        Source(
            name=name,
            file=named[name],
            digest=digests[name],
            pairs=pairs[name],
            drawn=drawn[name],
            review=states[name],
            left_out=read[name].left_out,
            notes=read[name].notes,
        )
        for name in files
    )
    return Plan(request, steps, tuple(sources))


def objective_of(text: str) -> Objective:
    if text not in OBJECTIVES:
        raise BadInput(
            f"--objective {text!r} is none that a full-length run trains; give {' or '.join(OBJECTIVES)}, or leave it "
            "out to train as the recipe says"
        )
    return text


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and a full-length run is written to one; name a new one")


def resolve_steps(rows: int, batch: int, steps: int | None = None, epochs: float | None = None) -> int:
    """``steps``, or the steps of so many epochs (3 if neither is given).

    An epoch is as many rows as all sources of the mixture have together, ``rows``; the mixture decides how many of them
    come from each source. E epochs are the fewest steps whose batches of ``batch`` rows hold E times ``rows``. BadInput
    if both are given, or if the length is out of bounds.
    """
    if steps is not None and epochs is not None:
        raise BadInput(
            f"a run's length is given in steps or in epochs, and --steps {steps} and --epochs {epochs:g} were given; "
            "leave one out"
        )
    epochs = EPOCHS if epochs is None else epochs
    if not 0 < epochs <= MOST_STEPS:
        raise BadInput(f"--epochs {epochs:g} must be above 0 and at most {MOST_STEPS}; give 3 say")
    steps = steps if steps is not None else max(1, ceil(round(epochs * rows, 6) / batch))
    if not 0 < steps <= MOST_STEPS:
        raise BadInput(
            f"a run of {steps} steps is outside [1, {MOST_STEPS}]; give --steps or --epochs a smaller number"
        )
    return steps
