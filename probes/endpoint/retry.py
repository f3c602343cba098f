"""Concurrent calls to a server that may be down or busy, with exponential backoff and a limit on the outage."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from common.errors import EndpointUnavailable
from common.printable import print_message

T = TypeVar("T")
Q = TypeVar("Q", bound=Hashable)

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


def to_log(line: str) -> None:
    """Write a line with the time to stderr, which is a worker's log."""
    print_message(f"{time.strftime('%H:%M:%S')} {line}")


class Backoff:
    """Waits during an outage of a server. Threads share it. ``seconds``: how long an outage may last.

    The first wait takes ``first`` seconds, and each next one twice as long, up to a minute or the server's Retry-After.
    A call that succeeds ends the outage. ``who``: the server's name in messages.
    """

    def __init__(
        self,
        seconds: float,
        note: Callable[[str], None] | None = None,
        first: float | None = None,
        who: str = "the judge's endpoint",
    ) -> None:
        self._who = who
        self._seconds, self._note, self._first = seconds, note or to_log, FIRST_WAIT if first is None else first
        self._change = threading.Condition()
        self._since: float | None = None
        self._until, self._wait, self._noted = 0.0, self._first, 0.0
        self._over: BaseException | None = None

    def pause(self) -> None:
        """Wait until the server may be asked again; EndpointUnavailable when the outage has lasted too long."""
        with self._change:
            while self._over is None and (left := self._until - time.monotonic()) > 0:
                self._change.wait(min(left, LONGEST_WAIT))
                self._remind()
            if self._over is not None:
                raise self._over

    def _remind(self) -> None:
        """Once a minute, note that a long Retry-After is not over."""
        now = time.monotonic()
        if now < self._until and now - self._noted >= LONGEST_WAIT:
            self._noted = now
            self._note(f"{self._who} asked to be left alone; waiting {self._until - now:.0f} s more")

    def failed(self, why: str, retry_after: float = 0.0) -> None:
        """Record a failed call: the next pause lasts longer. Calls that fail during one pause count once."""
        with self._change:
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            if now < self._until:
                return
            lasted = now - self._since
            if lasted >= self._seconds:
                self._end(
                    EndpointUnavailable(
                        f"{self._who} may be away for {self._seconds:g} s (patience in the study) and has not answered "
                        f"for {lasted:.0f} s ({why}); start it"
                    )
                )
                return
            wait = min(max(self._wait, retry_after), self._seconds - lasted)
            self._until, self._wait = now + wait, min(LONGEST_WAIT, 2 * self._wait)
            self._noted = now
            self._note(f"{self._who} does not answer ({why}); waiting {wait:.1f} s, {lasted:.0f} s so far")

    def worked(self) -> None:
        """Record a call that succeeded: the outage is over."""
        with self._change:
            if self._since is not None:
                self._note(f"{self._who} answers again after {time.monotonic() - self._since:.0f} s")
            self._since, self._until, self._wait = None, 0.0, self._first
            self._change.notify_all()

    def give_up(self, error: BaseException) -> None:
        """Wake all waiting threads with this error."""
        with self._change:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        self._over = self._over or error
        self._change.notify_all()


def run_concurrently(
    asked: Sequence[Q], ask: Callable[[Q], T], concurrency: int, backoff: Backoff, name: str
) -> dict[Q, T]:
    """Ask every question, several at a time. After the first exception no more calls begin, and those in flight are
    waited for."""
    if not asked:
        return {}
    with ThreadPoolExecutor(min(concurrency, len(asked)), name) as pool:
        futures = {pool.submit(ask, one): one for one in asked}
        try:
            return {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException as error:
            backoff.give_up(error)  # else waiting threads would go on waiting
            pool.shutdown(wait=False, cancel_futures=True)
            raise
