"""The true effects of the recorded recipes: their means and differences from the start, over all seeds of the pool.

The errors cover training seeds, data orders and the random numbers of answers, but not the choice of prompts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from bench.recorded.plan import START
from bench.recorded.pool import Pool
from lanes import show
from probes.result.comparison import OVERALL
from probes.result.reading import Failure, Reading

TARGET = "imports"


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds with its standard error and 95 % interval (Student's t)."""

    mean: float
    error: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> SeedMean:
    from scipy.special import stdtrit

    mean, error = fmean(values), stdev(values) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.975)) * error
    return SeedMean(mean, error, mean - half, mean + half, len(values))


def readings(pool: Pool, name: str, split: str = "probe") -> list[Reading]:
    """The readings of a recipe by seed, without failures."""
    return [outcome for outcome in pool.outcomes(name, split) if isinstance(outcome, Reading)]


def failures(pool: Pool, name: str, split: str = "probe") -> list[Failure]:
    return [outcome for outcome in pool.outcomes(name, split) if isinstance(outcome, Failure)]


def level(pool: Pool, name: str, category: str, split: str = "probe") -> SeedMean:
    return estimate([reading.mean(category) for reading in readings(pool, name, split)])


def effect(pool: Pool, name: str, category: str, split: str = "probe") -> SeedMean:
    """The difference of a recipe from the start, paired by seed."""
    start = {reading.seed: reading.mean(category) for reading in readings(pool, START, split)}
    return estimate([r.mean(category) - start[r.seed] for r in readings(pool, name, split)])


def categories(pool: Pool) -> list[str]:
    """The categories: target, guards, overall."""
    names = list(dict.fromkeys(category for _, category in pool.prompts("probe")))
    return [TARGET, *(name for name in names if name != TARGET), OVERALL]


def markdown(pool: Pool) -> str:
    first, last = pool.content["recorded"]
    parts = [
        "# Recorded training: the truth",
        "",
        f"`python -m bench.recorded record`, {first} to {last}, {pool.worker_seconds:.0f} s of two workers.",
        "",
        f"{pool.content['versions']}.",
        "",
        (__doc__ or "").split("\n\n", 1)[1].replace("\n", " ").strip(),
        "",
        "## Recipes",
        "",
        "| recipe | mutation | outcomes on probe prompts | on holdout prompts |",
        "|---|---|---|---|",
        *(_recipe_row(pool, name) for name in pool.recipes),
        "",
    ]
    for split in ("probe", "holdout"):
        parts += [f"## Mean score (0 to 10) ± standard error, {split} prompts", "", *_levels(pool, split), ""]
        parts += [f"## Difference to the start [95 % interval], {split} prompts", "", *_effects(pool, split), ""]
    return "\n".join(parts)


def _recipe_row(pool: Pool, name: str) -> str:
    one = pool.content["recipes"][name]
    mutation = f"{one['knob']} {show(one['before'])} -> {show(one['after'])}" if one["knob"] else "none"
    return f"| {name} | {mutation} | {_outcomes(pool, name, 'probe')} | {_outcomes(pool, name, 'holdout')} |"


def _outcomes(pool: Pool, name: str, split: str) -> str:
    failed = failures(pool, name, split)
    said = sorted({f"{failure.kind} ({failure.message})" for failure in failed})
    scored = len(readings(pool, name, split))
    parts = {f"{scored} readings": scored, f"{len(failed)} failures: {', '.join(said)}": len(failed)}
    return "; ".join(part for part, count in parts.items() if count)


def _levels(pool: Pool, split: str) -> list[str]:
    rows = [
        [f"{found.mean:.2f} ± {found.error:.2f}" for found in (level(pool, name, c, split) for c in categories(pool))]
        for name in _scored(pool, split)
    ]
    return _table(pool, split, _scored(pool, split), rows)


def _effects(pool: Pool, split: str) -> list[str]:
    names = [name for name in _scored(pool, split) if name != START]
    rows = [
        [f"{e.mean:+.2f} [{e.low:+.2f}, {e.high:+.2f}]" for e in (effect(pool, n, c, split) for c in categories(pool))]
        for n in names
    ]
    return _table(pool, split, names, rows)


def _scored(pool: Pool, split: str) -> list[str]:
    return [name for name in pool.recipes if len(readings(pool, name, split)) > 1]


def _table(pool: Pool, split: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = ["recipe", "seeds", *categories(pool)]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for name, row in zip(names, rows, strict=True):
        lines.append(f"| {name} | {len(readings(pool, name, split))} | {' | '.join(row)} |")
    return lines
