"""What all requests share: the workspace, its changes, and cached values."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from threading import RLock
from typing import TypeVar

from agent.ledger.overview import LedgerOverview
from agent.workspace.folder import Workspace
from common.files import fingerprint
from view.data.session_record import SessionRecord, load_record
from view.server.changes import Changes
from view.server.page import Area

Value = TypeVar("Value")
MOST_KEPT = 8


class Site:
    """``cached`` keeps the last few values that were made from files, until the files change."""

    def __init__(self, workspace: Workspace, areas: Sequence[Area]) -> None:
        self.workspace, self.areas = workspace, areas
        self.changes = Changes(workspace)
        self._kept: dict[Hashable, tuple[Hashable, object]] = {}
        self._shared: dict[str, object] = {}
        self._lock = RLock()

    def cached(self, name: Hashable, files: Sequence[Path], make: Callable[[], Value]) -> Value:
        """The value of ``make``, which is called again only when one of the files has changed."""
        seen = (self.workspace.holder(), fingerprint(files))
        with self._lock:
            known = self._kept.pop(name, None)
            value = known[1] if known and known[0] == seen else make()
            self._kept[name] = (seen, value)
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return value  # type: ignore[return-value]

    def shared(self, name: str, make: Callable[[], Value]) -> Value:
        """The value of ``make``, which is called once for all requests; the value keeps itself up to date."""
        with self._lock:
            if name not in self._shared:
                self._shared[name] = make()
            return self._shared[name]  # type: ignore[return-value]

    @property
    def ledger_files(self) -> list[Path]:
        path = self.workspace.ledger
        return [path, path.with_name(f"{path.name}-wal")]

    def record(self, session: str) -> SessionRecord:
        """Everything about one session; BadInput when there is none of that id."""
        return self.cached(("record", session), self.ledger_files, lambda: load_record(self.workspace, session))

    def ledger(self) -> LedgerOverview:
        return LedgerOverview(self.workspace.ledger, read_only=True)
