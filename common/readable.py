"""Waits until a descriptor can be read, whatever its number: ``select.select`` takes none above 1023."""

import select
from socket import socket


def is_readable(descriptor: int | socket, seconds: float) -> bool:
    """Whether it can be read, or has ended, within so many seconds."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(max(0.0, seconds) * 1000))
