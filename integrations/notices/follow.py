"""Sends the notices of a session from a thread beside it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agent.study.schema import NotifySettings
from agent.workspace.folder import Workspace
from integrations.follower import Follower
from integrations.notices.notice import Notice, due, not_begun, stopped
from integrations.notices.send import Sender, addresses, last_log_line, mark_sent, sent_notices
from view.data.session_record import SessionRecord


@contextmanager
def notifying(
    study: str, settings: NotifySettings, workspace: Workspace, show: Callable[[str], None]
) -> Iterator[None]:
    """Send the notices of the session that runs inside the block. ``study``: its name; ``show``: shows a line to a
    person. BadInput or MissingRequirement for addresses that cannot be used."""
    if not settings.urls:
        yield
        return
    with Notices(study, workspace, addresses(settings, os.environ), show).beside():
        yield


class Notices(Follower):
    def __init__(self, study: str, workspace: Workspace, urls: Sequence[str], show: Callable[[str], None]) -> None:
        super().__init__("notices", workspace, show)
        self._study, self._sender = study, Sender(urls, self.note)

    def follow(self, record: SessionRecord) -> None:
        for notice in due(record):
            self._send(record, notice, notice.kind)

    def over(self, record: SessionRecord | None, why: str) -> None:
        if not why:
            return
        if record is None:
            self._sender.send(not_begun(self._study, why))
        elif not record.session.finished:
            self._send(record, stopped(record, why), last_log_line(self.workspace, record.session.id)[0])

    def _send(self, record: SessionRecord, notice: Notice, name: str) -> None:
        """``name``: under which it is remembered, so that it is sent once."""
        folder = self.workspace.session(record.session.id)
        if name not in sent_notices(folder) and self._sender.send(notice):
            mark_sent(folder, name)
