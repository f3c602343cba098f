"""The application: the routes of all areas, behind one access check; and the server on a port of this machine.

    with listening(port) as at:
        serve(Workspace(Path("runs-of-tonight")), new_token(), port, at)

An area is one file with ``AREAS`` (what the navigation shows) and ``routes``, and an entry in ``PARTS``.
"""

import asyncio
import errno
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.workspace.folder import Workspace
from common.errors import BadInput
from view.server import assets, autoresearch, changes, finetune, reports
from view.server.changes import Changes
from view.server.page import Area, nowhere
from view.server.security import OPEN, Access
from view.server.site import Site

PARTS = (autoresearch, finetune, reports)
SUFFIX = ".json"
HOST = "127.0.0.1"
SECONDS_TO_CLOSE = 1


def areas() -> list[Area]:
    """What the navigation shows, in its order."""
    return [area for part in PARTS for area in part.AREAS]


def create_app(workspace: Workspace, token: str, port: int) -> Starlette:
    """The pages of a workspace on 127.0.0.1 at this port, for requests that have the token."""
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
    """Reads long stores while the browser starts, so that their first page opens fast."""
    reading = asyncio.create_task(asyncio.to_thread(finetune.prepare, app.state.site))
    yield
    await reading


class JsonSuffix:
    """Middleware: an address that ends in .json gives the page's figures as JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(SUFFIX):
            path = scope["path"].removesuffix(SUFFIX)
            scope = {**scope, "path": path, "raw_path": path.encode(), "nightlane.json": True}
        await self.app(scope, receive, send)


def new_token() -> str:
    return secrets.token_urlsafe(24)


def address_with(token: str, port: int) -> str:
    """The URL that a person opens; it contains the token."""
    return f"http://{HOST}:{port}{OPEN}{token}"


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """A socket on the port of 127.0.0.1; BadInput if the port is taken or forbidden."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, port))
            made.listen()
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise BadInput(f"port {port} of {HOST} {why}; give another one with --port") from None
        yield made


class PageServer(uvicorn.Server):
    """Ends the streams of events before it waits for connections to close."""

    def __init__(self, workspace: Workspace, token: str, port: int) -> None:
        app = create_app(workspace, token, port)
        self._changes: Changes = app.state.site.changes
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SECONDS_TO_CLOSE,
            )
        )

    def stop(self) -> None:
        """End the server; from any thread."""
        self._end_streams()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end_streams()
        super().handle_exit(sig, frame)

    def _end_streams(self) -> None:
        """On a busy machine a stream may outlive the time to close; cutting it off then is not an error."""
        logging.getLogger("uvicorn.error").disabled = True
        self._changes.end()


def serve(workspace: Workspace, token: str, port: int, at: socket.socket) -> None:
    """Serve until Ctrl-C; pages that are open get no more events then."""
    with suppress(KeyboardInterrupt):
        PageServer(workspace, token, port).run(sockets=[at])
