"""What each knob does: a small chart for each knob, with the expected effect of its values and a band around it."""

from collections.abc import Sequence

import plotly.graph_objects as go

from view.charts.chart import Chart, interval, label, styled
from view.charts.palette import ACCENT, BAND, INK, PAGE, QUIET
from view.data.changes import reach
from view.data.search.knobs import KnobCurve, KnobPlace
from view.markdown import plain, signed

LONGEST = 16


def knob_charts(curves: Sequence[KnobCurve]) -> list[Chart]:
    """A chart for each knob, all on the same scale of effects, so that a large effect looks large."""
    scale = reach(place.effect for curve in curves for place in curve.places if not place.is_incumbent)
    return [_chart(curve, scale, f"knob-{number}") for number, curve in enumerate(curves, 1)]


def is_ordered(curve: KnobCurve) -> bool:
    """Whether the values are numbers, so that a line between them means something."""
    try:
        return all(float(place.value) == float(place.value) for place in curve.places)
    except ValueError:
        return False


def _chart(curve: KnobCurve, scale: float, name: str) -> Chart:
    places, ordered = curve.places, is_ordered(curve)
    values = list(range(len(places)))
    delta, low, high = ([getattr(place.effect, part) for place in places] for part in ("delta", "low", "high"))
    line = {
        "x": values,
        "y": delta,
        "mode": "lines+markers" if ordered else "markers",
        "line": {"width": 1.6, "color": ACCENT.light},
        "marker": {
            "size": 9,
            "symbol": ["diamond" if place.is_incumbent else "circle" for place in places],
            "color": [_fill(place) for place in places],
            "line": {"width": 1.6, "color": [INK.light if place.is_incumbent else ACCENT.light for place in places]},
        },
        "text": [_hover(place) for place in places],
        "hovertemplate": "%{text}<extra></extra>",
    }
    band = {"x": values, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    traces = [
        go.Scatter(y=low, **band),
        go.Scatter(y=high, fill="tonexty", fillcolor=BAND.light, **band),
        go.Scatter(**line),
    ]
    if not ordered:
        traces = [go.Scatter(**line, error_y=interval(delta, low, high, QUIET.light))]
    figure = styled(
        traces,
        210,
        xaxis={
            "tickvals": values,
            "ticktext": [_tick(place) for place in places],
            "showgrid": False,
            "range": [-0.4, len(places) - 0.6],
        },
        yaxis={"range": [-1.08 * scale, 1.08 * scale], "nticks": 5, "zeroline": True, "zerolinecolor": QUIET.light},
    )
    best = curve.best
    told = (
        f"best at {plain(best.value, 40)}, {signed(best.effect.delta)}" if not best.is_incumbent else "best where it is"
    )
    return Chart(name=name, figure=figure, caption=plain(curve.knob, 60), summary=f"{plain(curve.knob, 60)}: {told}.")


def _tick(place: KnobPlace) -> str:
    value = label(place.value, LONGEST)
    return f"<b>{value}</b>" if place.is_incumbent else value


def _fill(place: KnobPlace) -> str:
    if place.is_incumbent:
        return INK.light
    return ACCENT.light if place.readings else PAGE.light


def _hover(place: KnobPlace) -> str:
    value, effect = label(place.value), place.effect
    if place.is_incumbent:
        return f"{value}: stands now<br>{place.readings} readings"
    breaks = f"<br>may break {label(place.breaks)}" if place.breaks else ""
    return (
        f"{value}: {signed(effect.delta)} [{signed(effect.low)}, {signed(effect.high)}]<br>"
        f"{place.readings or 'no'} readings{breaks}"
    )
