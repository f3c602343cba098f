"""Work done side by side in threads that keep what they opened, with results in the order of what was asked.

For work whose time passes in other processes: a sandbox serves the thread that opened it, and one program at a time.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Found = TypeVar("Found")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def free_cores() -> int:
    """Those that nobody else computes on at this moment; at least one."""
    try:
        running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 1
    return max(1, cores() - max(0, running - 1))  # this process runs, too


class SideBySide(Generic[Asked, Found]):
    """`do` for many things at once. Its threads live until close(), and start when there is more than one thing."""

    def __init__(self, do: Callable[[Asked], Found]) -> None:
        self._do = do
        self._at_work: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(max_workers=256, thread_name_prefix="side-by-side")

    def each(self, asked: Sequence[Asked], lanes: int) -> Iterator[Future[Found]]:
        """A finished future for each, in order, as soon as it and all before it are finished. What one raises is in
        its future. When the iterator is left early, nothing more is begun."""
        futures: list[Future[Found]] = [Future() for _ in asked]
        waiting = deque(zip(asked, futures, strict=True))
        self._at_work = [
            self._pool.submit(self._work, waiting) for _ in range(min(lanes, len(asked)) if lanes > 1 else 0)
        ]
        try:
            for future in futures:
                if lanes <= 1:
                    self._settle(*waiting.popleft())
                future.exception()
                yield future
        finally:
            waiting.clear()

    def _work(self, waiting: "deque[tuple[Asked, Future[Found]]]") -> None:
        while waiting:
            try:
                one = waiting.popleft()
            except IndexError:
                return  # another thread took the last
            self._settle(*one)

    def _settle(self, one: Asked, future: Future[Found]) -> None:
        try:
            future.set_result(self._do(one))
        except Exception as trouble:  # carried to whoever looks at the future
            future.set_exception(trouble)

    @property
    def busy(self) -> bool:
        """Whether something that was begun still runs, after its iterator was left."""
        return any(not work.done() for work in self._at_work)

    def close(self) -> None:
        """Returns when every thread is done with what it has begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
