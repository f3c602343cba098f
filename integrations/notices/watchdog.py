"""``nightlane watch --notify``: sends a notice when the process of a session is gone. It runs in a process of
its own, so that what kills the session does not silence it."""

import os
import time
from collections.abc import Callable

from agent.workspace.folder import Workspace
from common.errors import BadInput, NightlaneError
from integrations.notices.notice import died
from integrations.notices.send import Sender, addresses, last_log_line, mark_sent, sent_notices
from view.data.session_record import SessionRecord, load_record

SECONDS = 20.0
"""Seconds between two looks at the workspace."""
SAID = "INTERRUPTED"
"""First word of the last line of a session that a person ended."""


class Watchdog:
    """``note``: shows a line to a person."""

    def __init__(self, workspace: Workspace, note: Callable[[str], None]) -> None:
        self._workspace, self._note = workspace, note
        self._sent = set[str]()

    def run(self) -> None:
        """Look again and again, until Ctrl-C."""
        while True:
            try:
                self.look()
            except NightlaneError as error:
                self._note(str(error))
            time.sleep(SECONDS)

    def look(self) -> bool:
        """Send a notice if the latest session is dead; returns whether it is. BadInput if there are no addresses."""
        record = load_record(self._workspace, None)
        sender = Sender(self._addresses(record), self._note)
        death = self._death(record)
        if death is None:
            return False
        folder = self._workspace.session(record.session.id)
        if death not in self._sent | sent_notices(folder) and sender.send(died(record)):
            self._note(f"session {record.session.id} died; its notice is sent")
            self._sent.add(death)
            mark_sent(folder, death)
        return True

    def _addresses(self, record: SessionRecord) -> tuple[str, ...]:
        found = addresses(record.study.file.notify, os.environ)
        if not found:
            raise BadInput(
                f"notices go to the addresses of the study and {record.study.path} of session {record.session.id} has "
                "none; write urls under [notify], then begin a session"
            )
        return found

    def _death(self, record: SessionRecord) -> str | None:
        """A name for this death of the session; None if the session runs, has ended, or recorded why it stopped."""
        if record.state != "interrupted":
            return None
        name, text = last_log_line(self._workspace, record.session.id)
        return None if text.startswith(SAID) else name
