"""Charts of what was measured: noise and its sources, categories and failure classes before and after, time."""

from collections.abc import Sequence

import plotly.graph_objects as go

from evaluation.breakdown import ClassCount
from view.charts.chart import Chart, label, row_labels, rows_axis, rows_height, styled
from view.charts.palette import ACCENT, INK, QUIET
from view.data.figures import Cost
from view.data.sections.checks import NoiseFloorFigures
from view.data.sections.forecasts import ProposerForecast
from view.data.sections.recipes import CategoryMeans, NoisePart, RepeatedScores
from view.markdown import duration, signed

SHADES = (1.0, 0.72, 0.48, 0.28)
"""Opacity of the parts of a bar, first to last."""


def noise_chart(noise: Sequence[RepeatedScores]) -> Chart | None:
    """The starting recipe under each training seed."""
    if not noise:
        return None
    seeds = [(row, place, mean) for place, row in enumerate(noise) for mean in row.by_seed.values()]
    traces = [
        go.Scatter(
            x=[mean for _, _, mean in seeds],
            y=[place for _, place, _ in seeds],
            mode="markers",
            name="one training seed",
            marker={"size": 9, "symbol": "circle-open", "color": QUIET.light, "line": {"width": 1.6}},
            hovertemplate="%{x:.2f}<extra></extra>",
        ),
        go.Scatter(
            x=[row.mean for row in noise],
            y=list(range(len(noise))),
            mode="markers",
            name="mean",
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": ACCENT.light}},
            hovertemplate="mean %{x:.2f}<extra></extra>",
        ),
    ]
    return Chart(
        name="noise",
        figure=styled(
            traces,
            rows_height(len(noise)),
            legend=True,
            xaxis={"title": "score, 0 to 10"},
            yaxis=rows_axis(len(noise)),
            meta={"rows": len(noise)},
            annotations=row_labels([label(row.category) for row in noise]),
        ),
        caption="The starting recipe, trained with several seeds: how much scores move without any change.",
        summary="; ".join(f"{row.category} {row.mean:.2f}" for row in noise),
    )


def power_chart(floor: NoiseFloorFigures | None, target: str) -> Chart | None:
    """What the night could have detected: the chance of a KEEP, by the joint effect of the changes."""
    if floor is None or not floor.chances:
        return None
    points = sorted({*floor.chances, (floor.visible, 0.5)})
    traces = [
        go.Scatter(
            x=[worth for worth, _ in points],
            y=[chance for _, chance in points],
            mode="lines+markers",
            line={"width": 2, "color": ACCENT.light},
            marker={"size": [11 if worth == floor.visible else 7 for worth, _ in points], "color": ACCENT.light},
            hovertemplate="worth %{x:.2f}: chance %{y:.0%}<extra></extra>",
        )
    ]
    even = {
        "x": floor.visible,
        "y": 0.5,
        "text": f"even chance at {floor.visible:.2f}",
        "showarrow": False,
        "xanchor": "left",
        "xshift": 12,
        "yshift": -10,
        "font": {"size": 12, "color": INK.light},
    }
    return Chart(
        name="power",
        figure=styled(
            traces,
            230,
            xaxis={"title": f"worth of the changes together in {label(target)}, points", "rangemode": "tozero"},
            yaxis={"title": "chance of a KEEP", "tickformat": ".0%", "range": [0, 1.05]},
            annotations=[even],
        ),
        caption="What this night could have detected: the chance of a KEEP, by what the changes together are worth.",
        summary="; ".join(f"worth {worth:.2f}: {chance:.0%}" for worth, chance in points),
    )


def noise_sources_chart(parts: Sequence[NoisePart]) -> Chart | None:
    shares = [(part.source, part.share) for part in parts if part.share]
    if not shares:
        return None
    return Chart(
        name="noise-sources",
        figure=_one_bar([(source, share, f"{share:.0%}") for source, share in shares]),
        caption="Where the variance of the target's mean comes from.",
        summary=", ".join(f"{source} {share:.0%}" for source, share in shares),
    )


def time_chart(cost: Cost) -> Chart | None:
    """The time of all probes by phase; None for simulated probes, which take no time."""
    parts = [(phase.name, phase.seconds) for phase in cost.phases if phase.seconds and phase.of_probes]
    if not cost.total or not parts:
        return None
    return Chart(
        name="time",
        figure=_one_bar([(name, seconds / cost.total, duration(seconds)) for name, seconds in parts]),
        caption="The time of all probes, by what it was spent on.",
        summary=", ".join(f"{name} {duration(seconds)}" for name, seconds in parts),
    )


