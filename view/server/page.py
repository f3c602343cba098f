"""What a route returns: a page, whose figures are sent as HTML or as JSON.

    def knobs(site: Site, request: Request) -> Page: ...
    routes = (page_route("/sessions/{session}/knobs", knobs),)

JSON is sent for /sessions/ID/knobs.json, and for Accept: application/json.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from common.errors import BadInput
from common.printable import without_secrets
from view.charts.chart import Chart
from view.pages.environment import environment
from view.pages.self_contained import chart_data
from view.server.assets import address_of

if TYPE_CHECKING:
    from view.server.site import Site


@dataclass(frozen=True, slots=True)
class Area:
    """An entry of the navigation. A page of it has ``place=name``."""

    name: str
    title: str
    address: str


@dataclass(frozen=True, slots=True)
class Tab:
    """A link to a page beside this one; ``here``: it is this one."""

    address: str
    title: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``place``: the name of its area. ``crumbs``: the pages above it, as (address, name). ``data``: the JSON, and
    ``values``: what the template gets in addition. ``scripts``: assets that only this page needs."""

    template: str
    title: str
    place: str
    data: Mapping[str, Any]
    subtitle: str = ""
    crumbs: Sequence[tuple[str, str]] = ()
    tabs: Sequence[Tab] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    scripts: Sequence[str] = ()
    status: int = 200


Make = Callable[["Site", Request], Page]


def page_route(path: str, make: Make, methods: Sequence[str] = ("GET",)) -> Route:
    """A route whose page is made in a thread. BadInput becomes a page that says what is wrong."""

    async def answer(request: Request) -> Response:
        site = request.app.state.site
        return await run_in_threadpool(_answer, site, request, make)

    return Route(path, answer, methods=list(methods), name=f"{make.__module__}.{make.__name__}")


def wants_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return bool(request.scope.get("nightlane.json")) or accepted.startswith("application/json")


def _answer(site: "Site", request: Request, make: Make) -> Response:
    try:
        page = make(site, request)
    except BadInput as error:
        page = missing(str(error))
    except OSError as error:
        page = missing(f"{error.filename} cannot be read ({error.strerror}); check who may read it")
    return respond(site, request, page)


def nowhere(request: Request, error: Exception) -> Response:
    """The answer to an address without a page."""
    return respond(request.app.state.site, request, missing("no page has this address; the links above lead to all"))


def respond(site: "Site", request: Request, page: Page) -> Response:
    if wants_json(request):
        return JSONResponse(without_secrets(json.loads(json.dumps(page.data, default=_plain))), page.status)
    return HTMLResponse(html(site, page), page.status)


def missing(why: str) -> Page:
    """The page for something that does not exist, with the reason."""
    return Page(
        template="missing.html.jinja", title="Not here", place="", data={"error": why}, values={"why": why}, status=404
    )


def html(site: "Site", page: Page) -> str:
    """The page in the layout that all served pages share."""
    scripts = (*(("plotly.min.js", "charts.js") if page.charts else ()), "live.js", *page.scripts)
    values = {
        "layout": "site.html.jinja",
        "areas": site.areas,
        "place": page.place,
        "crumbs": page.crumbs,
        "tabs": page.tabs,
        "title": page.title,
        "subtitle": page.subtitle or page.title,
        "styles": [address_of(name) for name in ("colours.css", "page.css", "site.css", "finetune.css")],
        "scripts": [address_of(name) for name in scripts],
        "charts": chart_data(page.charts) if page.charts else None,
        "drawn": page.charts,
    }
    return environment().get_template(page.template).render({**page.data, **page.values, **values})


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
