"""The pool of recorded readings, one compressed JSON file, and a runner that resamples nights from it.

    pool = load(Path("bench/results/recorded.json.gz"))
    pool.reading("helper", "probe", 7)             # as recorded
    PoolRunner(pool, repetition=3).run(probes, listener)

A score is stored as its place in ``marks``, the list of different (value, components, critical, outcome).
"""

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, Self

from bench.recorded.plan import START
from common.digests import digest_of
from common.errors import NightlaneError
from lanes import Recipe
from probes.endpoint.spending import Allowance
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading, Score, Timing
from probes.run.protocol import Listener, OnOutcome, Progress, WorkerStatus, ignore_outcome


class PoolExhausted(NightlaneError):
    """A repetition needs more training seeds of a split than were recorded."""


@dataclass(frozen=True)
class Pool:
    """The recorded readings. ``content``: the file that record.py writes. Readings are created on demand."""

    content: Mapping[str, Any]
    _effects: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    _outcomes: dict[tuple[str, str], Sequence[Outcome]] = field(default_factory=dict)

    @cached_property
    def key(self) -> ProbeKey:
        """The probe key of the recording, with split "probe"."""
        return ProbeKey(**self.content["key"])

    @cached_property
    def recipes(self) -> Mapping[str, Recipe]:
        return {name: Recipe.model_validate(one["recipe"]) for name, one in self.content["recipes"].items()}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Recipe digest -> its name in the plan."""
        return {recipe.digest: name for name, recipe in self.recipes.items()}

    @property
    def study_text(self) -> str:
        text: str = self.content["study"]
        return text

    def prompts(self, split: str) -> list[tuple[str, str]]:
        """(id, category) in file order."""
        return [(one, category) for one, category in self.content["prompts"][split]]

    @property
    def worker_seconds(self) -> float:
        """Seconds of all readings, summed over the workers."""
        rows = [row for splits in self.content["outcomes"].values() for found in splits.values() for row in found]
        return math.fsum(row["timing"][-1] for row in rows if "timing" in row)

    def size(self, name: str, split: str) -> int:
        """How many seeds of a recipe were recorded."""
        return len(self.content["outcomes"].get(name, {}).get(split, ()))

    def reading(self, name: str, split: str, index: int, probe: Probe | None = None) -> Outcome:
        """The recorded reading, as the outcome of ``probe`` with its id, key, seed and number of samples.

        IndexError for an index beyond the recording; a Failure for another key.
        """
        row = self.content["outcomes"][name][split][index]
        asked = probe or Probe(self.recipes[name], replace(self.key, split=split), row["seed"])
        if "failure" in row:
            return Failure(asked.id, asked.seed, **row["failure"])
        if asked.key.steps != self.key.steps or asked.key.samples > self.key.samples:
            return Failure(asked.id, asked.seed, "error", self._unlike(asked.key))
        return Reading(
            probe=asked.id,
            recipe=asked.recipe.digest,
            key=asked.key,
            seed=asked.seed,
            scores=self._scores(row, split, asked.key.samples),
            final=row["final"],
            timing=Timing(*row["timing"]),
            tokens=row["tokens"],
            peak_gb=row["peak_gb"],
        )

    def outcomes(self, name: str, split: str) -> Sequence[Outcome]:
        """All that was recorded of a recipe on a split, created once."""
        if (name, split) not in self._outcomes:
            self._outcomes[name, split] = [self.reading(name, split, index) for index in range(self.size(name, split))]
        return self._outcomes[name, split]

    def members(self, recipe: Recipe) -> tuple[str, ...]:
        """The recorded recipes whose changes together make this recipe; empty if no set of them does."""
        start, wanted = self.recipes[START].model_dump(), recipe.model_dump()
        changed, covered, found = {name for name in wanted if wanted[name] != start[name]}, set[str](), []
        for name, recorded in self.recipes.items():
            own = {field: value for field, value in recorded.model_dump().items() if value != start[field]}
            if own and all(wanted[field] == value for field, value in own.items()):
                covered |= set(own)
                found.append(name)
        return tuple(found) if covered == changed else ()

    def combined(self, names: Sequence[str], split: str, index: int, probe: Probe) -> Outcome:
        """The outcome of several recorded changes together, if effects add up: the reading of the first plus, for each
        prompt, the mean effects of the others. If one of them failed, that failure is the outcome. A change that was
        not recorded on the split adds nothing."""
        recorded = [name for name in names if self.size(name, split)]
        outcomes = [self.reading(name, split, index % self.size(name, split), probe) for name in recorded]
        failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        first = outcomes[0]
        if failure is not None or isinstance(first, Failure):
            return failure or first
        effects = [self._mean_effects(name, split) for name in recorded[1:]]
        scores = tuple(
            replace(score, value=min(10.0, max(0.0, score.value + sum(own[score.prompt] for own in effects))))
            for score in first.scores
        )
        return replace(first, scores=scores)

    def _mean_effects(self, name: str, split: str) -> Mapping[str, float]:
        """For each prompt, the mean over all seeds and answers, minus that of the start."""
        if (name, split) not in self._effects:
            mine, theirs = (self._means(one, split) for one in (name, START))
            self._effects[name, split] = {prompt: mine[prompt] - theirs[prompt] for prompt in theirs}
        return self._effects[name, split]

    def _means(self, name: str, split: str) -> Mapping[str, float]:
        values: dict[str, list[float]] = {}
        for index in range(self.size(name, split)):
            if isinstance(reading := self.reading(name, split, index), Reading):
                for score in reading.scores:
                    values.setdefault(score.prompt, []).append(score.value)
        return {prompt: math.fsum(found) / len(found) for prompt, found in values.items()}

    def _scores(self, row: Mapping[str, Any], split: str, samples: int) -> tuple[Score, ...]:
        marks, each = self.content["marks"], self.key.samples
        places = row["scores"]
        return tuple(
            Score(prompt, sample, category, value, components, tuple(critical), outcome)
            for number, (prompt, category) in enumerate(self.prompts(split))
            for sample in range(samples)
            for value, components, critical, outcome in [marks[places[number * each + sample]]]
        )

    def _unlike(self, key: ProbeKey) -> str:
        return (
            f"the pool holds probes of {self.key.steps} steps with {self.key.samples} answers per prompt and this one "
            f"asks for {key.steps} and {key.samples}; ask for those steps and at most so many answers"
        )


def load(path: Path) -> Pool:
    return Pool(json.loads(gzip.decompress(path.read_bytes())))


@dataclass
class PoolRunner:
    """A Runner that plays one repetition of a night from the pool, without training.

    Each new training seed of a split gets the next index of the pool in a random order, which the repetition decides.
    All recipes have the same index for the same seed, so both sides of a pair were recorded with one seed. A recipe
    with fewer recorded seeds (one that fails) starts over at its first. For a recipe that joins several recorded
    changes, their effects are added.
    """

    pool: Pool
    repetition: int
    width: int = 1
    environment: str = "recorded"
    about: str = "scorer: recorded"
    workers: tuple[WorkerStatus, ...] = ()
    _given: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return digest_of(["recorded", self.pool.key.digest])

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        outcomes = []
        for probe in batch:
            outcomes.append(self._outcome(probe))
            listener(Progress(probe.id, "done", probe.key.steps, probe.key.steps))
            keep(probe, outcomes[-1])
        return outcomes

    def index(self, split: str, seed: int) -> int:
        """The index of a training seed in the pool, chosen at its first use; PoolExhausted if none is left."""
        if (split, seed) not in self._given:
            order = list(range(self.pool.size(START, split)))
            Random(f"{self.repetition}|{split}").shuffle(order)
            used = sum(1 for other, _ in self._given if other == split)
            if used >= len(order):
                raise PoolExhausted(
                    f"a repetition asked for {used + 1} training seeds of the split {split!r} and {len(order)} were "
                    "recorded; let it make fewer probes, or record more seeds in bench/recorded/plan.py"
                )
            self._given[split, seed] = order[used]
        return self._given[split, seed]

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _outcome(self, probe: Probe) -> Outcome:
        names, split = self.pool.members(probe.recipe), probe.key.split
        if probe.recipe.digest in self.pool.names:
            names = (self.pool.names[probe.recipe.digest],)
        if not any(self.pool.size(name, split) for name in names):
            what = f"the recipe {names[0]!r} on the split {split!r}" if names else f"the recipe {probe.recipe.digest}"
            known = ", ".join(one for one in self.pool.recipes if self.pool.size(one, split))
            message = f"the pool does not hold {what}; on this split it holds {known}"
            return Failure(probe.id, probe.seed, "error", message)
        return self.pool.combined(names, split, self.index(split, probe.seed), probe)
