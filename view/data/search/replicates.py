"""The replicates behind a stack's decision: each seed's paired difference, from the probe directories."""

from dataclasses import dataclass

from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from view.data.search.stacks import ConfirmedStack
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """A pair of probes. ``candidate_seed`` differs from ``seed`` only in an A/A test. Scores and difference are None if
    a probe directory is gone, or if the study decides by choices."""

    seed: int
    candidate_seed: int
    candidate: float | None
    baseline: float | None
    difference: float | None


def replicates(record: SessionRecord, stack: ConfirmedStack) -> tuple[Replicate, ...]:
    """The pairs' scores in the target, in the order in which they were looked at."""
    seeds = stack.confirmed.seeds if stack.confirmed else ()
    mine, theirs = _by_seed(record, stack.recipe), _by_seed(record, stack.incumbent)
    return tuple(_replicate(record, seed, own, mine.get(own), theirs.get(seed)) for own, seed in seeds)


def measured_pairs(record: SessionRecord, stack: ConfirmedStack) -> tuple[tuple[Reading, Reading], ...]:
    """The readings of the stack's recipe and of the incumbent, pair by pair, where both exist."""
    seeds = stack.confirmed.seeds if stack.confirmed else ()
    mine, theirs = _by_seed(record, stack.recipe), _by_seed(record, stack.incumbent)
    return tuple((mine[own], theirs[seed]) for own, seed in seeds if own in mine and seed in theirs)


def selecting_seeds(record: SessionRecord, recipe: str) -> set[int]:
    """The seeds of a kept recipe's readings in waves and earlier sessions. These readings helped to select the recipe,
    so its scores under these seeds are biased upwards."""
    if not any(row.status == "KEEP" and row.incumbent == recipe for row in record.decisions):
        return set()
    waves = {wave.seed for wave in record.waves if any(made.digest == recipe for made in wave.recipes)}
    return waves | {row.seed for row in record.borrowed if row.recipe == recipe}


def _by_seed(record: SessionRecord, recipe: str) -> dict[int, Reading]:
    return {reading.seed: reading for reading in record.readings(recipe)}


def _replicate(record: SessionRecord, seed: int, own: int, mine: Reading | None, theirs: Reading | None) -> Replicate:
    candidate = baseline = difference = None
    if mine is not None and theirs is not None and not record.study.scorer.chooses:
        candidate, baseline = _means(mine, theirs, record.study.target)
        difference = candidate - baseline
    return Replicate(seed=seed, candidate_seed=own, candidate=candidate, baseline=baseline, difference=difference)


def _means(mine: Reading, theirs: Reading, category: str) -> tuple[float, float]:
    """The mean scores of both sides over the prompts for which both have a score."""
    scores = [
        {(s.prompt, s.sample): s.value for s in side.scores if category in (OVERALL, s.category)}
        for side in (mine, theirs)
    ]
    shared = scores[0].keys() & scores[1].keys()
    prompts = {prompt for prompt, _ in shared}
    found = []
    for side in scores:
        own = {prompt: [side[key] for key in shared if key[0] == prompt] for prompt in prompts}
        found.append(sum(sum(values) / len(values) for values in own.values()) / len(own))
    return found[0], found[1]
