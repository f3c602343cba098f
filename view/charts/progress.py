"""The incumbent's gain over the night, as steps with their interval, and what was tested and not kept."""

from collections.abc import Sequence

import plotly.graph_objects as go

from view.charts.chart import Chart, interval, label, styled
from view.charts.palette import ACCENT, BAND, QUIET, RULE, SYMBOLS
from view.data.search.incumbents import ProgressPoint
from view.markdown import signed


def incumbent_progress(points: Sequence[ProgressPoint], target: str) -> Chart | None:
    """The chart; None if no confirmation was decided on."""
    steps = [point for point in points if point.event != "DISCARD"]
    kept = [point for point in points if point.event == "KEEP"]
    missed = [point for point in points if point.event == "DISCARD"]
    if not kept and not missed:
        return None
    traces = [
        *_band(steps),
        go.Scatter(
            x=_times(steps),
            y=[point.gain.delta for point in steps],
            mode="lines",
            line={"shape": "hv", "width": 2, "color": ACCENT.light},
            hoverinfo="skip",
            showlegend=False,
        ),
        *([_points(kept, "KEEP", ACCENT.light)] if kept else []),
        *([_points(missed, "DISCARD", QUIET.light)] if missed else []),
    ]
    figure = styled(
        traces,
        300,
        legend=True,
        xaxis={"type": "date", "showgrid": False, "title": "time (UTC)", "nticks": 6},
        yaxis={"title": f"gain in {label(target)}, points", "zeroline": True, "zerolinecolor": RULE.light},
    )
    end = steps[-1].gain
    return Chart(
        name="progress",
        figure=figure,
        caption="The line is the incumbent's gain since the start, by the confirmations; the band is its interval. "
        "Hollow points were tested and not kept.",
        summary=f"{len(kept)} confirmations kept, {len(missed)} not; the gain at the end is {signed(end.delta)}, "
        f"between {signed(end.low)} and {signed(end.high)}.",
    )


def _band(steps: Sequence[ProgressPoint]) -> list[go.Scatter]:
    edge = {"shape": "hv", "width": 0}
    common = {"x": _times(steps), "mode": "lines", "line": edge, "hoverinfo": "skip", "showlegend": False}
    return [
        go.Scatter(y=[point.gain.low for point in steps], **common),
        go.Scatter(y=[point.gain.high for point in steps], fill="tonexty", fillcolor=BAND.light, **common),
    ]


def _points(points: Sequence[ProgressPoint], status: str, colour: str) -> go.Scatter:
    delta, low, high = ([getattr(point.gain, part) for point in points] for part in ("delta", "low", "high"))
    return go.Scatter(
        x=_times(points),
        y=delta,
        mode="markers",
        name=status,
        marker={"symbol": SYMBOLS[status], "size": 9, "color": colour},
        error_y=interval(delta, low, high, colour),
        text=[
            f"{f'stack {point.stack}: ' if point.stack else ''}{signed(point.gain.delta)} "
            f"[{signed(point.gain.low)}, {signed(point.gain.high)}]"
            for point in points
        ],
        hovertemplate="%{text}<extra>" + status + "</extra>",
    )


def _times(points: Sequence[ProgressPoint]) -> list[str]:
    return [point.time[:19] for point in points]
