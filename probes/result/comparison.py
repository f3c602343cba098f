"""Compares a candidate with its baseline: paired differences per prompt and seed, with an interval that covers the
variance between training seeds and between prompts. Pure functions of readings.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy
from numpy.typing import NDArray

from common.errors import UnlikeReadings
from probes.result.reading import Reading
from probes.result.variance_pooling import MOST_FREEDOM, UNKNOWN, Spread, is_alike

OVERALL = "overall"

Table: TypeAlias = NDArray[numpy.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline on the 0 to 10 scale, in one category or overall.

    ``n``: prompts. ``standard_error``, with ``freedom`` degrees of freedom, and the interval [low, high] cover prompts,
    training seeds and sampling. ``variance``: between seeds, of one seed's mean difference, estimated from this
    comparison alone.
    """

    category: str
    n: int
    candidate: float
    baseline: float
    delta: float
    standard_error: float
    low: float
    high: float
    variance: float
    freedom: float

    def bound(self, level: float) -> float:
        """The lower confidence bound: the true value is below it with chance ``level``."""
        return self.delta - quantile(level, self.freedom) * self.standard_error


@dataclass(frozen=True, slots=True)
class Choice:
    """A judge's choice between the answers of both sides to one prompt: +1 if the candidate's is better, -1 if the
    baseline's is, 0 for a tie."""

    seed: int
    prompt: str
    sample: int
    value: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How many choices the candidate won, lost and tied."""

    won: int
    lost: int
    tied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Differences by category, ``overall`` included; the shared seeds; critical failures per side; and the tally if the
    differences are of choices."""

    differences: Mapping[str, Difference]
    seeds: tuple[int, ...]
    confidence: float
    critical_candidate: int
    critical_baseline: int
    tally: Tally | None = None


def compare(
    candidate: Sequence[Reading],
    baseline: Sequence[Reading],
    confidence: float = 0.95,
    choices: Sequence[Choice] | None = None,
    spreads: Mapping[str, Spread] | None = None,
) -> Comparison:
    """Compare readings of two recipes, paired by seed, prompt and sample. ``spreads``: prior estimates of the variance
    between seeds, by category, from other comparisons.

    ``choices`` replace the scores: a win is 10 for the winner and 0 for the other side, a tie is 5 for both, so that a
    difference is 10 x (share won - share lost).

    UnlikeReadings when probe keys or seeds differ, or when there is only one seed and a category has no prior estimate.
    """
    key = baseline[0].key if baseline else candidate[0].key
    for reading in [*candidate, *baseline]:
        key.require_equal(reading.key)
    seeds = tuple(sorted(reading.seed for reading in candidate))
    if seeds != tuple(sorted(reading.seed for reading in baseline)) or len(set(seeds)) != len(seeds):
        raise UnlikeReadings(
            f"readings are paired by seed and the sides hold {seeds} and "
            f"{tuple(sorted(r.seed for r in baseline))}; measure the same seeds on both sides"
        )
    mine, theirs, names = _tables(candidate, baseline, choices)
    if len(seeds) < 2 and not all((spreads or {}).get(name, UNKNOWN).freedom for _, name in names):
        raise UnlikeReadings(
            f"one pair of readings (seed {seeds}) does not show how seeds differ and nothing else is known of it; "
            "measure two or more seeds on both sides"
        )
    categories = [category for _, category in names]
    found = differences(mine, theirs, categories, confidence, spreads)
    return Comparison(
        differences=found,
        seeds=seeds,
        confidence=confidence,
        critical_candidate=sum(reading.critical_failures for reading in candidate),
        critical_baseline=sum(reading.critical_failures for reading in baseline),
        tally=None if choices is None else _tally(choices),
    )


def differences(
    mine: Table,
    theirs: Table,
    categories: Sequence[str],
    confidence: float = 0.95,
    spreads: Mapping[str, Spread] | None = None,
) -> dict[str, Difference]:
    """The differences overall and by category. ``mine``, ``theirs``: mean scores [seeds, prompts]; ``categories``: of
    the prompts. ``spreads`` are ignored if these pairs are noisier on average."""
    places = {name: [i for i, own in enumerate(categories) if own == name] for name in sorted(set(categories))}
    columns = {OVERALL: list(range(len(categories))), **places}
    between = {name: _between(mine[:, own] - theirs[:, own]) for name, own in columns.items()}
    known = (spreads or {}) if is_alike({name: between[name] for name in places}, spreads or {}) else {}
    return {
        name: _difference(name, mine[:, own], theirs[:, own], between[name], confidence, known.get(name, UNKNOWN))
        for name, own in columns.items()
    }


def comparison_from(data: Mapping[str, Any]) -> Comparison:
    """The inverse of ``dataclasses.asdict``, and of what JSON makes of it."""
    unknown = {"variance": 0.0, "freedom": 0.0, "standard_error": 0.0}  # what older versions did not store
    found = {name: Difference(**{**unknown, **own}) for name, own in data["differences"].items()}
    tally = Tally(**data["tally"]) if data.get("tally") else None
    return Comparison(**{**data, "differences": found, "seeds": tuple(data["seeds"]), "tally": tally})


def _tally(choices: Sequence[Choice]) -> Tally:
    values = [choice.value for choice in choices]
    return Tally(sum(v > 0 for v in values), sum(v < 0 for v in values), sum(v == 0 for v in values))


