"""The application: the routes of all areas, behind one check of who asks.

    create_app(Workspace(Path("runs-of-tonight")), token, port)

An area is one file with ``AREAS`` (what the navigation shows) and ``routes``, and an entry in ``PARTS``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.workspace.folder import Workspace
from view.server import assets, autoresearch, changes, finetune, reports
from view.server.page import Area, nowhere
from view.server.security import Access
from view.server.site import Site

PARTS = (autoresearch, finetune, reports)
SUFFIX = ".json"


def areas() -> list[Area]:
    """What the navigation shows, in its order."""
    return [area for part in PARTS for area in part.AREAS]


def create_app(workspace: Workspace, token: str, port: int) -> Starlette:
    """The pages of a workspace for who has the token, on 127.0.0.1 at this port."""
    routes: list[Route] = [*assets.routes, *changes.routes, *(route for part in PARTS for route in part.routes)]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Access, token=token, port=port), Middleware(JsonSuffix)],
        exception_handlers={404: nowhere},
        lifespan=_prepared,
    )
    app.state.site = Site(workspace, areas())
    return app


@asynccontextmanager
async def _prepared(app: Starlette) -> AsyncIterator[None]:
    """Reads long stores while the browser starts, so that their first page is at hand."""
    reading = asyncio.create_task(asyncio.to_thread(finetune.prepare, app.state.site))
    yield
    await reading


class JsonSuffix:
    """An address that ends in .json asks for the figures of the page without it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(SUFFIX):
            path = scope["path"].removesuffix(SUFFIX)
            scope = {**scope, "path": path, "raw_path": path.encode(), "nightlane.json": True}
        await self.app(scope, receive, send)
