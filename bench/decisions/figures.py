"""The figures of a policy's nights, for each family and pooled over the families, with textbook 95 % intervals that a
reader can check."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy
from scipy.stats import chi2, t

from bench.decisions.record import DecisionEvent, NightRecord
from bench.decisions.truth import MARGIN
from probes.result.proportions import proportion_interval


@dataclass(frozen=True, slots=True)
class EstimatedFigure:
    """A figure with its interval over ``n`` cases; NaN if there are none."""

    value: float
    low: float
    high: float
    n: int


NOTHING = EstimatedFigure(math.nan, math.nan, math.nan, 0)


def proportion(hits: int, n: int) -> EstimatedFigure:
    """Wilson's score interval (Wilson 1927)."""
    if not n:
        return NOTHING
    return EstimatedFigure(hits / n, *proportion_interval(hits, n, method="wilson"), n)


def rate(events: int, n: int) -> EstimatedFigure:
    """Events per night, with the exact interval of a Poisson count (Garwood 1936)."""
    if not n:
        return NOTHING
    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return EstimatedFigure(events / n, float(low) / n, float(chi2.ppf(0.975, 2 * events + 2)) / 2 / n, n)


def mean(values: Sequence[float]) -> EstimatedFigure:
    """A mean over nights with Student's interval."""
    if not values:
        return NOTHING
    centre = float(numpy.mean(values))
    if len(values) < 2:
        return EstimatedFigure(centre, math.nan, math.nan, 1)
    half = float(t.ppf(0.975, len(values) - 1) * numpy.std(values, ddof=1)) / len(values) ** 0.5
    return EstimatedFigure(centre, centre - half, centre + half, len(values))


NULL, HARM = 1e-9, -0.05
"""A KEEP has no true gain if that is at most NULL (0 with rounding), and is harmful below HARM points."""
CURVE = tuple(tenth / 10 for tenth in range(1, 11))
POOLED = "pooled"
NO_EFFECT = "null nights"
"""The name of the pool of all nights in which nothing can be won."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFigures:
    """The figures of one policy on one family. KEEPs are those that hold at the end of the night; "made" counts those
    that were retracted too.

    Per night: ``keeps``, ``made``, ``missed``, ``violations`` (KEEPs whose worst category truly loses over 0.3). Shares
    of the kept rows, one row per member of a stack: ``null``, ``harmful``; shares of the rows made: ``null_made``,
    ``harmful_made``. Shares of the nights: ``ends_worse`` (by more than 0.05), ``any_keep``. Shares of the headroom:
    ``won`` at the end, ``area`` (mean over the night's probes), ``curve`` (at each tenth of them). ``claim_error``:
    claimed minus true gain of the KEEPs, in points. ``seconds``: computing time of a night.
    """

    policy: str
    family: str
    nights: int
    keeps: EstimatedFigure
    made: EstimatedFigure
    null: EstimatedFigure
    harmful: EstimatedFigure
    null_made: EstimatedFigure
    harmful_made: EstimatedFigure
    missed: EstimatedFigure
    violations: EstimatedFigure
    violations_made: EstimatedFigure
    won: EstimatedFigure
    area: EstimatedFigure
    ends_worse: EstimatedFigure
    any_keep: EstimatedFigure
    claim_error: EstimatedFigure
    curve: tuple[float, ...]
    seconds: float


def figures(policy: str, family: str, nights: Sequence[NightRecord]) -> PolicyFigures:
    kept = [event for night in nights for event in night.kept]
    made = [event for night in nights for event in night.made]
    claims = [event.claimed - event.gain for event in kept if event.claimed is not None]
    winnable = [night for night in nights if night.headroom > NULL]
    return PolicyFigures(
        policy=policy,
        family=family,
        nights=len(nights),
        keeps=mean([len(night.kept) for night in nights]),
        made=mean([len(night.made) for night in nights]),
        null=_share(kept, NULL),
        harmful=_share(kept, HARM),
        null_made=_share(made, NULL),
        harmful_made=_share(made, HARM),
        missed=mean([night.missed for night in nights]),
        violations=_violations(kept, len(nights)),
        violations_made=_violations(made, len(nights)),
        won=mean([night.level / night.headroom for night in winnable]),
        area=mean([night.area / night.headroom for night in winnable]),
        ends_worse=proportion(sum(night.level < HARM for night in nights), len(nights)),
        any_keep=proportion(sum(bool(night.kept) for night in nights), len(nights)),
        claim_error=mean(claims) if claims else NOTHING,
        curve=tuple(_won_at(winnable, share) for share in CURVE) if winnable else (),
        seconds=sum(night.seconds for night in nights) / max(1, len(nights)),
    )


def by_family(nights: Iterable[NightRecord]) -> list[PolicyFigures]:
    """The figures of one cell: for each policy, those of each family, then of all families pooled."""
    groups: dict[str, dict[str, list[NightRecord]]] = {}
    for night in nights:
        groups.setdefault(night.policy, {}).setdefault(night.family, []).append(night)
    found = []
    for policy, families in groups.items():
        found += [figures(policy, family, records) for family, records in families.items()]
        found.append(figures(policy, POOLED, pooled(families.values())))
        null = [night for records in families.values() for night in records if night.headroom <= NULL]
        if null:
            found.append(figures(policy, NO_EFFECT, null))
    return found


def pooled(families: Iterable[Sequence[NightRecord]]) -> list[NightRecord]:
    """The same number of nights from each family, so that all families have equal weight."""
    groups = [sorted(records, key=lambda night: night.number) for records in families]
    fewest = min(map(len, groups))
    return [night for records in groups for night in records[:fewest]]


def _share(keeps: Sequence[DecisionEvent], bound: float) -> EstimatedFigure:
    gains = [gain for keep in keeps for gain in keep.rows]
    return proportion(sum(gain <= bound if bound >= 0 else gain < bound for gain in gains), len(gains))


def _violations(keeps: Sequence[DecisionEvent], nights: int) -> EstimatedFigure:
    return rate(sum(keep.guard < -MARGIN - NULL for keep in keeps), nights)


def _won_at(nights: Sequence[NightRecord], share: float) -> float:
    return sum(night.level_at(share * night.budget) / night.headroom for night in nights) / len(nights)
