"""The ledger: the durable record of sessions, proposals, probes and decisions, and the authority on all of them.

SQLite with WAL and synchronous=FULL: a row that was acknowledged survives a power cut. Every write is keyed, so doing
it twice changes nothing. ``results.tsv`` and ``progress.log`` follow it (agent/ledger/result_files.py).
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from agent.ledger.file import LedgerConnection, complete, damaged, without_sessions
from common import row_digests
from common.errors import BadInput
from common.shared_sqlite import open_to_read
from lanes import Recipe
from probes.result.reading import Failure, Outcome, Probe

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, study TEXT NOT NULL, study_path TEXT NOT NULL, question TEXT NOT NULL,
    study_text TEXT NOT NULL, key TEXT NOT NULL, start TEXT NOT NULL, seed INTEGER NOT NULL,
    limits TEXT NOT NULL, started TEXT NOT NULL, finished TEXT, finish_reason TEXT);
CREATE TABLE IF NOT EXISTS periods (
    session TEXT NOT NULL REFERENCES sessions, started REAL NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (session, started));
CREATE TABLE IF NOT EXISTS recipes (digest TEXT PRIMARY KEY, toml TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS proposals (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions, turn INTEGER NOT NULL, parent TEXT NOT NULL,
    child TEXT NOT NULL, lane TEXT NOT NULL, knob TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    hypothesis TEXT NOT NULL, predicted REAL, proposer TEXT NOT NULL, dollars REAL NOT NULL, time TEXT NOT NULL,
    UNIQUE (session, turn));
CREATE TABLE IF NOT EXISTS probes (
    id TEXT NOT NULL, session TEXT NOT NULL REFERENCES sessions, recipe TEXT NOT NULL, key TEXT NOT NULL,
    seed INTEGER NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL, seconds REAL NOT NULL, time TEXT NOT NULL,
    PRIMARY KEY (id, session));
CREATE TABLE IF NOT EXISTS decisions (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions, turn INTEGER NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, incumbent TEXT NOT NULL, comparison TEXT, policy TEXT NOT NULL, row TEXT NOT NULL,
    time TEXT NOT NULL, course TEXT);
CREATE TABLE IF NOT EXISTS examinations (
    session TEXT NOT NULL REFERENCES sessions, turn INTEGER NOT NULL, time TEXT NOT NULL, passed INTEGER NOT NULL,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checks (
    session TEXT NOT NULL REFERENCES sessions, kind TEXT NOT NULL, subject TEXT NOT NULL, time TEXT NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (session, kind, subject));
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions, time TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS decisions_of ON decisions (session, status, turn, reason);
CREATE INDEX IF NOT EXISTS decisions_by_status ON decisions (status);
CREATE INDEX IF NOT EXISTS probes_of ON probes (session, kind, seconds);
CREATE INDEX IF NOT EXISTS probes_by_key ON probes (key, recipe, seed);
CREATE INDEX IF NOT EXISTS checks_by_kind ON checks (kind, session);
CREATE INDEX IF NOT EXISTS examinations_of ON examinations (session, turn);
CREATE INDEX IF NOT EXISTS sessions_asking ON sessions (question, key);
"""


@dataclass(frozen=True)
class SessionRow:
    """One unattended run of the loop. ``finished`` is our own field; nothing else says that a session has ended."""

    id: str
    study: str
    study_path: str
    question: str
    study_text: str
    key: str
    start: str
    seed: int
    limits: Mapping[str, Any]
    started: str
    finished: str | None = None
    finish_reason: str | None = None


@dataclass(frozen=True)
class ProposalRow:
    """A mutation with its hypothesis, predicted effect and proposer; ``parent`` and ``child`` are recipe digests."""

    id: str
    session: str
    turn: int
    parent: str
    child: str
    lane: str
    knob: str
    before: Any
    after: Any
    hypothesis: str
    predicted: float | None
    proposer: str
    dollars: float
    time: str


RETRACTION = "-retract"
"""What the id of a retraction adds to that of its KEEP."""
BAD_ROWS = "bad_rows"


