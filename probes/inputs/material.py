"""The material of a study: all inputs of a probe besides its recipe and seed, and their digests for the probe key."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import count
from pathlib import Path

from common.digests import digest_of, file_digest
from common.errors import BadInput
from lanes import Recipe, SourceFilter
from probes.inputs.files.location import Where, located
from probes.inputs.files.records import rows_digest
from probes.inputs.filters import Rows, passing, refusal_of
from probes.inputs.prompts import Prompt, check_categories, check_splits, load_prompts
from probes.inputs.rows.texts import BadRow
from probes.inputs.settings import (
    DataSettings,
    HarvestSettings,
    ModelSettings,
    ProbeSettings,
    PromptSettings,
    ScorerSettings,
    ServingSettings,
)
from probes.inputs.sources import SourceRows, good_source
from probes.inputs.training_rows import TrainingRow, check_overlap
from probes.model.load import base_digest, locate, locate_adapter
from probes.result.reading import ProbeKey
from probes.scoring import scorer_class, scorer_digest


@dataclass(frozen=True)
class Material:
    """The settings of a study, and the folder of its relative paths. It is pickled and sent to workers.

    ``refused``: readable rows that are left out all the same, by source: the tokenizer refuses them, for example.
    """

    folder: Path
    model: ModelSettings
    data: DataSettings
    prompts: PromptSettings
    scorer: ScorerSettings
    probe: ProbeSettings
    serving: ServingSettings = field(default_factory=ServingSettings)
    harvest: HarvestSettings = field(default_factory=HarvestSettings)
    refused: Mapping[str, tuple[BadRow, ...]] = field(default_factory=dict)

    @property
    def prompt_file(self) -> Path:
        return self.folder / self.prompts.file

    @property
    def source_files(self) -> Mapping[str, Where]:
        """The file, folder or hub data set of each source."""
        return {name: located(self.folder, named) for name, named in self.data.sources.items()}

    @cached_property
    def all_prompts(self) -> tuple[Prompt, ...]:
        return load_prompts(self.prompt_file)

    @cached_property
    def probe_prompts(self) -> tuple[Prompt, ...]:
        """The prompts of the split "probe", which decide, in file order."""
        return self.prompts_of("probe")

    def prompts_of(self, split: str) -> tuple[Prompt, ...]:
        """The prompts of a probe on this split, in file order; for the harvest, as many as ``[harvest]`` asks for."""
        own = tuple(prompt for prompt in self.all_prompts if prompt.split == split)
        return evenly(own, self.harvest.prompts) if split == "harvest" else own

    @cached_property
    def read_sources(self) -> Mapping[str, SourceRows]:
        """The sources, with the rows that were left out; BadInput if a bad row is refused."""
        return {name: self._read(name, where) for name, where in self.source_files.items()}

    def _read(self, name: str, where: Where) -> SourceRows:
        source = good_source(name, where, self.data.bad_rows, self.data.prompt_in(name))
        return source.without(self.refused[name]) if self.refused.get(name) else source

    @property
    def sources(self) -> Mapping[str, tuple[TrainingRow, ...]]:
        """The training pairs of each source."""
        return {name: source.pairs for name, source in self.read_sources.items()}

    def filter_refusal(self, recipe: Recipe, before: Recipe | None = None) -> str | None:
        """Why the recipe's filters leave too few rows of a source, or the same rows as those of the recipe ``before``;
        or None. Reads the sources only where a recipe has filters."""
        for name, settings in recipe.filters.items():
            if name in recipe.mixture and (refusal := self._filtered(name, settings)[1]):
                return refusal
        if before is None or recipe.filters == before.filters or recipe.mixture != before.mixture:
            return None
        filters = [{**dict.fromkeys(recipe.mixture, SourceFilter()), **own.filters} for own in (recipe, before)]
        kept, others = ([self._filtered(name, own[name])[0] for name in recipe.mixture] for own in filters)
        if kept == others:
            return "the filter leaves the same rows of every source; move another knob"
        return None

    def _filtered(self, name: str, settings: SourceFilter) -> tuple[Rows, str | None]:
        """The rows of a source that a filter keeps, and why they are too few; each is found once."""
        if (name, settings) not in self._found:
            rows = self.sources[name]
            self._found[name, settings] = passing(rows, settings), refusal_of(name, rows, settings)
        return self._found[name, settings]

    @cached_property
    def _found(self) -> dict[tuple[str, SourceFilter], tuple[Rows, str | None]]:
        return {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """A sentence for each source with rows that were left out."""
        return tuple(source.left_out for source in self.read_sources.values() if source.bad)

    def check(self, categories: Collection[str]) -> None:
        """BadInput for everything that can be refused without training."""
        locate(self.model, self.folder)
        locate_adapter(self.model, self.folder)
        if self.model.chat_template and not (self.folder / self.model.chat_template).is_file():
            raise BadInput(
                f"{self.folder / self.model.chat_template} ([model] chat_template) is no file; check the path"
            )
        check_categories(self.prompt_file, self.all_prompts, categories)
        check_splits(self.prompt_file, self.all_prompts)
        scorer_class(self.scorer.kind).check(self.scorer, self.folder, self.probe_prompts)
        check_overlap(self.source_files, self.sources, self.all_prompts)

    def harvest_key(self, key: ProbeKey) -> ProbeKey:
        """The key of answers to the harvest prompts by the adapters that were trained under this key."""
        prompts = digest_of([key.prompts, self.harvest.prompts])
        return replace(key, split="harvest", samples=self.harvest.samples, prompts=prompts)

    @property
    def prompts_digest(self) -> str:
        """The digest of the prompts file as it is now, and of how the prompts are answered."""
        return digest_of([rows_digest(self.prompt_file), self.probe.model_dump(mode="json", exclude={"seeds"})])

    def key(self, environment: str, base: str | None = None) -> ProbeKey:
        """The probe key of the files as they are now. ``base`` replaces the model's digest if there is no model."""
        return ProbeKey(
            steps=self.probe.steps,
            base=base or base_digest(self.model, self.folder),
            data=digest_of({name: self._digest(name, where) for name, where in self.source_files.items()}),
            prompts=self.prompts_digest,
            scorer=scorer_digest(self.scorer, self.folder),
            samples=self.probe.samples,
            environment=f"{environment} nightlane={code_digest()}{self._served}",
        )

    @property
    def _served(self) -> str:
        """What the probe key says of the server that answers; "" if the worker answers."""
        if self.serving.kind != "endpoint":
            return ""
        return f" served={self.serving.model}" + (" batch-invariant" if self.serving.batch_invariant else "")

    def _digest(self, name: str, where: Where) -> str:
        """The digest of the rows that a source contributes now."""
        files, prompts = rows_digest(where), self.data.prompt_in(name)
        if self.data.bad_rows == "refuse":
            return files if prompts is None else digest_of([files, prompts])
        source = self.read_sources[name]
        return (source if source.files == files else self._read(name, where)).digest


def evenly(prompts: Sequence[Prompt], number: int) -> tuple[Prompt, ...]:
    """At most ``number`` prompts in their order; the first of each category count before the second of any."""
    places: dict[str, count[int]] = defaultdict(count)
    ranked = sorted((next(places[prompt.category]), place) for place, prompt in enumerate(prompts))
    return tuple(prompts[place] for place in sorted(place for _, place in ranked[:number]))


@cache
def code_digest() -> str:
    """The digest of probes/ and sandbox/, the code that makes readings: after an edit, old baselines are not used."""
    here = Path(__file__).parents[1]
    files = sorted([*here.rglob("*.py"), *(here.parent / "sandbox").rglob("*.py")])
    return digest_of([file_digest(path) for path in files])[:8]
