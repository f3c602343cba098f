"""What a full-length run trains, on what and for how long: everything that can be refused before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import BadInput
from finetune.length import resolve_steps
from finetune.review import ReviewState, require_reviewed, review_state
from lanes import Recipe
from preferences.store.stores import Stores
from probes.inputs.files import rows_digest
from probes.inputs.material import Material
from probes.inputs.sources import good_source
from probes.inputs.training_rows import Pair, check_overlap, quotas
from probes.model.compatibility import Reach, require_fit
from probes.model.load import locate
from probes.rendering.row_check import count, refused_rows


@dataclass(frozen=True)
class FinetuneRequest:
    """A run as a person asks for it; ``origin`` says in words where the recipe comes from."""

    study: str
    material: Material
    recipe: Recipe
    origin: str
    folder: Path
    seed: int
    steps: int | None = None
    epochs: float | None = None
    unreviewed: bool = False


@dataclass(frozen=True)
class Source:
    """A source that the mixture weighs: its file as the study names it, with its digest, its rows, how many of them
    the run draws, who looked at it, and which rows were ``left_out``, in words."""

    name: str
    file: str
    digest: str
    pairs: tuple[Pair, ...]
    drawn: int
    review: ReviewState
    left_out: str = ""


@dataclass(frozen=True)
class Plan:
    """A run that nothing known forbids. ``sources`` in the order of the study."""

    asked: FinetuneRequest
    steps: int
    sources: tuple[Source, ...]

    @property
    def rows(self) -> int:
        """How many rows the run draws."""
        return self.steps * self.asked.recipe.effective_batch

    @property
    def pairs(self) -> Mapping[str, tuple[Pair, ...]]:
        return {source.name: source.pairs for source in self.sources}


def plan(asked: FinetuneRequest, stores: Stores) -> Plan:
    """BadInput for a folder in use, a model that cannot do what the recipe asks, a set that nobody has looked at, an
    export that was changed, data that asks a probe or holdout prompt, and a length that is none."""
    require_empty(asked.folder)
    material, recipe = asked.material, asked.recipe
    locate(material.model, material.folder)
    renderer = require_fit(material, Reach.of(recipe, answers=False))
    files = {name: where for name, where in material.source_files.items() if name in recipe.mixture}
    seen = {name: review_state(name, where, stores) for name, where in files.items()}
    for one in seen.values():
        require_reviewed(one, asked.unreviewed)
    read = {name: good_source(name, where, material.data.bad_rows) for name, where in files.items()}
    if renderer is not None:
        counts = count(renderer, {name: source.pairs for name, source in read.items()}, recipe.max_length)
        refused = refused_rows(counts, files, material.data.bad_rows)
        read = {name: source.without(refused[name]) if refused[name] else source for name, source in read.items()}
    pairs = {name: source.pairs for name, source in read.items()}
    digests = {name: rows_digest(where) for name, where in files.items()}
    check_overlap(files, pairs, material.all_prompts)
    steps = resolve_steps(sum(map(len, pairs.values())), recipe.effective_batch, asked.steps, asked.epochs)
    drawn = quotas(recipe.shares, steps * recipe.effective_batch)
    named = material.data.sources
    sources = (
        Source(name, named[name], digests[name], pairs[name], drawn[name], seen[name], read[name].left_out)
        for name in files
    )
    return Plan(asked, steps, tuple(sources))


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and a full-length run is written to one; name a new one")
