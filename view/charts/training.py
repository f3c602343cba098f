"""Training curves: loss, token accuracy, gradient norm and learning rate over the steps, of one run or of several
together. Each curve has a faint raw line and a smoothed one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from view.charts.chart import Chart, label, styled
from view.charts.palette import BLUE, GREEN, ORANGE, PURPLE, RUNS, Colour
from view.data.training.curve import Curve, CurveLine, smoothed, thinned

SMOOTHING = {"none": 0.0, "light": 0.6, "medium": 0.9, "strong": 0.97}
"""Weights of the moving average, by name."""
USUAL = "medium"
SCALES = ("linear", "log")
HEIGHT = 260
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""The dash of each run's line, so that colour is never the only difference."""
LONG_SCALE, FEW_DECADES = 5, 500
"""Ratios of the greatest to the least value from which on a log scale has labels at 1, 2 and 5, and at decades only."""
RAW = 0.32
"""Opacity of a raw line that has a smoothed one over it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of train.jsonl. ``smooth``: whether it is noisy; a schedule is not."""

    name: str
    title: str
    colour: Colour
    smooth: bool = True


METRICS = (
    Metric("loss", "Loss", ORANGE),
    Metric("token_accuracy", "Token accuracy", GREEN),
    Metric("grad_norm", "Gradient norm", PURPLE),
    Metric("learning_rate", "Learning rate", BLUE, smooth=False),
)


def colours_of(runs: int) -> Sequence[Colour | None]:
    """The colour of each run; None for a single one, which has the colour of each chart."""
    return [None] if runs == 1 else [RUNS[place % len(RUNS)] for place in range(runs)]


def training_charts(
    curves: Sequence[tuple[str, Curve]], smoothing: str = USUAL, scale: str = "linear"
) -> tuple[Chart, ...]:
    """The four charts of these named curves; one without a value to show is left out."""
    charts = (_chart(metric, curves, SMOOTHING[smoothing], scale) for metric in METRICS)
    return tuple(chart for chart in charts if chart.figure.data)


def _chart(metric: Metric, curves: Sequence[tuple[str, Curve]], weight: float, scale: str) -> Chart:
    traces, told = list[go.Scatter](), list[str]()
    for place, ((name, curve), own) in enumerate(zip(curves, colours_of(len(curves)), strict=True)):
        line = curve.line(metric.name)
        if line.steps:
            dash = DASHES[place % len(DASHES)]
            traces += _traces(label(name, 40), line, weight if metric.smooth else 0.0, own or metric.colour, dash)
            told.append(f"{name} from {line.values[0]:.4g} to {line.values[-1]:.4g} over {line.steps[-1]} steps")
    figure = styled(
        traces,
        HEIGHT,
        xaxis={"title": "step", "fixedrange": False, "rangemode": "tozero", "hoverformat": "d"},
        yaxis=_axis([value for trace in traces for value in trace.y], scale),
        hovermode="x unified",
        dragmode="zoom",
        meta={"linked": "step"},
        uirevision="kept",
    )
    return Chart(name=metric.name, figure=figure, caption=metric.title, summary="; ".join(told))


def _axis(values: Sequence[float], scale: str) -> dict[str, Any]:
    """The y axis; on a long log scale it has no more labels than fit."""
    axis: dict[str, Any] = {"tickformat": ".3~g", "nticks": 6, "type": scale}
    positive = [value for value in values if value > 0]
    if scale == "log" and positive and max(positive) > LONG_SCALE * min(positive):
        axis["dtick"] = "D2" if max(positive) < FEW_DECADES * min(positive) else 1
    return axis


def _traces(name: str, line: CurveLine, weight: float, colour: Colour, dash: str) -> list[go.Scatter]:
    """The line, and over it the smoothed one."""
    if not weight:
        return [_trace(name, thinned(line), colour, width=1.6, dash=dash)]
    raw = _trace(name, thinned(line), colour, width=1.6)
    over = _trace(name, thinned(smoothed(line, weight)), colour, width=2, dash=dash)
    raw.update(opacity=RAW, line_width=1)
    return [raw, over.update(name=f"{name}, smoothed")]


def _trace(name: str, line: CurveLine, colour: Colour, width: float, dash: str = "solid") -> go.Scatter:
    return go.Scatter(
        x=list(line.steps),
        y=list(line.values),
        mode="lines" if len(line.steps) > 1 else "markers",
        name=name,
        line={"color": colour.light, "width": width, "dash": dash},
        marker={"color": colour.light, "size": 6},
        hovertemplate="%{y:.5~g}<extra>%{fullData.name}</extra>",
        showlegend=False,
    )
