"""The lines that a session writes for people: to whoever watches it, and into the progress log."""

import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from common.clock import now
from common.redaction import redacted
from common.systemd import alive
from probes.result.reading import Probe
from probes.run.protocol import Progress


class Watcher(Protocol):
    """Shows a running session to a person, as a live table or as plain lines."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def examining(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` questions to the judge are answered."""

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


class SessionLog:
    """Shows each line to the watcher and records it in the ledger, once the ledger has the session."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self._unrecorded: list[str] = []
        self._record: Callable[[str], None] = self._unrecorded.append

    def record_in(self, ledger: Ledger, session_id: str) -> None:
        """Record the lines so far, and all later ones, as events of this session."""

        def record(text: str) -> None:
            ledger.record_event(f"{session_id}-{uuid.uuid4().hex}", session_id, now(), text)

        self._record = record
        for text in self._unrecorded:
            record(text)

    def examining(self, done: int, total: int) -> None:
        """Show the progress of an examination of the judge."""
        alive()
        self.watcher.examining(done, total)

    def __call__(self, text: str) -> None:
        alive()
        text = redacted(text)
        self.watcher.note(text)
        self._record(text)
