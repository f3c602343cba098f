"""Tells systemd that a session is alive; systemd restarts a service that stays silent (sd_notify(3), WatchdogSec=).

The messages are sent where a session makes progress, and not by a thread of their own, so that a session that hangs
falls silent. Outside of a service nothing is sent.
"""

import os
import socket
import time
from contextlib import suppress

SECONDS = 1.0
"""Between two messages."""


class _Last:
    """When the last message was sent, by the monotonic clock. Global, because a process is at most one service."""

    sent = -SECONDS


def started() -> None:
    """The service has started."""
    _send("READY=1")


def alive() -> None:
    """The session makes progress; sends a message at most once in ``SECONDS``."""
    if os.environ.get("NOTIFY_SOCKET") and time.monotonic() - _Last.sent >= SECONDS:
        _Last.sent = time.monotonic()
        _send("WATCHDOG=1")


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        connection.send(message.encode())
