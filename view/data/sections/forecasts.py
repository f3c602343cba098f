"""Forecast against result: the effects that each proposer predicted, compared with those that the readings show."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from view.data.changes import Change

if TYPE_CHECKING:
    from view.data.figures import DecisionFigures

FEWEST_RANKED = 3


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """One decision: the predicted effect on the target, and the one that was found."""

    turn: int
    predicted: float
    result: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerForecast:
    """``bias``: the mean of predicted minus found; ``error``: the mean of its absolute value. ``signed``: how many
    predictions were not zero; ``same_sign``: how many of these had the sign of the result. ``correlation``: Spearman's
    rank correlation, None for fewer than 3 or for equal values. ``silent``: decisions without a prediction or without a
    result."""

    proposer: str
    points: tuple[ForecastPoint, ...]
    silent: int
    bias: float | None
    error: float | None
    same_sign: int
    signed: int
    correlation: float | None


def forecasts(decisions: Sequence["DecisionFigures"]) -> tuple[ProposerForecast, ...]:
    """The forecasts of each proposer, the one with most predictions first."""
    by_name: dict[str, list[DecisionFigures]] = {}
    for one in decisions:
        by_name.setdefault(one.proposer, []).append(one)
    found = [_forecast(name, own) for name, own in by_name.items()]
    return tuple(sorted(found, key=lambda one: (-len(one.points), one.proposer)))


def _forecast(name: str, decisions: Sequence["DecisionFigures"]) -> ProposerForecast:
    points = [
        ForecastPoint(one.turn, one.predicted, one.effect)
        for one in decisions
        if one.predicted is not None and one.effect is not None
    ]
    errors = [point.predicted - point.result.delta for point in points]
    signed = [point for point in points if point.predicted != 0]
    return ProposerForecast(
        proposer=name,
        points=tuple(points),
        silent=len(decisions) - len(points),
        bias=fmean(errors) if errors else None,
        error=fmean(map(abs, errors)) if errors else None,
        same_sign=sum(point.predicted * point.result.delta > 0 for point in signed),
        signed=len(signed),
        correlation=_rank_correlation(points),
    )


def _rank_correlation(points: Sequence[ForecastPoint]) -> float | None:
    from scipy.stats import spearmanr

    predicted, results = [point.predicted for point in points], [point.result.delta for point in points]
    if len(points) < FEWEST_RANKED or len(set(predicted)) == 1 or len(set(results)) == 1:
        return None
    return float(spearmanr(predicted, results).statistic)
