"""Serves the pages on a port of this machine until Ctrl-C."""

import errno
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from agent.workspace.folder import Workspace
from common.errors import BadInput
from view.server.app import create_app
from view.server.changes import Changes
from view.server.security import OPEN

HOST = "127.0.0.1"
SECONDS_TO_CLOSE = 1


def token_and_address(port: int) -> tuple[str, str]:
    """A new token, and the address with it."""
    token = secrets.token_urlsafe(24)
    return token, f"http://{HOST}:{port}{OPEN}{token}"


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


def serve(workspace: Workspace, token: str, port: int, at: socket.socket) -> None:
    """Returns after Ctrl-C; pages that are open then are told nothing more."""
    app = create_app(workspace, token, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_CLOSE,
    )
    with suppress(KeyboardInterrupt):
        _Server(config, app.state.site.changes).run(sockets=[at])


class _Server(uvicorn.Server):
    """Ends the streams of events first: they would keep it waiting."""

    def __init__(self, config: uvicorn.Config, changes: Changes) -> None:
        super().__init__(config)
        self._changes = changes

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._changes.end()
        super().handle_exit(sig, frame)
