"""Signs of life to systemd, which ends and restarts a service that gives none (sd_notify(3), WatchdogSec=).

They come from the places where a session makes progress, and not from a thread of their own, so that a session that
hangs falls silent. Without systemd they are nothing.
"""

import os
import socket
import time
from contextlib import suppress

SECONDS = 1.0
"""Between two signs."""


class _Last:
    """When the last sign was given, by the monotonic clock; one for the process, as its service is one."""

    sign = -SECONDS


def started() -> None:
    """The service has started."""
    _send("READY=1")


def alive() -> None:
    if os.environ.get("NOTIFY_SOCKET") and time.monotonic() - _Last.sign >= SECONDS:
        _Last.sign = time.monotonic()
        _send("WATCHDOG=1")


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        connection.send(message.encode())
