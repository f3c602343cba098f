"""The session report as one HTML page: the sections of report.md, with charts, rows that can be linked to, and answers
side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from view.charts.chart import Chart
from view.charts.forest import decisions_forest, guards_chart, holdout_chart
from view.charts.knobs import knob_charts
from view.charts.measurements import (
    categories_chart,
    failure_classes_chart,
    forecast_chart,
    noise_chart,
    noise_sources_chart,
    power_chart,
    time_chart,
)
from view.charts.progress import incumbent_progress
from view.data.changes import reach
from view.data.figures import SessionFigures
from view.pages.environment import environment
from view.pages.from_markdown import sections
from view.pages.self_contained import self_contained
from view.templating import render

TEMPLATE = "report/report.html.jinja"
OWN = {
    "decisions": "Decisions",
    "knobs": "What each knob does",
    "flips": "Newly passing and newly failing prompts",
    "answers": "Answers before and after",
}
"""Sections with an HTML template of their own; the others are those of report.md."""
FINDINGS = (
    *("progress", "decisions", "kept", "stacks", "final_checks", "knobs", "guards", "noise", "calibration"),
    *("categories", "failure_classes", "flips", "answers", "crashes", "critical_failures", "cut_answers", "judge"),
    *("forecasts", "cost", "next", "reproduce"),
)
DETAILS = ("how_to_read", "question", "waves", "requests", "searched", "error_budget", "harvest", "go_on")
NEGATIVE_FIRST = ("decisions", "searched", "noise", "knobs")
"""The order of sections after a night without a KEEP: what was tried, what could have been detected, what was seen."""


@dataclass(frozen=True, slots=True)
class PagePart:
    """A section of the page; ``name`` is its anchor. The charts stand before the text."""

    name: str
    title: str
    body: Markup
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportContent:
    """What a page of the report is made of: ``top`` is its title, answer and summary. Sections with nothing to say are
    left out."""

    figures: SessionFigures
    top: Markup
    parts: tuple[PagePart, ...]

    @property
    def charts(self) -> list[Chart]:
        return [chart for part in self.parts for chart in part.charts]

    @property
    def values(self) -> dict[str, Any]:
        """What the template prints."""
        return {
            "title": f"Session {self.figures.session}",
            "subtitle": f"session report, study {self.figures.study}",
            "figures": self.figures,
            "top": self.top,
            "parts": self.parts,
        }


def report_content(figures: SessionFigures, decisions_at: str = "") -> ReportContent:
    """``decisions_at``: the address that the pages of decisions begin with, where they are served."""
    charts = _charts(figures)
    parts = tuple(
        part for name in _order(figures) for part in _parts(name, figures, charts.get(name, ()), decisions_at)
    )
    [top, *_] = sections(render("summary", figures=figures))
    return ReportContent(figures, top.body, parts)


def report_page(figures: SessionFigures) -> str:
    """The report as one file."""
    content = report_content(figures)
    return self_contained(TEMPLATE, content.charts, **content.values)


def _order(figures: SessionFigures) -> Sequence[str]:
    first = () if figures.kept or not figures.decisions else NEGATIVE_FIRST
    return (*first, *(name for name in (*FINDINGS, *DETAILS) if name not in first))


def _parts(name: str, figures: SessionFigures, charts: tuple[Chart, ...], decisions_at: str) -> list[PagePart]:
    if name in OWN:
        scale = reach(one.effect for one in figures.decisions if one.effect)
        template = environment().get_template(f"report/{name}.html.jinja")
        body = Markup(template.render(figures=figures, charts=charts, scale=scale, decisions_at=decisions_at).strip())
        return [PagePart(name, OWN[name], body, charts)] if body else []
    found = sections(render(name, figures=figures), [one.turn for one in figures.decisions])
    names = [name, *(f"{name}-{number}" for number in range(2, len(found) + 1))]
    return [
        PagePart(anchor, section.title, section.body, charts if anchor == name else ())
        for anchor, section in zip(names, (one for one in found if one.title), strict=False)
    ]


def _charts(figures: SessionFigures) -> dict[str, tuple[Chart, ...]]:
    """The charts of each section; a chart with nothing to show is left out."""
    target, breakdown = figures.question.target, figures.breakdown
    made: dict[str, Sequence[Chart | None]] = {
        "progress": [incumbent_progress(figures.progress, target)],
        "decisions": [decisions_forest(figures)],
        "final_checks": [holdout_chart(figures)],
        "knobs": knob_charts([curve for curve in figures.curves if not curve.is_flat]),
        "guards": [guards_chart(figures)],
        "noise": [
            power_chart(figures.floor, target),
            noise_chart(figures.noise),
            noise_sources_chart(figures.noise_parts),
        ],
        "categories": [categories_chart(figures.categories)],
        "failure_classes": [failure_classes_chart(breakdown.classes)] if breakdown else [],
        "forecasts": [forecast_chart(figures.forecasts)],
        "cost": [time_chart(figures.cost)],
    }
    return {name: tuple(chart for chart in found if chart) for name, found in made.items()}
