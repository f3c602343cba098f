"""A cache of check results, so that the same program is not run again under the same checks.

Samples of one prompt are often alike, and so are the answers of probes that differ in one parameter.
"""

import hashlib
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future

from probes.scoring.execution.checks import CheckResult

MOST = 1 << 15
"""Most results that are kept; the oldest are dropped first. They take about 15 MB, and 45 MB with the longest notes."""
Key = tuple[str, bytes]
VARYING = re.compile(r"\b(?:random|secrets|urandom|uuid\w*|time|datetime|id|getpid)\b")
"""Names of things that differ from one run of a program to the next, such as clocks, and of modules that have them."""


class KnownResults:
    """The results of one scorer. A program repeats its results, because each run has the same random numbers and set
    order. Results are not kept if a limit ended the program, or if it names something in VARYING. Safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[Key, CheckResult] = {}
        self._running: dict[Key, Future[CheckResult | None]] = {}
        self._lock = threading.Lock()

    def of(self, prompt: str, source: str, run: Callable[[], CheckResult]) -> CheckResult:
        """The result of a program under the checks of a prompt: the known one, or else that of ``run``, whose
        exceptions pass through."""
        if VARYING.search(source):
            return run()
        key = prompt, hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()
        mine: Future[CheckResult | None] = Future()
        try:
            with self._lock:
                if (known := self._known.get(key)) is not None:
                    return known
                running = self._running.setdefault(key, mine)
            if running is not mine and (found := running.result()) is not None:
                return found
            result = run()
            if not result.stopped:
                self._keep(key, result)
                mine.set_result(result)
            return result
        finally:
            with self._lock:
                if self._running.get(key) is mine:
                    del self._running[key]
            if not mine.done():
                mine.set_result(None)  # threads that wait for it run the program themselves

    def _keep(self, key: Key, result: CheckResult) -> None:
        with self._lock:
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = result
