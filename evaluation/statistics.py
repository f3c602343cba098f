"""pass@k with a confidence interval, and the paired difference of pass@1. Pure functions of results."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy
from numpy.typing import NDArray

from evaluation.results import ScoredSample
from probes.result.comparison import quantile
from probes.result.proportions import proportion_interval

Counts = dict[int, dict[str, tuple[int, int]]]
"""By seed and problem: (number of answers, number that pass)."""

Table = NDArray[numpy.float64]
"""Shape [seeds, problems]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate:
    """pass@k from 0 to 1: the mean over ``problems`` and seeds, and by seed in ``seeds``.

    deviation: between seeds; None with one seed. The interval covers problems and seeds; None with one problem, or if
    the seeds have different problems.
    """

    k: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    seeds: Mapping[int, float]
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassDifference:
    """pass@1 after minus before, over the ``problems`` that both sides answered.

    seeds: how many are paired; 0 if the sides' seeds differ. With 0 or 1 the interval covers problems and sampling, not
    seeds. None with one problem.
    """

    delta: float
    low: float | None
    high: float | None
    problems: int
    seeds: int


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of k answers passes, estimated without bias from n answers of which c pass.

    Chen et al. 2021 (arXiv:2107.03374), section 2.1: 1 - C(n - c, k) / C(n, k), here in whole numbers up to the last
    division. ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, and has n={n}, c={c}, k={k}")
    total = math.comb(n, k)
    return (total - math.comb(n - c, k)) / total


def pass_rates(results: Sequence[ScoredSample], ks: Sequence[int], confidence: float = 0.95) -> tuple[PassRate, ...]:
    """pass@k for each k for which every problem of every seed has enough answers; empty without results."""
    counts = _counts(results)
    fewest = min((n for row in counts.values() for n, _ in row.values()), default=0)
    return tuple(_pass_rate(counts, k, confidence) for k in sorted(set(ks)) if k <= fewest)


def pass_difference(
    before: Sequence[ScoredSample], after: Sequence[ScoredSample], confidence: float = 0.95
) -> PassDifference | None:
    """The change of pass@1, paired by problem, and by seed where both sides have the same seeds or one has only one.

    None when the sides have no problem in common.
    """
    mine, theirs = _counts(after), _counts(before)
    shared = sorted(_problems(mine) & _problems(theirs))
    if not shared:
        return None
    table, seeds = _paired(mine, theirs, shared)
    low, high = _interval(table, confidence, -1.0)
    return PassDifference(delta=float(table.mean()), low=low, high=high, problems=len(shared), seeds=seeds)


def _counts(results: Sequence[ScoredSample]) -> Counts:
    counts: Counts = {}
    for result in sorted(results, key=lambda r: r.seed):
        row = counts.setdefault(result.seed, {})
        n, c = row.get(result.problem, (0, 0))
        row[result.problem] = (n + 1, c + result.passed)
    return counts


def _problems(counts: Counts) -> set[str]:
    return set[str]().union(*counts.values())


def _pass_rate(counts: Counts, k: int, confidence: float) -> PassRate:
    rates = {seed: {name: pass_at_k(n, c, k) for name, (n, c) in row.items()} for seed, row in counts.items()}
    seeds = {seed: fmean(row.values()) for seed, row in rates.items()}
    names, low, high = _problems(counts), None, None
    if all(row.keys() == names for row in rates.values()):
        table = numpy.array([[row[name] for name in sorted(names)] for row in rates.values()])
        low, high = _interval(table, confidence, 0.0)
    deviation = stdev(seeds.values()) if len(seeds) > 1 else None
    return PassRate(
        k=k, mean=fmean(seeds.values()), deviation=deviation, low=low, high=high, seeds=seeds, problems=len(names)
    )


def _paired(mine: Counts, theirs: Counts, shared: Sequence[str]) -> tuple[Table, int]:
    """Differences of pass@1 and the number of paired seeds; one row of means if seeds cannot be paired."""
    alone = min(len(mine), len(theirs)) == 1
    full = all(set(shared) <= row.keys() for row in [*mine.values(), *theirs.values()])
    if full and (alone or mine.keys() == theirs.keys()):
        return _rates(mine, shared) - _rates(theirs, shared), max(len(mine), len(theirs))
    return _means(mine, shared) - _means(theirs, shared), 0


def _rates(counts: Counts, shared: Sequence[str]) -> Table:
    return numpy.array([[row[name][1] / row[name][0] for name in shared] for row in counts.values()])


def _means(counts: Counts, shared: Sequence[str]) -> Table:
    found = [[row[name] for row in counts.values() if name in row] for name in shared]
    return numpy.array([[sum(c for _, c in cells) / sum(n for n, _ in cells) for cells in found]])


def _interval(table: Table, confidence: float, least: float) -> tuple[float | None, float | None]:
    """The interval of the grand mean within [least, 1]; (None, None) for one problem."""
    problems = table.shape[1]
    if problems < 2:
        return None, None
    mean = float(table.mean())
    if least == 0.0 and (mean == 0.0 or table.min() == 1.0):
        # All problems pass or none does: the variance is 0, but not the uncertainty, so take that of a proportion.
        return proportion_interval(problems if mean else 0, problems, confidence)
    low, high = mean_interval(table, confidence)
    return max(least, low), min(1.0, high)


def mean_interval(table: Table, confidence: float) -> tuple[float, float]:
    """The interval of the grand mean of a [seeds, prompts] table of two prompts or more. It covers prompts, sampling
    and, with two seeds or more, seeds."""
    seeds, problems = table.shape
    mean = float(table.mean())
    if seeds > 1:
        error, freedom = crossed_standard_error(table)
    else:
        error, freedom = float(table.std(ddof=1)) / math.sqrt(problems), problems - 1.0
    half = quantile((1 - confidence) / 2, freedom) * error
    return mean - half, mean + half


def crossed_standard_error(differences: Table) -> tuple[float, float]:
    """Standard error of the grand mean of a [seeds, prompts] table, both random, and its degrees of freedom.

    Two-way crossed random effects without replication (Searle, Casella & McCulloch 1992, ch. 4): the variance of the
    mean is (MS_seeds + MS_prompts - MS_rest) / (S P), with Satterthwaite's (1946) degrees of freedom. Where the
    estimate falls below MS_rest / (S P), a negative variance component, that is used instead.

    With two or three seeds MS_seeds is often small by chance, and the formula then claims too many degrees of freedom;
    they are held to 4 (S - 1).
    """
    seeds, prompts = differences.shape
    grand = differences.mean()
    by_seed, by_prompt = differences.mean(axis=1), differences.mean(axis=0)
    ms_seeds = prompts * float(((by_seed - grand) ** 2).sum()) / (seeds - 1)
    if prompts == 1:
        return math.sqrt(ms_seeds / seeds), float(seeds - 1)
    ms_prompts = seeds * float(((by_prompt - grand) ** 2).sum()) / (prompts - 1)
    rest = differences - by_seed[:, None] - by_prompt[None, :] + grand
    rest_freedom = (seeds - 1) * (prompts - 1)
    ms_rest = float((rest**2).sum()) / rest_freedom
    total = ms_seeds + ms_prompts - ms_rest
    most = 4.0 * (seeds - 1)
    if total <= ms_rest:
        return math.sqrt(ms_rest / (seeds * prompts)), min(rest_freedom, most)
    spread = ms_seeds**2 / (seeds - 1) + ms_prompts**2 / (prompts - 1) + ms_rest**2 / rest_freedom
    return math.sqrt(total / (seeds * prompts)), min(total**2 / spread, most)
