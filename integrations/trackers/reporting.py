"""Reports a session to trackers while it runs, from a thread beside it.

A tracker is a service that may be down, full or without a key, and a night takes hours: after its first error, which is
logged, a tracker is not called again in this process. Hence the broad except, as around a model endpoint. A resumed
session reports what was not reported yet.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agent.workspace.folder import Workspace
from common.files import write_unsynced
from common.optional_dependencies import require_trackers, wait_briefly
from common.wording import one_line
from integrations.follower import Follower
from integrations.trackers.services import SERVICES, TrackerSession
from integrations.trackers.session_run import decision_table, probe_run, totals
from view.data.session_record import SessionRecord
from view.report.report import PAGE

FILE = "reported.json"
"""The file in the session's folder that lists, for each tracker, the probes that it has."""


@contextmanager
def reporting(names: Sequence[str], workspace: Workspace, show: Callable[[str], None]) -> Iterator[None]:
    """Report the session that runs inside the block. ``show``: shows a line to a person. BadInput for an unknown
    tracker, MissingRequirement if its package is not installed."""
    require_trackers(names)
    if not names:
        yield
        return
    wait_briefly()
    with Reporter(tuple(dict.fromkeys(names)), workspace, show).beside():
        yield


class Reporter(Follower):
    def __init__(self, names: Sequence[str], workspace: Workspace, show: Callable[[str], None]) -> None:
        super().__init__("trackers", workspace, show)
        self._names = list(names)
        self._services: dict[str, TrackerSession] = {}
        self._warned = set[str]()

    def follow(self, record: SessionRecord) -> None:
        for name in list(self._names):
            self._guarded(name, lambda name=name: self._report(name, record))  # type: ignore[misc]

    def over(self, record: SessionRecord | None, why: str) -> None:
        for name in list(self._names):
            self._guarded(name, lambda name=name: self._close(name, record))  # type: ignore[misc]

    def _report(self, name: str, record: SessionRecord) -> None:
        """Report the probes that the tracker does not have yet. (The ledger has a reading before its folder is
        complete.)"""
        if name not in self._services:
            self._services[name] = SERVICES[name](record)
        known = self._reported(record)
        for row in record.probes:
            is_whole = row.kind != "reading" or row.id in record.outcomes or record.session.finished is not None
            if is_whole and row.id not in known.get(name, []):
                self._services[name].probe(probe_run(record, row))
                known.setdefault(name, []).append(row.id)
                write_unsynced(self.workspace.session(record.session.id) / FILE, json.dumps(known))

    def _close(self, name: str, record: SessionRecord | None) -> None:
        service = self._services.get(name)
        if service is None or record is None:
            return
        folder = self.workspace.session(record.session.id)
        files = [path for path in (folder / "report.md", folder / PAGE, folder / "recipe.toml") if path.exists()]
        service.session(decision_table(record), totals(record), files if record.session.finished else [])

    def _reported(self, record: SessionRecord) -> dict[str, list[str]]:
        try:
            found = json.loads((self.workspace.session(record.session.id) / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):  # standard output is for data
                act()
        except Exception as error:
            self._names.remove(name)
            why = one_line(str(error) or type(error).__name__, 200)
            self.note(f"REPORT the tracker {name} failed ({why}), and the session continues without it")
        for line in said.getvalue().splitlines():
            if "warning" in line.lower() and line not in self._warned:
                self._warned.add(line)
                self.note(f"REPORT {name}: {one_line(line, 200)}")
