"""A chart: a plotly figure with what a person needs to read it, in the style of all charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from view.charts.palette import INK, QUIET, RULE
from view.markdown import plain

ROW = 38
"""Height in pixels of a row with its label above it, as a narrow screen needs. On a wide screen the page's script moves
the labels to the left of the rows, by ``layout.meta.rows``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """``name``: unique on its page. ``caption``: how to read it; ``summary``: what it shows, for screen readers."""

    name: str
    figure: go.Figure
    caption: str
    summary: str


def label(text: object, longest: int = 60) -> str:
    """Text of unknown origin for a plotly label, escaped, so that tags in it have no effect."""
    return escape(plain(text, longest), quote=False)


def styled(traces: Sequence[Any], height: int, legend: bool = False, **axes: Any) -> go.Figure:
    """A figure without decoration: no frame, a faint grid, no zoom by touch. ``axes``: xaxis, yaxis, and other parts of
    the layout."""
    plain_axis = {
        "showline": False,
        "zeroline": False,
        "gridcolor": RULE.light,
        "ticks": "",
        "automargin": True,
        "fixedrange": True,
        "title": {"font": {"size": 12, "color": QUIET.light}, "standoff": 10},
        "tickfont": {"size": 12, "color": QUIET.light},
    }
    layout = {name: value for name, value in axes.items() if not name.endswith("axis")}
    return go.Figure(
        data=list(traces),
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 34 if legend else 8, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK.light},
            "hoverlabel": {"font": {"family": "system-ui, sans-serif", "size": 13}},
            "dragmode": False,
            "showlegend": legend,
            "legend": {
                "traceorder": "normal",
                "orientation": "h",
                "x": 0,
                "y": 1,
                "yanchor": "bottom",
                "itemclick": False,
            },
            "xaxis": _merged(plain_axis, axes.get("xaxis", {})),
            "yaxis": _merged(plain_axis, axes.get("yaxis", {})),
            **layout,
        },
    )


def row_labels(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Annotations: the label of each row, above it at the left edge. Row 0 is at the top with a reversed y axis."""
    return [
        {
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": place,
            "yshift": 13,
            "text": text,
            "showarrow": False,
            "font": {"size": 12, "color": INK.light},
        }
        for place, text in enumerate(texts)
    ]


def rows_height(rows: int) -> int:
    """The height in pixels of a chart of rows, with its axis and legend."""
    return 100 + ROW * rows


def rows_axis(rows: int) -> dict[str, Any]:
    """The y axis of a chart of rows."""
    return {"range": [rows - 0.45, -0.85], "showgrid": False, "showticklabels": False}


def zero_line() -> dict[str, Any]:
    return {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": QUIET.light, "width": 1},
    }


def interval(delta: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> dict[str, Any]:
    """Error bars from ``low`` to ``high``."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [top - middle for top, middle in zip(high, delta, strict=True)],
        "arrayminus": [middle - bottom for bottom, middle in zip(low, delta, strict=True)],
        "thickness": 1.6,
        "width": 0,
        "color": colour,
    }


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    title = own.get("title")
    named = {**base["title"], "text": title} if isinstance(title, str) else base["title"]
    return {**base, **own, "title": named}
