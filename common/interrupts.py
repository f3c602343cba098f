"""Ctrl-C, SIGTERM and a closed terminal end a command at a place where nothing is half written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDED_BY = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP, since its terminal was closed: a session in tmux or under nohup survives that",
}


class Interrupted(KeyboardInterrupt):
    """A signal ended the command; the text says which, for a person."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal (SIGHUP) raise Interrupted in the main thread, except inside
    ``uninterrupted``. Under nohup, SIGHUP stays ignored.

    If a library swallows the exception (imports of C extensions do), the next ``uninterrupted`` block raises it again.
    """

    def on_signal(number: int, _frame: FrameType | None) -> None:
        repeated, _Deferred.pending = _Deferred.pending is not None, Interrupted(ENDED_BY[signal.Signals(number)])
        if not _Deferred.depth and (not repeated or number == signal.SIGINT):  # a shell sends the others twice
            raise _Deferred.pending

    _Deferred.pending = None
    handled = [number for number in ENDED_BY if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish the current write: an interrupt inside the block is raised at its end."""
    _Deferred.depth += 1
    try:
        yield
    finally:
        _Deferred.depth -= 1
    if _Deferred.pending and not _Deferred.depth:
        raise _Deferred.pending


class _Deferred:
    """A process has one main thread and one handler for each signal, so this is process-wide state."""

    depth = 0
    pending: Interrupted | None = None