def _one_bar(parts: Sequence[tuple[str, float, str]]) -> go.Figure:
    """Shares of a whole, side by side: name, share, text."""
    traces = [
        go.Bar(
            x=[share],
            y=[""],
            orientation="h",
            name=f"{label(name)} {told}",
            marker={"color": ACCENT.light, "opacity": SHADES[min(place, len(SHADES) - 1)], "line": {"width": 0}},
            hovertemplate=f"{label(name)}: {told} (%{{x:.0%}})<extra></extra>",
        )
        for place, (name, share, told) in enumerate(parts)
    ]
    return styled(
        traces,
        150,
        legend=True,
        barmode="stack",
        xaxis={"range": [0, 1], "tickformat": ".0%", "showgrid": False, "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        yaxis={"showticklabels": False},
    )


def categories_chart(rows: Sequence[CategoryMeans]) -> Chart | None:
    """The mean score of each category before and after, joined by a line; None while the starting recipe stands."""
    after = [row.after for row in rows if row.after is not None]
    if not rows or len(after) != len(rows):
        return None
    places = list(range(len(rows)))
    traces = [
        go.Scatter(
            x=[value for row, end in zip(rows, after, strict=True) for value in (row.before, end, None)],
            y=[value for place in places for value in (place, place, None)],
            mode="lines",
            line={"width": 2, "color": QUIET.light},
            hoverinfo="skip",
            showlegend=False,
        ),
        _means("starting recipe", [row.before for row in rows], "circle-open", QUIET.light),
        _means("incumbent now", after, "square", ACCENT.light),
    ]
    names = [f"{label(row.category)}{f' ({row.role})' if row.role else ''}" for row in rows]
    return Chart(
        name="categories",
        figure=styled(
            traces,
            rows_height(len(rows)),
            legend=True,
            xaxis={"title": "mean score, 0 to 10"},
            yaxis=rows_axis(len(rows)),
            meta={"rows": len(rows)},
            annotations=row_labels(names),
        ),
        caption="Mean scores before (hollow) and after (filled), over all probes but those that selected the recipe.",
        summary="; ".join(
            f"{row.category} from {row.before:.2f} to {end:.2f}" for row, end in zip(rows, after, strict=True)
        ),
    )


def _means(name: str, means: Sequence[float], symbol: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=list(means),
        y=list(range(len(means))),
        mode="markers",
        name=name,
        marker={"size": 10, "symbol": symbol, "color": colour, "line": {"width": 1.6, "color": colour}},
        hovertemplate="%{x:.2f}<extra>" + name + "</extra>",
    )


def failure_classes_chart(classes: Sequence[ClassCount]) -> Chart | None:
    """The share of answers that ended in each class of failure; answers that passed are left out."""
    rows = [row for row in classes if row.failure_class != "PASS"]
    if not rows:
        return None
    traces = [
        go.Bar(
            x=[getattr(row, part) for row in rows],
            y=[place + shift for place in range(len(rows))],
            width=0.22,
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x:.1%}<extra>" + name + "</extra>",
        )
        for name, part, colour, shift in (
            ("starting recipe", "before_share", QUIET.light, -0.02),
            ("incumbent now", "after_share", ACCENT.light, 0.22),
        )
    ]
    return Chart(
        name="failure-classes",
        figure=styled(
            traces,
            rows_height(len(rows)),
            legend=True,
            barmode="overlay",
            xaxis={"tickformat": ".0%", "title": "share of answers", "rangemode": "tozero"},
            yaxis=rows_axis(len(rows)),
            meta={"rows": len(rows)},
            annotations=row_labels([label(row.failure_class) for row in rows]),
        ),
        caption="Answers that did not pass, by how they ended.",
        summary="; ".join(
            f"{row.failure_class} {row.before_share:.1%} before, {row.after_share:.1%} after" for row in rows
        ),
    )


def forecast_chart(forecasts: Sequence[ProposerForecast]) -> Chart | None:
    """Predicted against found; None where nobody predicted."""
    found = [one for one in forecasts if one.points]
    if not found:
        return None
    values = [value for one in found for point in one.points for value in (point.predicted, point.result.delta)]
    low, high = min(*values, 0.0), max(*values, 0.0)
    symbols, colours = ("circle", "square-open", "diamond", "cross-open"), (ACCENT, QUIET, INK)
    traces = [
        go.Scatter(
            x=[low, high],
            y=[low, high],
            mode="lines",
            line={"dash": "dot", "width": 1, "color": QUIET.light},
            hoverinfo="skip",
            showlegend=False,
        ),
        *(
            go.Scatter(
                x=[point.predicted for point in one.points],
                y=[point.result.delta for point in one.points],
                mode="markers",
                name=label(one.proposer),
                marker={
                    "symbol": symbols[place % len(symbols)],
                    "size": 8,
                    "color": colours[place % len(colours)].light,
                },
                text=[f"{point.turn:03d}" for point in one.points],
                hovertemplate="%{text}: predicted %{x:+.2f}, found %{y:+.2f}<extra></extra>",
            )
            for place, one in enumerate(found)
        ),
    ]
    return Chart(
        name="forecasts",
        figure=styled(
            traces, 320, legend=True, xaxis={"title": "predicted effect, points"}, yaxis={"title": "found, points"}
        ),
        caption="Each point is a decision. On the dotted line the forecast was right.",
        summary="; ".join(f"{one.proposer}: mean error {signed(one.bias)}" for one in found),
    )
