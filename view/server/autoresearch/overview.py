"""A session's stacks, its lanes and knobs, and its report."""

from dataclasses import fields

from starlette.requests import Request

from view.charts.knobs import knob_charts
from view.data.changes import reach
from view.data.search.coverage import coverage
from view.data.search.knobs import knob_curves
from view.data.search.stacks import stacks as found_stacks
from view.data.search.waves import wave_figures
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord
from view.explain.stack import explain_stack
from view.pages.session_report import TEMPLATE, report_content
from view.server.autoresearch.session import PLACE, tabs
from view.server.page import Page, page_route
from view.server.site import Site


def stacks(site: Site, request: Request) -> Page:
    record = site.record(request.path_params["session"])
    explained = [explain_stack(record, stack) for stack in found_stacks(record)]
    return Page(
        template="autoresearch/stacks.html.jinja",
        title=f"Stacks of session {record.session.id}",
        subtitle="stacks",
        place=PLACE,
        crumbs=_crumbs(record),
        data={"stacks": explained, "waves": wave_figures(record)},
        tabs=tabs(record.session.id, "stacks"),
        values={"session": record.session.id, "scale": reach(one.effect for one in explained if one.effect)},
    )


def knobs(site: Site, request: Request) -> Page:
    record = site.record(request.path_params["session"])
    curves = site.cached(("curves", record.session.id), site.ledger_files, lambda: knob_curves(record))
    return Page(
        template="autoresearch/knobs.html.jinja",
        title=f"Lanes and knobs of session {record.session.id}",
        subtitle="lanes and knobs",
        place=PLACE,
        crumbs=_crumbs(record),
        data={"lanes": coverage(record), "curves": curves},
        tabs=tabs(record.session.id, "knobs"),
        values={"session": record.session.id, "target": record.study.target},
        charts=knob_charts([curve for curve in curves if not curve.is_flat]),
    )


def report(site: Site, request: Request) -> Page:
    """The same page as report.html, from the ledger and the probes as they are now."""
    record = site.record(request.path_params["session"])
    figures = site.cached(("figures", record.session.id), site.ledger_files, lambda: session_figures(record))
    content = report_content(figures, f"/sessions/{record.session.id}/decisions/")
    return Page(
        template=TEMPLATE,
        title=str(content.values["title"]),
        subtitle="report",
        place=PLACE,
        crumbs=_crumbs(record),
        data={part.name: getattr(figures, part.name) for part in fields(figures)},
        tabs=tabs(record.session.id, "report"),
        values=content.values,
        charts=content.charts,
    )


def _crumbs(record: SessionRecord) -> tuple[tuple[str, str], ...]:
    return ("/sessions", "Sessions"), (f"/sessions/{record.session.id}", record.session.id)


routes = (
    page_route("/sessions/{session}/stacks", stacks),
    page_route("/sessions/{session}/knobs", knobs),
    page_route("/sessions/{session}/report", report),
)
