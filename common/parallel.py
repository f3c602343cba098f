"""Runs tasks in parallel threads and yields their results in the order of the tasks.

Meant for tasks that wait for other processes. The threads outlive a call, because a sandbox serves only the thread
that opened it. Also limits the threads of numeric libraries.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def free_cores() -> int:
    """The number of processors that are idle at this moment; at least one."""
    try:
        running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 1
    return max(1, cores() - max(0, running - 1))  # this process is running itself


class TaskPool(Generic[Task, Result]):
    """Calls ``do`` for many tasks at once. Threads start when there is more than one task, and live until close()."""

    def __init__(self, do: Callable[[Task], Result]) -> None:
        self._do = do
        self._at_work: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(max_workers=256, thread_name_prefix="task-pool")

    def run(self, tasks: Sequence[Task], threads: int) -> Iterator[Future[Result]]:
        """Yield a finished future per task, in order, with its result or exception. When the iterator is left early, no
        further task is started."""
        futures: list[Future[Result]] = [Future() for _ in tasks]
        waiting = deque(zip(tasks, futures, strict=True))
        self._at_work = [
            self._pool.submit(self._work, waiting) for _ in range(min(threads, len(tasks)) if threads > 1 else 0)
        ]
        try:
            for future in futures:
                if threads <= 1:
                    self._settle(*waiting.popleft())
                future.exception()
                yield future
        finally:
            waiting.clear()

    def _work(self, waiting: "deque[tuple[Task, Future[Result]]]") -> None:
        while waiting:
            try:
                task, future = waiting.popleft()
            except IndexError:
                return  # another thread took the last
            self._settle(task, future)

    def _settle(self, task: Task, future: Future[Result]) -> None:
        try:
            future.set_result(self._do(task))
        except Exception as error:  # raised again where the result is read
            future.set_exception(error)

    @property
    def busy(self) -> bool:
        """Whether a started task still runs after its iterator was left."""
        return any(not work.done() for work in self._at_work)

    def close(self) -> None:
        """Wait until every thread has finished its task."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def one_thread() -> None:
    """Use one thread for the decision rule: its matrices are small, and threads that wait for each other cost ten times
    the CPU time. Call it before numpy is imported. Settings of the user are kept; workers set their own."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
