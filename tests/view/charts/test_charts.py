"""Charts: what they show of their figures, what they leave out, and text that cannot act in them."""

from dataclasses import replace

import nights
import plotly.graph_objects as go
import pytest

from agent.workspace.folder import Workspace
from evaluation.breakdown import ClassCount
from view.charts.chart import label
from view.charts.forest import MOST_DECISIONS, decisions_forest, guard_rows
from view.charts.knobs import is_ordered, knob_charts
from view.charts.measurements import (
    categories_chart,
    failure_classes_chart,
    forecast_chart,
    noise_chart,
    noise_sources_chart,
    power_chart,
    time_chart,
)
from view.charts.palette import COLOURS, STATUS, SYMBOLS, Colour
from view.charts.progress import incumbent_progress
from view.data.changes import Change
from view.data.figures import PhaseTime, SessionFigures
from view.data.search.incumbents import ProgressPoint
from view.data.search.knobs import KnobCurve, KnobPlace
from view.data.sections.recipes import CategoryMeans
from view.data.session_figures import session_figures
from view.data.session_record import load_record

HOSTILE = "<b>x</b> <a href='javascript:alert(1)'>y</a>"


@pytest.fixture(scope="module")
def fruitless(tmp_path_factory: pytest.TempPathFactory) -> SessionFigures:
    text, folder = nights.governed(nights.KNOBS), tmp_path_factory.mktemp("fruitless")
    workspace: Workspace = nights.night(folder, text, world=nights.FLAT, probes=40, step=nights.hasty())
    return session_figures(load_record(workspace, None))


def place(value: str, delta: float, readings: int = 1, incumbent: bool = False) -> KnobPlace:
    effect = Change(delta, delta - 0.5, delta + 0.5)
    return KnobPlace(value=value, effect=effect, chance=0.5, readings=readings, is_start=False, is_incumbent=incumbent)


def curve(*places: KnobPlace) -> KnobCurve:
    return KnobCurve(knob="beta", lane="hyperparameters", places=places, edge=None)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_text_has_contrast_on_every_ground_that_it_stands_on(screen: str) -> None:
    colours: dict[str, Colour] = {colour.name: colour for colour in COLOURS}

    def of(name: str) -> str:
        return str(getattr(colours[name], screen))

    for text in ("ink", "quiet", "accent", "alarm"):
        for ground in ("page", "surface"):
            assert contrast(of(text), of(ground)) >= 4.5, (text, ground)
    for ground in ("added", "removed"):
        assert contrast(of("ink"), of(ground)) >= 4.5


def test_a_status_is_told_by_its_symbol_too() -> None:
    assert STATUS.keys() == SYMBOLS.keys()
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)


def test_a_light_colour_has_one_dark_colour() -> None:
    assert len({colour.light for colour in COLOURS}) == len(COLOURS)


def test_foreign_text_is_no_markup_in_a_chart() -> None:
    assert "<" not in label(HOSTILE)
    chart = knob_charts([curve(place(HOSTILE, 0.1), place("0.2", 0.0, incumbent=True))])[0]
    figure = chart.figure.to_json()
    assert "javascript:" not in figure or "<a" not in figure
    assert "<b>x" not in figure


def test_a_knob_of_numbers_is_a_line_with_a_band_and_one_of_names_is_points_with_bars() -> None:
    numbers = curve(place("0.1", 0.0, incumbent=True), place("0.2", 0.4), place("1e-3", 0.1, readings=0))
    names = curve(place("cosine", 0.0, incumbent=True), place("linear", 0.2))
    assert (is_ordered(numbers), is_ordered(names)) == (True, False)
    line, points = (chart.figure.data[-1] for chart in knob_charts([numbers, names]))
    assert line.mode == "lines+markers"
    assert list(line.y) == [0.0, 0.4, 0.1]
    fills = line.marker.color
    assert len(set(fills)) == 3, "what stands, what has readings and what has none look different"
    assert points.mode == "markers"
    assert list(points.error_y.array) == pytest.approx([0.5, 0.5])


def test_all_knobs_have_one_scale() -> None:
    charts = knob_charts([curve(place("1", 0.1), place("2", 0.0, incumbent=True)), curve(place("1", 2.0))])
    assert charts[0].figure.layout.yaxis.range == charts[1].figure.layout.yaxis.range
    assert [chart.name for chart in charts] == ["knob-1", "knob-2"]


