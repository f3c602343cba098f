"""Serves the pages on a port of this machine until Ctrl-C."""

import errno
import logging
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


def new_token() -> str:
    return secrets.token_urlsafe(24)


def address_with(token: str, port: int) -> str:
    """What a person opens: it has the token."""
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
        """From any thread."""
        self._end_streams()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end_streams()
        super().handle_exit(sig, frame)

    def _end_streams(self) -> None:
        """On a busy machine a stream may outlive the time to close; that it is then cut off is no error."""
        logging.getLogger("uvicorn.error").disabled = True
        self._changes.end()


def serve(workspace: Workspace, token: str, port: int, at: socket.socket) -> None:
    """Returns after Ctrl-C; pages that are open then are told nothing more."""
    with suppress(KeyboardInterrupt):
        PageServer(workspace, token, port).run(sockets=[at])
