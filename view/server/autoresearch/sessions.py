"""The sessions of the workspace."""

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from view.data.listing.sessions import session_lines
from view.server.page import Page, page_route
from view.server.site import Site


def sessions(site: Site, request: Request) -> Page:
    return Page(
        template="autoresearch/sessions.html.jinja",
        title="Sessions",
        place="autoresearch",
        data={"workspace": str(site.workspace.root), "sessions": session_lines(site.workspace)},
    )


def front(request: Request) -> RedirectResponse:
    return RedirectResponse("/sessions")


routes = (Route("/", front), page_route("/sessions", sessions))