def test_the_forest_shows_the_stacks_and_the_likeliest_changes_and_counts_the_others(fruitless: SessionFigures) -> None:
    chart = decisions_forest(fruitless)
    assert chart is not None
    stacks = [stack for stack in fruitless.stacks if stack.effect]
    effects = [one for one in fruitless.decisions if one.effect]
    drawn = sum(len(trace.x) for trace in chart.figure.data)
    assert drawn == len(stacks) + min(len(effects), MOST_DECISIONS)
    assert (f"other {len(effects) - MOST_DECISIONS} are" in chart.caption) == (len(effects) > MOST_DECISIONS)
    assert all(trace.error_x.arrayminus[0] > 0 for trace in chart.figure.data)


def test_of_a_stack_that_was_not_kept_only_the_worst_guard_is_shown(fruitless: SessionFigures) -> None:
    rows = guard_rows(fruitless)
    assert len(rows) == sum(1 for stack in fruitless.stacks if stack.guards)


def test_progress_is_steps_and_a_band_with_hollow_points_beside_it() -> None:
    points = [
        ProgressPoint(time="2026-01-01T22:00:00Z", event="start", stack=None, gain=Change(0.0, 0.0, 0.0)),
        ProgressPoint(time="2026-01-01T23:00:00Z", event="DISCARD", stack=1, gain=Change(0.2, -0.1, 0.5)),
        ProgressPoint(time="2026-01-02T00:00:00Z", event="KEEP", stack=2, gain=Change(0.5, 0.2, 0.8)),
        ProgressPoint(time="2026-01-02T01:00:00Z", event="end", stack=None, gain=Change(0.5, 0.2, 0.8)),
    ]
    chart = incumbent_progress(points, HOSTILE)
    assert chart is not None
    low, high, line, kept, missed = chart.figure.data
    assert (list(low.y), list(high.y), list(line.y)) == ([0.0, 0.2, 0.2], [0.0, 0.8, 0.8], [0.0, 0.5, 0.5])
    assert (list(kept.y), list(missed.y)) == ([0.5], [0.2])
    assert list(missed.error_y.arrayminus) == pytest.approx([0.3])
    assert "+0.50" in chart.summary
    assert "<b>" not in chart.figure.layout.yaxis.title.text


def test_what_the_night_could_have_seen_goes_through_the_even_chance(fruitless: SessionFigures) -> None:
    chart = power_chart(fruitless.floor, fruitless.question.target)
    assert chart is not None
    [line] = chart.figure.data
    assert (fruitless.visible, 0.5) in zip(line.x, line.y, strict=True)
    assert list(line.x) == sorted(line.x)


def test_a_category_goes_from_before_to_after() -> None:
    row = CategoryMeans(category="lists", role="target", prompts=4, before=5.0, after=6.0)
    chart = categories_chart([row])
    assert chart is not None
    assert list(chart.figure.data[0].x) == [5.0, 6.0, None]
    assert categories_chart([CategoryMeans(category="lists", role="", prompts=4, before=5.0, after=None)]) is None


def test_answers_that_passed_are_no_failure() -> None:
    rows = [
        ClassCount(failure_class=name, before=1, after=2, before_share=before, after_share=after)
        for name, before, after in (("PASS", 0.9, 0.8), ("NAME_ERROR", 0.1, 0.2))
    ]
    chart = failure_classes_chart(rows)
    assert chart is not None
    assert [list(trace.x) for trace in chart.figure.data] == [[0.1], [0.2]]


def test_nothing_to_show_is_no_chart(fruitless: SessionFigures) -> None:
    assert incumbent_progress([], "lists") is None
    assert knob_charts([]) == []
    empty = (noise_chart, noise_sources_chart, categories_chart, failure_classes_chart, forecast_chart)
    assert [make([]) for make in empty] == [None] * len(empty)
    assert power_chart(None, "lists") is None


def test_the_time_of_all_probes_is_one_bar(fruitless: SessionFigures) -> None:
    assert time_chart(fruitless.cost) is None, "these probes took no time"
    phases = (
        PhaseTime(name="training", seconds=6.0, of_probes=True),
        PhaseTime(name="scoring", seconds=2.0, of_probes=True),
    )
    cost = replace(fruitless.cost, total=8.0, phases=(*phases, PhaseTime(name="the machine", seconds=5.0)))
    chart = time_chart(cost)
    assert chart is not None
    assert isinstance(chart.figure, go.Figure)
    assert [trace.x[0] for trace in chart.figure.data] == [0.75, 0.25]