def _tables(
    candidate: Sequence[Reading], baseline: Sequence[Reading], choices: Sequence[Choice] | None
) -> tuple[Table, Table, list[tuple[str, str]]]:
    """Means over samples of both sides, shape [seeds, prompts], seeds ascending; and (prompt, category) per column.

    A sample without a score on one side counts on neither. A prompt without any such sample for a seed is left out.
    """
    if choices is None:
        sides = [[_scores(reading) for reading in _by_seed(side)] for side in (candidate, baseline)]
    else:
        sides = [[_chosen(reading.seed, choices, sign) for reading in _by_seed(candidate)] for sign in (1, -1)]
    asked = [_prompts(reading) for reading in (*candidate, *baseline)]
    if any(prompts != asked[0] for prompts in asked):
        raise UnlikeReadings("readings are paired by prompt and the sides hold different prompts; measure both anew")
    shared = [mine.keys() & theirs.keys() for mine, theirs in zip(*sides, strict=True)]
    scored = [{prompt for prompt, _ in keys} for keys in shared]
    kept = [name for name in asked[0] if all(name[0] in prompts for prompts in scored)]
    if {category for _, category in kept} != {category for _, category in asked[0]}:
        raise UnlikeReadings("a category has no prompt with a score on both sides; measure both anew")
    means = [[_means(scores, keys) for scores, keys in zip(own, shared, strict=True)] for own in sides]
    mine, theirs = (numpy.array([[row[prompt] for prompt, _ in kept] for row in own]) for own in means)
    return mine, theirs, kept


def _by_seed(side: Sequence[Reading]) -> list[Reading]:
    return sorted(side, key=lambda reading: reading.seed)


def _chosen(seed: int, choices: Sequence[Choice], sign: int) -> dict[tuple[str, int], float]:
    """Choices as scores of one side."""
    return {(choice.prompt, choice.sample): 5 + 5 * sign * choice.value for choice in choices if choice.seed == seed}


def _scores(reading: Reading) -> dict[tuple[str, int], float]:
    return {(score.prompt, score.sample): score.value for score in reading.scores}


def _prompts(reading: Reading) -> list[tuple[str, str]]:
    """Every prompt that was asked, scored or not, with its category; sorted."""
    scored = {(score.prompt, score.category) for score in reading.scores}
    return sorted(scored | {(item.prompt, item.category) for item in reading.missing})


def _means(scores: Mapping[tuple[str, int], float], keys: Collection[tuple[str, int]]) -> dict[str, float]:
    """Per prompt, over the samples in `keys`."""
    values: dict[str, list[float]] = {}
    for key, value in scores.items():
        if key in keys:
            values.setdefault(key[0], []).append(value)
    return {prompt: math.fsum(own) / len(own) for prompt, own in values.items()}


def _between(differences: Table) -> float:
    """The variance between seeds of a [seeds, prompts] table; 0 for a single seed."""
    return float(differences.mean(axis=1).var(ddof=1)) if len(differences) > 1 else 0.0


def _difference(
    category: str, mine: Table, theirs: Table, between: float, confidence: float, known: Spread
) -> Difference:
    table = mine - theirs
    error, freedom = _standard_error(table, between, known)
    delta = float(table.mean())
    half = quantile((1 - confidence) / 2, freedom) * error
    return Difference(
        category=category,
        n=mine.shape[1],
        candidate=float(mine.mean()),
        baseline=float(theirs.mean()),
        delta=delta,
        standard_error=error,
        low=delta - half,
        high=delta + half,
        variance=between,
        freedom=freedom,
    )


def standard_error(differences: Table, known: Spread = UNKNOWN) -> tuple[float, float]:
    """Standard error of the grand mean of a [seeds, prompts] table, both random, and its degrees of freedom.

    The variance between seeds is pooled with the prior ``known`` (variance_pooling.py), which lowers it only if the
    prior is from the same two recipes. It is at least MS_rest / prompts. A recipe that helps some prompts and harms
    others adds the component of a two-way crossed design without replication (Searle, Casella & McCulloch 1992, ch. 4):
    (MS_prompts - MS_rest) / seeds, or 0 if negative.
    """
    return _standard_error(differences, _between(differences), known)


def _standard_error(differences: Table, own: float, known: Spread) -> tuple[float, float]:
    """``own``: the variance between seeds, from these differences."""
    seeds, prompts = differences.shape
    if seeds == 1:
        return math.sqrt(known.variance), min(known.freedom, MOST_FREEDOM)
    by_seed, by_prompt = differences.mean(axis=1), differences.mean(axis=0)
    spread = known.with_own(own, seeds - 1)
    variance = spread.variance if known.same_recipes else max(own, spread.variance)
    if prompts == 1:
        return math.sqrt(variance / seeds), spread.freedom
    grand = differences.mean()
    ms_prompts = seeds * float(((by_prompt - grand) ** 2).sum()) / (prompts - 1)
    rest = differences - by_seed[:, None] - by_prompt[None, :] + grand
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (prompts - 1))
    between = max(variance, ms_rest / prompts)
    return math.sqrt((between + max(0.0, ms_prompts - ms_rest) / prompts) / seeds), spread.freedom


def quantile(level: float, freedom: float) -> float:
    """The value that Student's t exceeds with chance ``level``. Imports scipy on first use."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1.0), 1 - level))
