"""What a full-length run trains, on what and for how long: everything that can be refused before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.length import steps_of
from finetune.review import Looked, looked, require_looked
from lanes import Recipe
from lanes.errors import BadInput
from preferences.stores import Stores
from probes.base import file_digest, locate
from probes.data import Pair, check_overlap, load_source, quotas
from probes.material import Material


@dataclass(frozen=True)
class Asked:
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
    the run draws, and who looked at it."""

    name: str
    file: str
    digest: str
    pairs: tuple[Pair, ...]
    drawn: int
    looked: Looked


@dataclass(frozen=True)
class Plan:
    """A run that nothing known forbids. ``sources`` in the order of the study."""

    asked: Asked
    steps: int
    sources: tuple[Source, ...]

    @property
    def rows(self) -> int:
        """How many rows the run draws."""
        return self.steps * self.asked.recipe.effective_batch

    @property
    def pairs(self) -> Mapping[str, tuple[Pair, ...]]:
        return {source.name: source.pairs for source in self.sources}


def plan(asked: Asked, stores: Stores) -> Plan:
    """BadInput for a folder in use, a set that nobody has looked at, an export that was changed, data that asks a probe
    or holdout prompt, and a length that is none."""
    require_empty(asked.folder)
    material, recipe = asked.material, asked.recipe
    locate(material.model, material.folder)
    files = {name: path for name, path in material.source_files.items() if name in recipe.mixture}
    seen = {name: looked(name, path, stores) for name, path in files.items()}
    for one in seen.values():
        require_looked(one, asked.unreviewed)
    pairs = {name: load_source(name, path) for name, path in files.items()}
    digests = {name: file_digest(path) for name, path in files.items()}
    check_overlap(files, pairs, material.all_prompts)
    steps = steps_of(sum(map(len, pairs.values())), recipe.effective_batch, asked.steps, asked.epochs)
    drawn = quotas(recipe.shares, steps * recipe.effective_batch)
    named = material.data.sources
    sources = (Source(name, named[name], digests[name], pairs[name], drawn[name], seen[name]) for name in files)
    return Plan(asked, steps, tuple(sources))


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and a full-length run is written to one; name a new one")
