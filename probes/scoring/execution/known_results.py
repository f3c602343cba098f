"""Results of programs that were checked before, so that the same program is not run again under the same checks.

Samples of one prompt are often alike, and so are the answers of probes that differ in one parameter.
"""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future

from probes.scoring.execution.checks import CheckResult

MOST = 1 << 15
"""Results that are kept; the oldest go first. They take about 15 MB."""
Key = tuple[str, bytes]


class KnownResults:
    """Of one scorer. Random numbers and the order of sets start alike in each program, so that it does the same again,
    unless a limit ended it: such a result is not kept. Threads may call it at once."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[Key, CheckResult] = {}
        self._running: dict[Key, Future[CheckResult]] = {}
        self._lock = threading.Lock()

    def of(self, prompt: str, source: str, run: Callable[[], CheckResult]) -> CheckResult:
        """The result of a program under the checks of a prompt: the known one, or that of ``run``, whose exceptions it
        raises."""
        key = prompt, hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if (known := self._known.get(key)) is not None:
                return known
            mine: Future[CheckResult] = Future()
            running = self._running.setdefault(key, mine)
        if running is not mine:
            result = running.result()
            return run() if result.stopped else result
        try:
            result = run()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            if not result.stopped:
                self._keep(key, result)
            return result
        finally:
            del self._running[key]

    def _keep(self, key: Key, result: CheckResult) -> None:
        with self._lock:
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = result
