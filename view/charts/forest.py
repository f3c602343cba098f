"""Forest plots: a row for each change, with its effect and interval; and the same for guards."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from view.charts.chart import Chart, interval, label, row_labels, rows_axis, rows_height, styled, zero_line
from view.charts.palette import ACCENT, ALARM, QUIET, STATUS, SYMBOLS
from view.data.changes import Change
from view.data.figures import DecisionFigures, SessionFigures, StackFigures, shown
from view.markdown import signed

MOST_DECISIONS = 16
"""The most rows of decisions in the chart; the table has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """``bold``: a whole stack, which was confirmed on fresh seeds."""

    name: str
    status: str
    change: Change
    bold: bool = False


def decisions_forest(figures: SessionFigures) -> Chart | None:
    """The stacks, then the changes by themselves; None without an effect."""
    stacks = [stack for stack in figures.stacks if stack.effect is not None]
    ranked = [one for one in (*figures.with_status("KEEP"), *figures.not_kept) if one.effect is not None]
    rows = [*map(_stack_row, stacks), *map(_decision_row, ranked[:MOST_DECISIONS])]
    if not rows:
        return None
    left = len(ranked) - MOST_DECISIONS
    more = f" The other {left} are in the table." if left > 0 else ""
    return Chart(
        name="forest",
        figure=_forest(rows, f"effect on {label(figures.question.target)}, points"),
        caption="In bold the stacks, measured on fresh seeds; below them each change by itself, by all readings. "
        f"The bars are {figures.rule.confidence:.0%} intervals; filled squares were kept.{more}",
        summary="; ".join(
            f"{row.name} {signed(row.change.delta)} [{signed(row.change.low)}, {signed(row.change.high)}], {row.status}"
            for row in rows[:8]
        ),
    )


def _stack_row(stack: StackFigures) -> ForestRow:
    assert stack.effect is not None
    name = f"Stack {stack.number}: {stack.changes} change{'s' * (stack.changes != 1)}"
    return ForestRow(name=name, status=stack.status or "DISCARD", change=stack.effect, bold=True)


def _decision_row(one: DecisionFigures) -> ForestRow:
    assert one.effect is not None
    name = f"{one.turn:03d} {label(one.knob)} {label(shown(one.before), 24)} → {label(shown(one.after), 24)}"
    return ForestRow(name=name, status="RETRACT" if one.retracted else one.status, change=one.effect)


def _forest(rows: Sequence[ForestRow], title: str) -> go.Figure:
    traces = []
    for status in dict.fromkeys(row.status for row in rows):
        own = [(place, row) for place, row in enumerate(rows) if row.status == status]
        colour = STATUS[status].light
        changes = [row.change for _, row in own]
        traces.append(
            go.Scatter(
                x=[change.delta for change in changes],
                y=[place for place, _ in own],
                mode="markers",
                name={"RETRACT": "KEEP, retracted"}.get(status, status),
                marker={
                    "symbol": SYMBOLS[status],
                    "size": [11 if row.bold else 8 for _, row in own],
                    "color": colour,
                    "opacity": 1,
                },
                error_x=interval(
                    [c.delta for c in changes], [c.low for c in changes], [c.high for c in changes], colour
                ),
                text=[
                    f"{row.name}<br>{signed(row.change.delta)} [{signed(row.change.low)}, {signed(row.change.high)}]"
                    for _, row in own
                ],
                hovertemplate="%{text}<extra>" + status + "</extra>",
            )
        )
    return styled(
        traces,
        rows_height(len(rows)),
        legend=True,
        xaxis={"title": title},
        yaxis=rows_axis(len(rows)),
        meta={"rows": len(rows)},
        annotations=row_labels([f"<b>{row.name}</b>" if row.bold else row.name for row in rows]),
        shapes=[zero_line()],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRow:
    name: str
    change: Change
    bound: float | None
    margin: float
    holds: bool


def guard_rows(figures: SessionFigures) -> list[GuardRow]:
    """Every guard of the stacks that were kept; of each other stack only the worst guard."""
    found = []
    for stack in figures.stacks:
        for guard in stack.guards if stack.status == "KEEP" else stack.guards[:1]:
            found.append(
                GuardRow(
                    name=f"Stack {stack.number}, {stack.status or 'not decided'}: {label(guard.category)}",
                    change=guard.change,
                    bound=guard.bound,
                    margin=guard.margin,
                    holds=guard.holds,
                )
            )
    return found


def guards_chart(figures: SessionFigures) -> Chart | None:
    return _guards(
        "guards",
        guard_rows(figures),
        "The change of each guard with its interval. The upright tick is the lower bound that decides; the guard holds "
        "if it is right of the red line at minus the margin. Of a stack that was not kept, only the worst is shown.",
    )


def holdout_chart(figures: SessionFigures) -> Chart | None:
    """The final recipe against the starting one on the holdout: target and guards."""
    held = figures.holdout
    if not held or not held.target:
        return None
    rows = [
        GuardRow(name=label(guard.category), change=guard.change, bound=None, margin=guard.margin, holds=guard.holds)
        for guard in held.guards
    ]
    target = GuardRow(
        name=f"<b>{label(figures.question.target)}</b>", change=held.target, bound=None, margin=0.0, holds=True
    )
    return _guards(
        "holdout",
        [target, *rows],
        "The recipe at the end against the starting recipe, on prompts that no decision used. Red lines are minus the "
        "margins of the guards.",
    )


def _guards(name: str, rows: Sequence[GuardRow], caption: str) -> Chart | None:
    if not rows:
        return None
    colours = [ACCENT.light if row.holds else ALARM.light for row in rows]
    changes = [row.change for row in rows]
    places = list(range(len(rows)))
    traces = [
        go.Scatter(
            x=[change.delta for change in changes],
            y=places,
            mode="markers",
            marker={"size": 8, "color": colours, "symbol": ["square" if row.holds else "x" for row in rows]},
            error_x=interval(
                [c.delta for c in changes], [c.low for c in changes], [c.high for c in changes], QUIET.light
            ),
            text=[
                f"{row.name}<br>{signed(row.change.delta)} [{signed(row.change.low)}, {signed(row.change.high)}]"
                f"{'' if row.bound is None else f', at worst {signed(row.bound)}'}"
                f"<br>{'holds' if row.holds else 'does not hold'}"
                for row in rows
            ],
            hovertemplate="%{text}<extra></extra>",
        ),
        go.Scatter(
            x=[row.bound for row in rows],
            y=places,
            mode="markers",
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": colours}},
            hoverinfo="skip",
        ),
    ]
    margins = [
        {
            "type": "line",
            "x0": -row.margin,
            "x1": -row.margin,
            "y0": place - 0.32,
            "y1": place + 0.32,
            "line": {"color": ALARM.light, "width": 2},
        }
        for place, row in enumerate(rows)
        if row.margin
    ]
    figure = styled(
        traces,
        rows_height(len(rows)),
        xaxis={"title": "change, points"},
        yaxis=rows_axis(len(rows)),
        meta={"rows": len(rows)},
        annotations=row_labels([row.name for row in rows]),
        shapes=[zero_line(), *margins],
    )
    told = [f"{row.name} {signed(row.change.delta)}, {'holds' if row.holds else 'does not hold'}" for row in rows]
    return Chart(name=name, figure=figure, caption=caption, summary="; ".join(told[:10]))
