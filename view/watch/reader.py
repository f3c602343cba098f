"""What nightlane watch shows, read from the workspace by a thread of its own, so that a slow disk or a locked ledger
never stops the keys."""

import sqlite3
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from threading import Event, Thread

from agent.ledger.database.file import no_session_error
from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.study.load import Study, recorded_study
from agent.workspace.folder import Workspace
from common.errors import NightlaneError
from probes.run.store import ProbeStore
from view.data.listing.decisions import DecisionLine, decision_lines
from view.data.listing.sessions import SessionNow, session_now
from view.data.next_commands import report_command
from view.data.sections.measurements import differences
from view.data.session_record import load_record
from view.data.training.curve import Curve, CurveLine, thinned
from view.server.changes import TOPICS, Changes

SECONDS = 1.0
MOST_DECISIONS = 200
MOST_NOTES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The latest session. ``decisions`` and ``notes`` (time, text): the last ones, the latest first. ``losses``: the
    curve of each running probe. ``result``: what a finished session changed, and where its report is."""

    now: SessionNow
    decisions: tuple[DecisionLine, ...]
    notes: tuple[tuple[str, str], ...]
    losses: Mapping[str, CurveLine]
    result: tuple[str, ...] = ()


@dataclass
class Reader:
    """Reads the workspace again when something in it has changed, or while a session runs."""

    workspace: Workspace
    _seen: Hashable = field(default=None, init=False)
    _picture: Picture | None = field(default=None, init=False)
    _study: tuple[str, Study] | None = field(default=None, init=False)
    _decided: tuple[Hashable, tuple[DecisionLine, ...]] = field(default=(None, ()), init=False)
    _curves: dict[str, Curve] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._changes = Changes(self.workspace, {topic: TOPICS[topic] for topic in ("decisions", "probes")})

    def read(self) -> Picture:
        """The present picture. NightlaneError, sqlite3.Error or OSError if the workspace has no session, or cannot be
        read now."""
        seen = tuple(self._changes.seen().items())
        if self._picture is None or seen != self._seen or self._picture.now.session.state == "running":
            self._picture, self._seen = self._look(), seen
        return self._picture

    def _look(self) -> Picture:
        with LedgerOverview(self.workspace.ledger, read_only=True) as ledger:
            row = ledger.session()
            if row is None:
                raise no_session_error(self.workspace.ledger)
            now = session_now(self.workspace, ledger, row, self._study_of(row))
            decisions = self._decisions(ledger, row.id)
            notes = tuple(ledger.last_notes(row.id, MOST_NOTES))
        return Picture(
            now=now,
            decisions=decisions,
            notes=notes,
            losses=self._losses(now),
            result=self._result(row.id) if now.session.state == "finished" else (),
        )

    def _study_of(self, row: SessionRow) -> Study:
        if self._study is None or self._study[0] != row.id:
            self._study = row.id, recorded_study((self.workspace.root / row.study_path).resolve(), row.study_text)
        return self._study[1]

    def _decisions(self, ledger: LedgerOverview, session: str) -> tuple[DecisionLine, ...]:
        """The decisions, read again only when one was added, since none ever changes."""
        state = session, ledger.last_decision()
        if state != self._decided[0]:
            self._decided = state, tuple(decision_lines(ledger, session, last=MOST_DECISIONS)[::-1])
        return self._decided[1]

    def _losses(self, now: SessionNow) -> dict[str, CurveLine]:
        probes = [probe.id for probe in now.live.batch.probes] if now.live.batch else []
        store = ProbeStore(self.workspace.runs)
        self._curves = {name: self._curves.get(name) or Curve(store.directory(name)) for name in probes}
        return {name: thinned(curve.refresh().line("loss")) for name, curve in self._curves.items()}

    def _result(self, session: str) -> tuple[str, str]:
        changed = differences(load_record(self.workspace, session))
        moves = ", ".join(f"{one.knob} {one.before} -> {one.after}" for one in changed)
        recipe = self.workspace.session(session) / "recipe.toml"
        adopt = f"Adopt {recipe}: {moves}." if changed else "Nothing to adopt: the starting recipe stands."
        return adopt, f"The whole report: {report_command(session, str(self.workspace.root))}"


class Poller(Thread):
    """Reads once a second until ``end``. ``show`` gets the picture, or the reason why there is none now, or a defect of
    ours, which ends the thread."""

    def __init__(self, reader: Reader, show: Callable[[Picture | str | Exception], object]) -> None:
        super().__init__(name="workspace", daemon=True)  # a read that waits for a lock does not delay the end
        self._reader, self._show, self._ended = reader, show, Event()

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self._show(looked(self._reader))
                self._ended.wait(SECONDS)
        except Exception as defect:  # raised again by the screen's own thread
            self._show(defect)

    def end(self) -> None:
        self._ended.set()


def looked(reader: Reader) -> Picture | str:
    try:
        return reader.read()
    except NightlaneError as error:
        return str(error)
    except (sqlite3.Error, OSError) as error:
        return f"the workspace cannot be read now ({error}); it is tried again every second"
