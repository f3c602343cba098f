"""Reports: those of sessions, and what promotions and evaluations wrote under runs/."""

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from agent.workspace.folder import Workspace
from common.clock import written_at
from common.errors import BadInput
from view.data.listing.sessions import session_lines
from view.pages.from_markdown import sections
from view.server.page import Area, Page, page_route
from view.server.site import Site

PLACE = "reports"
REPORT = "report.md"
KINDS = ("promotion", "evaluation")
"""The prefixes of their folders' names."""


@dataclass(frozen=True, slots=True)
class OtherReport:
    """A report.md under runs/ that is not of a session. ``title``: its first heading."""

    name: str
    kind: str
    title: str
    written: str


def reports(site: Site, request: Request) -> Page:
    return Page(
        template="reports.html.jinja",
        title="Reports",
        place=PLACE,
        data={"sessions": session_lines(site.workspace), "others": other_reports(site.workspace)},
        values={"workspace": str(site.workspace.root)},
    )


def other_reports(workspace: Workspace) -> list[OtherReport]:
    """The reports of promotions and evaluations, the latest first."""
    found = []
    for kind in KINDS:
        for path in workspace.runs.glob(f"{kind}-*/{REPORT}"):
            found.append(OtherReport(path.parent.name, kind, _title(path), written_at(path)))
    return sorted(found, key=lambda one: (one.written, one.name), reverse=True)


def report(site: Site, request: Request) -> Page:
    name = request.path_params["name"]
    found = next((one for one in other_reports(site.workspace) if one.name == name), None)
    if found is None:
        raise BadInput(f"there is no report of {name} under {site.workspace.runs}; the page Reports has them all")
    text = (site.workspace.runs / name / REPORT).read_text(encoding="utf-8", errors="replace")
    return Page(
        template="written_report.html.jinja",
        title=found.title,
        subtitle=name,
        place=PLACE,
        crumbs=(("/reports", "Reports"),),
        data={"report": found, "markdown": text},
        values={"parts": sections(text)},
    )


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), path.parent.name)


AREAS = (Area(PLACE, "Reports", "/reports"),)
routes = (page_route("/reports", reports), page_route("/reports/{name}", report))