@dataclass(frozen=True)
class DecisionRow:
    """A decision with its figures: ``row`` is its line of results.tsv, ``incumbent`` what stands after it, ``course``
    every look that led to it and the account it leaves (agent/policy/)."""

    id: str
    session: str
    turn: int
    status: str
    reason: str
    incumbent: str
    comparison: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    row: Mapping[str, Any]
    time: str
    course: Mapping[str, Any] | None = None

    @property
    def proposal(self) -> str:
        """The id of the proposal that it is on, which for a retraction is that of the KEEP."""
        return self.id.removesuffix(RETRACTION)


@dataclass(frozen=True)
class CheckRow:
    """What a session measured that is no decision on a proposal: the noise "floor" at its start, each recipe of its
    "survey" (subject: its place) and what is "surveyed" by it (subject: the session that took it), each KEEP left out
    ("leave_one_out", subject: its decision) and the "holdout" at its end. And what it found without measuring: which
    rows of a source are bad and were left out (BAD_ROWS, subject: the source; ``Source.gaps``)."""

    session: str
    kind: str
    subject: str
    time: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class ProbeRow:
    """That a session measured a probe: kind is "reading" or a failure's; ``seconds`` it took in its worker."""

    id: str
    session: str
    recipe: str
    key: str
    seed: int
    kind: str
    message: str
    seconds: float
    time: str


@dataclass(frozen=True)
class ExaminationRow:
    """An examination of the scorer after ``turn`` decisions; ``data`` as
    probes/scoring/judge/examination.py writes it."""

    session: str
    turn: int
    time: str
    passed: bool
    data: Mapping[str, Any]


def left_standing(session: SessionRow, decisions: Sequence[DecisionRow]) -> str:
    """The digest that the last KEEP or RETRACT of a session left, or its start.

    Of a round, another candidate may be decided on after the KEEP.
    """
    left = [decision.incumbent for decision in decisions if decision.status in ("KEEP", "RETRACT")]
    return left[-1] if left else session.start


