"""A thread beside the session that this process runs. It reads what the session wrote, so the session does not know of
it, and nothing that it does can end or delay a night."""

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Self

from agent.ledger.database.file import holds_sessions
from agent.ledger.overview import LedgerOverview
from agent.ledger.store import Ledger
from agent.workspace.folder import Workspace
from common.clock import now
from common.errors import NightlaneError
from common.files import fingerprint
from view.data.session_record import SessionRecord, load_record

SECONDS = 5.0
"""Seconds between two looks at the ledger."""
AT_THE_END, IF_STOPPED = 60.0, 10.0
"""The most seconds that the command waits for the last look; the second figure, if it was ended early."""


class Follower(Thread):
    """Follows the session that this process runs; a subclass says what is done. ``show``: shows a line to a person."""

    def __init__(self, name: str, workspace: Workspace, show: Callable[[str], None]) -> None:
        super().__init__(name=name, daemon=True)  # a call that hangs does not keep the process alive
        self.workspace = workspace
        self._show, self._over = show, Event()
        self._why: str | None = None
        self._before = self._finished()
        self._session: str | None = None
        self._seen: Hashable = None

    def follow(self, record: SessionRecord) -> None:
        """Called when the ledger has changed."""
        raise NotImplementedError

    def over(self, record: SessionRecord | None, why: str) -> None:
        """The last call. ``record``: None if no session began. ``why``: what ended the command before the session's
        end; "" if nothing did."""
        raise NotImplementedError

    def run(self) -> None:
        while not self._over.wait(SECONDS):
            if record := self._look():
                self.follow(record)
        self._seen = None
        record = self._look()
        if record is not None:
            self.follow(record)
        self.over(record, self._why or "")

    @contextmanager
    def beside(self) -> Iterator[Self]:
        """Follow what runs inside the block."""
        self.start()
        try:
            yield self
        except BaseException as error:
            self._end(_why(error))
            raise
        self._end("")

    def note(self, text: str) -> None:
        """Show a line, and record it in the session's progress log."""
        self._show(text)
        if self._session is not None:
            with suppress(NightlaneError, sqlite3.Error, OSError), Ledger(self.workspace.ledger) as ledger:
                time = now()
                ledger.record_event(f"{self._session}-{self.name}-{time}", self._session, time, text)

    def _end(self, why: str) -> None:
        self._why = why
        self._over.set()
        self.join(IF_STOPPED if why else AT_THE_END)

    def _look(self) -> SessionRecord | None:
        """The session, if something was written since the last look; None before it is in the ledger, and if it cannot
        be read now."""
        ledger = self.workspace.ledger
        seen = fingerprint((ledger, ledger.with_name(f"{ledger.name}-wal")))
        if seen == self._seen:
            return None
        try:
            self._session = self._session or self._own()
            record = load_record(self.workspace, self._session) if self._session else None
        except (NightlaneError, sqlite3.Error, OSError):
            return None  # it is tried again
        self._seen = seen
        return record

    def _own(self) -> str | None:
        """The session that this process runs, or ran before it ended."""
        if not self._over.is_set() and self.workspace.holder() != os.getpid():
            return None
        with LedgerOverview(self.workspace.ledger, read_only=True) as ledger:
            name = ledger.session_of_last_event()
        return None if name in self._before else name

    def _finished(self) -> set[str]:
        """The sessions that had ended before this one began."""
        if not holds_sessions(self.workspace.ledger):
            return set()
        with LedgerOverview(self.workspace.ledger, read_only=True) as ledger:
            return {row.id for row in ledger.session_rows() if row.finished}


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by {error}" if str(error) else "stopped by Ctrl-C"
    return str(error) if isinstance(error, (NightlaneError, OSError)) else f"a defect of nightlane: {error!r}"
