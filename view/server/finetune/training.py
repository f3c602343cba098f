"""TRAINING: the list of runs and probes, one of them with its charts, and several compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from common.errors import BadInput
from view.charts.palette import RUNS
from view.charts.training import METRICS, SCALES, SMOOTHING, USUAL, training_charts
from view.data.training.curve import Curve
from view.data.training.runs import TrainingRun
from view.data.training.workspace import TrainingRuns
from view.server.page import Page, page_route
from view.server.paging import Paging, page_number
from view.server.site import Site

PLACE = "training"
PROBES = 25
"""Probes on a page of the list."""
LIST = ("/training", "TRAINING")


def runs(site: Site, request: Request) -> Page:
    found, number = _training(site), page_number(request)
    probes, total = found.probes(PROBES * (number - 1), PROBES)
    paging = Paging.of(request, number, total, PROBES)
    return Page(
        template="finetune/training.html.jinja",
        title="TRAINING",
        place=PLACE,
        data={"workspace": str(site.workspace.root), "runs": found.runs(), "probes": probes, "all_probes": total},
        values={"paging": paging, "most": len(RUNS)},
        scripts=("training.js",),
    )


def run(site: Site, request: Request) -> Page:
    found, curve = _training(site).find(request.path_params["name"])
    return _with_charts(
        request, [(found, curve)], "finetune/run.html.jinja", found.name, {"run": found, "curves": _lines(curve)}
    )


def compare(site: Site, request: Request) -> Page:
    names = list(dict.fromkeys(request.query_params.getlist("run")))
    if not 1 <= len(names) <= len(RUNS):
        raise BadInput(
            f"1 to {len(RUNS)} runs can be compared, and {len(names)} were chosen; choose them in the list of TRAINING"
        )
    found = [_training(site).find(name) for name in names]
    data = {"runs": [one for one, _ in found], "curves": {one.name: _lines(curve) for one, curve in found}}
    return _with_charts(request, found, "finetune/compare.html.jinja", "Runs compared", data)


def _training(site: Site) -> TrainingRuns:
    return site.shared("training", lambda: TrainingRuns(site.workspace))


def _with_charts(
    request: Request, found: Sequence[tuple[TrainingRun, Curve]], template: str, title: str, data: Mapping[str, Any]
) -> Page:
    """A page with charts; ``smoothing`` and ``scale`` in the URL say how they are drawn."""
    smoothing = _one_of(request, "smoothing", tuple(SMOOTHING), USUAL)
    scale = _one_of(request, "scale", SCALES, SCALES[0])
    charts = training_charts([(run.name, curve) for run, curve in found], smoothing, scale)
    return Page(
        template=template,
        title=title,
        place=PLACE,
        crumbs=(LIST,),
        data=data,
        values={
            "charts_shown": charts,
            "smoothings": tuple(SMOOTHING),
            "smoothing": smoothing,
            "scales": SCALES,
            "scale": scale,
        },
        charts=charts,
        scripts=("training.js",),
    )


def _lines(curve: Curve) -> Mapping[str, Any]:
    """Every step of each figure, for a program."""
    lines = {metric.name: curve.line(metric.name) for metric in METRICS}
    return {name: {"step": list(line.steps), "value": list(line.values)} for name, line in lines.items()}


def _one_of(request: Request, name: str, known: Sequence[str], usual: str) -> str:
    value = request.query_params.get(name, usual)
    if value not in known:
        raise BadInput(f"{name}={value!r} is not known; use one of {', '.join(known)}")
    return value


routes = (
    page_route("/training", runs),
    page_route("/training/compare", compare),
    page_route("/training/runs/{name}", run),
)
