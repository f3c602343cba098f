"""Training curves of the probes with a change, drawn over those of the incumbent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from view.charts.chart import Chart, styled
from view.charts.palette import ACCENT, QUIET, Colour
from view.data.training.curve import Curve, CurveLine, smoothed, thinned

METRICS = {"loss": "loss", "token_accuracy": "token accuracy"}
SMOOTHING = 0.6
POINTS = 200


@dataclass(frozen=True, slots=True)
class SideStyle:
    name: str
    colour: Colour
    dash: str


CANDIDATE, INCUMBENT = SideStyle("with the change", ACCENT, "solid"), SideStyle("incumbent", QUIET, "dot")


def side_charts(candidates: Sequence[Path], incumbents: Sequence[Path]) -> list[Chart]:
    """Loss and token accuracy of the probes in these folders; a figure that no file has is left out."""
    sides = [(INCUMBENT, _curves(incumbents)), (CANDIDATE, _curves(candidates))]
    return [chart for metric in METRICS if (chart := _chart(metric, sides))]


def _curves(folders: Sequence[Path]) -> list[Curve]:
    return [curve for folder in folders if (curve := Curve(folder).refresh()).step]


def _chart(metric: str, sides: Sequence[tuple[SideStyle, Sequence[Curve]]]) -> Chart | None:
    lines = [(style, [line for curve in curves if (line := curve.line(metric)).steps]) for style, curves in sides]
    if not dict(lines)[CANDIDATE]:
        return None
    traces = [_trace(line, style, first=place == 0) for style, own in lines for place, line in enumerate(own)]
    figure = styled(
        traces, 260, legend=True, xaxis={"title": "step"}, yaxis={"title": METRICS[metric], "nticks": 6}, hovermode="x"
    )
    told = "; ".join(f"{style.name} {_ends(own)}" for style, own in lines if own)
    return Chart(
        name=f"curve-{metric}",
        figure=figure,
        caption=f"{METRICS[metric].capitalize()} of each probe while it trained, smoothed.",
        summary=f"At the end: {told}",
    )


def _trace(line: CurveLine, style: SideStyle, first: bool) -> go.Scatter:
    shown = thinned(smoothed(line, SMOOTHING), POINTS)
    return go.Scatter(
        x=list(shown.steps),
        y=list(shown.values),
        mode="lines",
        name=style.name,
        legendgroup=style.name,
        showlegend=first,
        opacity=0.75,
        line={"color": style.colour.light, "width": 1.6, "dash": style.dash},
        hovertemplate="%{y:.4~g}<extra>" + style.name + "</extra>",
    )


def _ends(lines: Sequence[CurveLine]) -> str:
    last = sorted(line.values[-1] for line in lines)
    return f"{last[0]:.3g}" if len(last) == 1 else f"{last[0]:.3g} to {last[-1]:.3g}"