class Ledger:
    """Open with ``Ledger(path)``; ``read_only`` never creates or locks anything."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise without_sessions(path)
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            complete(path, SCHEMA)
        try:
            self._db: LedgerConnection = (
                open_to_read(path, LedgerConnection)
                if read_only
                else sqlite3.connect(
                    path, isolation_level=None, check_same_thread=False, timeout=30, factory=LedgerConnection
                )
            )
        except (sqlite3.OperationalError, OSError) as error:
            raise BadInput(
                f"{path} cannot be opened as a ledger ({error}); check what it is and who may read it"
            ) from None
        except sqlite3.DatabaseError as error:
            raise damaged(path, error) from None
        self.path = self._db.path = path
        self._db.row_factory = sqlite3.Row
        self._recipes: dict[str, Recipe] = {}  # what a digest names never changes
        try:
            if not read_only:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
                self._add_course()
                row_digests.keep(self._db)
            tables = self._db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'events'").fetchone()[0]
            self._db.row_factory = row_digests.checked(self._db, self._changed)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
                raise
            raise damaged(path, error) from None
        if not tables:
            raise without_sessions(path)

    def _add_course(self) -> None:
        """To a ledger from before decisions had one."""
        if "course" not in {row["name"] for row in self._db.execute("PRAGMA table_info(decisions)")}:
            self._db.execute("ALTER TABLE decisions ADD COLUMN course TEXT")

    def _changed(self, table: str, name: str) -> BadInput:
        return damaged(self.path, f"the row of {name} in {table} is not as it was written")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # sessions

    def begin(self, session: SessionRow, start: Recipe) -> None:
        with self._transaction():
            self._recipe(start)
            self._insert("sessions", {**asdict(session), "limits": json.dumps(dict(session.limits))})

    def session(self, session_id: str | None = None) -> SessionRow | None:
        """The session of that id, or the latest."""
        clause, values = ("WHERE id = ?", (session_id,)) if session_id else ("ORDER BY rowid DESC", ())
        row = self._db.execute(f"SELECT * FROM sessions {clause} LIMIT 1", values).fetchone()
        return SessionRow(**{**dict(row), "limits": json.loads(row["limits"])}) if row else None

    def sessions(self) -> list[str]:
        """In the order in which they began, whatever the clock said then."""
        return [row["id"] for row in self._db.execute("SELECT id FROM sessions ORDER BY rowid")]

    def nights_before(self, session_id: str) -> int:
        """Sessions under the question of this one that began before it."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM sessions s JOIN sessions m ON s.question = m.question "
            "WHERE m.id = ? AND (s.started, s.rowid) < (m.started, m.rowid)",
            (session_id,),
        ).fetchone()
        return int(row[0])

    def unfinished(self) -> str | None:
        """The last session that has not ended."""
        row = self._db.execute(
            "SELECT id FROM sessions WHERE finished IS NULL ORDER BY started DESC, rowid DESC LIMIT 1"
        ).fetchone()
        return row["id"] if row else None

    def set_limits(self, session_id: str, limits: Mapping[str, Any]) -> None:
        """What the command line said over the study's budget, now."""
        self._db.execute("UPDATE sessions SET limits = ? WHERE id = ?", (json.dumps(dict(limits)), session_id))

    def finish(self, session_id: str, time: str, reason: str) -> None:
        self._db.execute(
            "UPDATE sessions SET finished = ?, finish_reason = ? WHERE id = ? AND finished IS NULL",
            (time, reason, session_id),
        )

    def seen(self, session_id: str, period: float, now: float) -> None:
        """The session, in the period that began at ``period``, is alive at ``now`` (both seconds since the epoch; their
        difference is time that passed, whatever was done to the clock meanwhile)."""
        self._db.execute(
            "INSERT INTO periods VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen",
            (session_id, period, now),
        )

    def unused_period(self, session_id: str, now: float) -> float:
        """``now``, or the next moment at which no period of the session began: a clock that was set back may come to
        the same moment twice."""
        taken = {
            row["started"] for row in self._db.execute("SELECT started FROM periods WHERE session = ?", (session_id,))
        }
        while now in taken:
            now = math.nextafter(now, math.inf)
        return now

    def active_seconds(self, session_id: str, until: float = math.inf) -> float:
        """Time the session was running, up to a moment (seconds since the epoch), pauses between kill and resume left
        out. A period that ends before it began is of a version that measured by a clock which was set back: it is 0."""
        row = self._db.execute(
            "SELECT SUM(MAX(MIN(seen, :until) - started, 0)) FROM periods WHERE session = :id AND started < :until",
            {"id": session_id, "until": until},
        ).fetchone()
        return float(row[0] or 0.0)

    # proposals, probes, decisions, events

    def propose(self, proposal: ProposalRow, child: Recipe) -> ProposalRow:
        """Record a proposal, or give the one that this session's turn has already."""
        with self._transaction():
            self._recipe(child)
            self._insert(
                "proposals",
                {**asdict(proposal), "before": json.dumps(proposal.before), "after": json.dumps(proposal.after)},
            )
        recorded = self.proposal(proposal.session, proposal.turn)
        if recorded is None:
            raise RuntimeError(f"proposal {proposal.id} was written and is not there")
        return recorded

    def proposal(self, session_id: str, turn: int) -> ProposalRow | None:
        found = self.proposals("WHERE session = ? AND turn = ?", (session_id, turn))
        return found[0] if found else None

    def proposals(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[ProposalRow]:
        rows = self._db.execute(f"SELECT * FROM proposals {clause} ORDER BY rowid", values)
        return [
            ProposalRow(**{**dict(row), "before": json.loads(row["before"]), "after": json.loads(row["after"])})
            for row in rows
        ]

    def measured(self, session_id: str, probe: Probe, outcome: Outcome, time: str) -> None:
        """Note the outcome of a probe that the session ran; of one that was run again, the last."""
        kind, message, seconds = "reading", "", 0.0
        if isinstance(outcome, Failure):
            kind, message = outcome.kind, outcome.message
        else:
            seconds = outcome.timing.total
        with self._transaction():
            self._recipe(probe.recipe)
            row = ProbeRow(
                probe.id, session_id, probe.recipe.digest, probe.key.digest, probe.seed, kind, message, seconds, time
            )
            self._db.execute("DELETE FROM probes WHERE id = ? AND session = ?", (row.id, row.session))
            self._insert("probes", asdict(row))

    def counted(self, session_id: str) -> tuple[int, float, int, float]:
        """Decisions on proposals, the proposers' dollars, probes, and the mean seconds of those that gave a reading."""
        decisions = "SELECT COUNT(*) FROM decisions WHERE session = :id AND turn > 0"
        dollars = "SELECT COALESCE(SUM(dollars), 0) FROM proposals WHERE session = :id"
        probes = "SELECT COUNT(*) FROM probes WHERE session = :id"
        seconds = "SELECT COALESCE(AVG(seconds), 0) FROM probes WHERE session = :id AND kind = 'reading'"
        row = self._db.execute(f"SELECT ({decisions}), ({dollars}), ({probes}), ({seconds})", {"id": session_id})
        found: tuple[int, float, int, float] = tuple(row.fetchone())
        return found

    def probes(self, session_id: str) -> list[ProbeRow]:
        rows = self._db.execute("SELECT * FROM probes WHERE session = ? ORDER BY rowid", (session_id,))
        return [ProbeRow(**dict(row)) for row in rows]

    def probes_under(self, key: str, seeds: Sequence[int]) -> list[ProbeRow]:
        """Of all sessions, in their order, those of a probe key under one of these seeds."""
        marks = ", ".join("?" * len(seeds))
        rows = self._db.execute(
            f"SELECT p.* FROM probes p JOIN sessions s ON s.id = p.session WHERE p.key = ? AND p.seed IN ({marks}) "
            "ORDER BY s.started, s.rowid, p.rowid",
            (key, *seeds),
        )
        return [ProbeRow(**dict(row)) for row in rows]

    def decide(self, decided: Sequence[tuple[DecisionRow, str]]) -> None:
        """Make decisions durable together, each with its line of the progress log: all of a round, or none."""
        with self._transaction():
            for decision, event in decided:
                self._insert(
                    "decisions",
                    {
                        **asdict(decision),
                        "comparison": _json(decision.comparison),
                        "policy": json.dumps(dict(decision.policy)),
                        "row": json.dumps(dict(decision.row)),
                        "course": _json(decision.course),
                    },
                )
                self._insert(
                    "events",
                    {"id": decision.id, "session": decision.session, "time": decision.time, "text": event},
                )

    def checked(self, *checks: CheckRow) -> None:
        """Record checks, all or none, unless they are there."""
        with self._transaction():
            for check in checks:
                self._insert("checks", {**asdict(check), "data": json.dumps(dict(check.data))})

    def checks(self, session_id: str, kind: str | None = None) -> list[CheckRow]:
        """Of a session, oldest first; none in a ledger from before there were any."""
        if not self._has("checks"):
            return []
        kinds, values = ("AND kind = ?", (session_id, kind)) if kind else ("", (session_id,))
        rows = self._db.execute(f"SELECT * FROM checks WHERE session = ? {kinds} ORDER BY rowid", values)
        return [_check(row) for row in rows]

    def is_checked(self, session_id: str, kind: str, subject: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM checks WHERE session = ? AND kind = ? AND subject = ?", (session_id, kind, subject)
        )
        return found.fetchone() is not None

    def checked_alone(self, question: str, key: str, kind: str, without: str) -> list[str]:
        """Subjects of the checks of a kind, of all sessions under one question and probe key, that have no check of
        another kind."""
        if not self._has("checks"):
            return []
        found = self._db.execute(
            "SELECT c.subject FROM checks c JOIN sessions s ON s.id = c.session "
            "WHERE c.kind = ? AND s.question = ? AND s.key = ? AND NOT EXISTS (SELECT 1 FROM checks o "
            "WHERE o.session = c.session AND o.kind = ? AND o.subject = c.subject) ORDER BY c.rowid",
            (kind, question, key, without),
        )
        return [row["subject"] for row in found]

    def survey_under(self, question: str, key: str) -> str | None:
        """The session that took a survey, to its end, under one question and one probe key; the first, if several."""
        if not self._has("checks"):
            return None
        row = self._db.execute(
            "SELECT c.subject FROM checks c JOIN sessions s ON s.id = c.session JOIN checks r ON r.session = c.subject "
            "WHERE c.kind = 'surveyed' AND r.kind = 'survey' AND s.question = ? AND s.key = ? ORDER BY c.rowid LIMIT 1",
            (question, key),
        ).fetchone()
        return str(row["subject"]) if row else None

    def settle(self, floor: CheckRow, key: str) -> None:
        """Record the noise floor of a session together with the probe key that was chosen by it."""
        with self._transaction():
            self._insert("checks", {**asdict(floor), "data": json.dumps(dict(floor.data))})
            self._db.execute("UPDATE sessions SET key = ? WHERE id = ?", (key, floor.session))

    def samples(self, question: str) -> int | None:
        """Answers per prompt that the last session under a question chose; None where none has."""
        if not self._has("checks"):
            return None
        row = self._db.execute(
            "SELECT c.data FROM checks c JOIN sessions s ON s.id = c.session "
            "WHERE c.kind = 'floor' AND s.question = ? ORDER BY c.rowid DESC LIMIT 1",
            (question,),
        ).fetchone()
        return int(json.loads(row["data"])["samples"]) if row else None

    def _has(self, table: str) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    def history(self, question: str, key: str, after: int = 0) -> Iterator[tuple[int, ProposalRow, DecisionRow]]:
        """Every decision on a proposal under one question and one probe key, of all sessions, oldest first, numbered;
        those after a number."""
        asked = "session IN (SELECT id FROM sessions WHERE question = ? AND key = ?)"
        few = "+" if after else ""  # the last ones are found by their number, all of them by their sessions
        rows = self._db.execute(
            f"SELECT rowid, id FROM decisions WHERE rowid > ? AND turn > 0 AND {few}{asked} ORDER BY rowid",
            (after, question, key),
        ).fetchall()
        for row in rows:
            for proposal in self.proposals("WHERE id = ?", (row["id"],)):
                yield row["rowid"], proposal, self._loaded(row["id"])

    def decided_after(self, session_id: str, number: int) -> list[tuple[int, DecisionRow]]:
        """A session's decisions after a number, oldest first, numbered."""
        rows = self._db.execute(
            f"SELECT rowid, id FROM decisions WHERE {'+' if number else ''}session = ? AND rowid > ? ORDER BY rowid",
            (session_id, number),
        ).fetchall()
        return [(row["rowid"], self._loaded(row["id"])) for row in rows]

    def number(self, decision_id: str) -> float:
        """Of a decision, in the order that they were made; infinite where it is not made."""
        row = self._db.execute("SELECT rowid FROM decisions WHERE id = ?", (decision_id,)).fetchone()
        return int(row[0]) if row else math.inf

    def keeps(self, session_id: str) -> tuple[int, int]:
        """How many KEEPs a session has, and how many decisions on proposals it has made since the last of them."""
        kept, last = self._db.execute(
            "SELECT COUNT(*), COALESCE(MAX(rowid), 0) FROM decisions WHERE session = ? AND status = 'KEEP'",
            (session_id,),
        ).fetchone()
        since = self._db.execute(
            "SELECT COUNT(*) FROM decisions WHERE session = ? AND turn > 0 AND rowid > ?", (session_id, last)
        ).fetchone()
        return int(kept), int(since[0])

    def last_reasons(self, session_id: str, number: int) -> list[str]:
        """Of the last so many decisions on proposals of a session, oldest first."""
        found = self._db.execute(
            "SELECT reason FROM decisions WHERE +session = ? AND turn > 0 ORDER BY rowid DESC LIMIT ?",
            (session_id, number),
        )
        return [row["reason"] for row in found][::-1]

    def billed(self, session_id: str) -> float:
        """Dollars in the rows of a session."""
        found = self._db.execute(
            "SELECT json_extract(row, '$.cost_usd') AS cost FROM decisions WHERE session = ? ORDER BY rowid",
            (session_id,),
        )
        return sum(row["cost"] or 0.0 for row in found)

    def retractions(self, after: int = 0) -> list[tuple[int, DecisionRow]]:
        """Of all sessions, after a number, oldest first, numbered."""
        rows = self._db.execute(
            "SELECT rowid, id FROM decisions WHERE status = 'RETRACT' AND rowid > ? ORDER BY rowid", (after,)
        ).fetchall()
        return [(row["rowid"], self._loaded(row["id"])) for row in rows]

    def rows_after(self, number: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The rows of results.tsv after a number, of all sessions, oldest first, numbered."""
        found = self._db.execute("SELECT rowid, row FROM decisions WHERE rowid > ? ORDER BY rowid", (number,))
        return ((row["rowid"], json.loads(row["row"])) for row in found)

    def name_of(self, table: Literal["decisions", "events"], number: int) -> str | None:
        """The id of what has this number."""
        row = self._db.execute(f"SELECT id FROM {table} WHERE rowid = ?", (number,)).fetchone()
        return row["id"] if row else None

    def standing(self, question: str, key: str) -> str | None:
        """The digest of the recipe that the last KEEP or RETRACT under one question and probe key left, of any
        session."""
        row = self._db.execute(
            "SELECT d.incumbent FROM decisions d JOIN sessions s ON s.id = d.session "
            "WHERE s.question = ? AND s.key = ? AND d.status IN ('KEEP', 'RETRACT') ORDER BY d.rowid DESC LIMIT 1",
            (question, key),
        ).fetchone()
        return str(row[0]) if row else None

    def decision(self, decision_id: str) -> DecisionRow | None:
        found = self.decisions("WHERE id = ?", (decision_id,))
        return found[0] if found else None

    def decisions(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[DecisionRow]:
        names = [row["id"] for row in self._db.execute(f"SELECT id FROM decisions {clause} ORDER BY rowid", values)]
        return [self._loaded(name) for name in names]

    def _loaded(self, decision_id: str) -> DecisionRow:
        row = dict(self._db.execute("SELECT * FROM decisions WHERE id = ?", (decision_id,)).fetchone())
        loaded = {name: json.loads(row.get(name) or "null") for name in ("comparison", "policy", "row", "course")}
        return DecisionRow(**{**row, **loaded})

    def examined(self, session_id: str, turn: int, time: str, passed: bool, data: Mapping[str, Any]) -> None:
        """Record an examination; one that is made again, after a kill, is one more."""
        with self._transaction():
            row = {"session": session_id, "turn": turn, "time": time, "passed": passed, "data": json.dumps(dict(data))}
            self._insert("examinations", row)

    def examinations(self, session_id: str) -> list[ExaminationRow]:
        """Of a session, oldest first; none in a ledger from before there were any."""
        if not self._has("examinations"):
            return []
        rows = self._db.execute("SELECT * FROM examinations WHERE session = ? ORDER BY rowid", (session_id,))
        return [
            ExaminationRow(**{**dict(row), "passed": bool(row["passed"]), "data": json.loads(row["data"])})
            for row in rows
        ]

    def note(self, event_id: str, session_id: str, time: str, text: str) -> None:
        """A line of the progress log that is no decision."""
        with self._transaction():
            self._insert("events", {"id": event_id, "session": session_id, "time": time, "text": text})

    def events(self) -> list[tuple[str, str, str]]:
        """(session, time, text) of all sessions, oldest first."""
        return [(session, time, text) for _, session, time, text in self.events_after(0)]

    def events_after(self, number: int) -> Iterator[tuple[int, str, str, str]]:
        """(number, session, time, text) of all sessions after a number, oldest first."""
        found = self._db.execute("SELECT rowid, * FROM events WHERE rowid > ? ORDER BY rowid", (number,))
        return ((row["rowid"], row["session"], row["time"], row["text"]) for row in found)

    def last_to_note(self) -> str | None:
        """The session of the last event."""
        row = self._db.execute("SELECT session FROM events ORDER BY rowid DESC LIMIT 1").fetchone()
        return row["session"] if row else None

    def recipe(self, digest: str) -> Recipe:
        if digest not in self._recipes:
            row = self._db.execute("SELECT * FROM recipes WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                raise damaged(self.path, f"its recipe {digest} is gone")
            self._recipes[digest] = Recipe.from_toml(row["toml"])
        return self._recipes[digest]

    def keep_recipe(self, recipe: Recipe) -> None:
        """A recipe that stands without having been proposed."""
        with self._transaction():
            self._recipe(recipe)

    def _recipe(self, recipe: Recipe) -> None:
        self._insert("recipes", {"digest": recipe.digest, "toml": recipe.to_toml()})

    def _insert(self, table: str, values: Mapping[str, Any]) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", tuple(values.values())
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _json(data: Mapping[str, Any] | None) -> str | None:
    return None if data is None else json.dumps(dict(data))


def _check(row: sqlite3.Row) -> CheckRow:
    return CheckRow(**{**dict(row), "data": json.loads(row["data"])})
