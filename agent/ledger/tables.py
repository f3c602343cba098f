"""The tables of the ledger, and one type for a row of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agent.policy.decision_basis import DecisionBasis
from probes.result.comparison import Comparison

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
    prompt_tokens INTEGER, completion_tokens INTEGER, UNIQUE (session, turn));
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
ADDED = (
    ("decisions", "course", "TEXT"),
    ("proposals", "prompt_tokens", "INTEGER"),
    ("proposals", "completion_tokens", "INTEGER"),
)
"""Columns that a ledger of an older version lacks: table, name, type."""


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """One unattended run of the loop. Only ``finished`` says that it has ended."""

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


@dataclass(frozen=True, kw_only=True)
class ProposalRow:
    """A mutation with its hypothesis, predicted effect and proposer; ``parent`` and ``child`` are recipe digests. The
    tokens are None if the proposer used none, and in older versions."""

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
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


RETRACTION = "-retract"
"""Suffix that the id of a retraction adds to the id of its KEEP."""


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """A decision with its figures.

    ``row``: its line of results.tsv. ``incumbent``: the digest of the incumbent after it. ``comparison``: of its stack
    or its re-test. ``basis``: what it was decided by (column "course"); None for a baseline, a RETRACT, and in older
    versions.
    """

    id: str
    session: str
    turn: int
    status: str
    reason: str
    incumbent: str
    comparison: Comparison | None
    policy: Mapping[str, Any]
    row: Mapping[str, Any]
    time: str
    basis: DecisionBasis | None = None

    @property
    def proposal(self) -> str:
        """The id of its proposal; of a retraction, the proposal of the KEEP."""
        return self.id.removesuffix(RETRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A decision on a proposal as a later search reads it. ``number``: its row number in the ledger.

    ``before`` and ``after`` are JSON: most of them are never decoded. ``delta``: as in results.tsv. ``incumbent``: the
    digest of the incumbent after it. ``with_others``: 1 if other changes were confirmed with it, in one stack.
    """

    number: int
    id: str
    session: str
    status: str
    reason: str
    lane: str
    knob: str
    before: str
    after: str
    parent: str
    child: str
    incumbent: str
    delta: float | None
    with_others: int


BAD_ROWS = "bad_rows"
CARRIED = "carried"
COMPARED = "compared"
WAVE, STACK = "wave", "stack"
REQUEST, ANSWER = "request", "answer"


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """A measurement or a finding of a session that is not a decision on a proposal.

    | kind | subject | what |
    |---|---|---|
    | floor | | the noise floor, at the start |
    | wave | number | the recipes of a wave, before it is measured (agent/loop/search/waves.py) |
    | stack | number | a stack and its plan, before it is confirmed (agent/loop/search/confirmations.py) |
    | compared | two probes | a judge chose between their answers (agent/workspace/choices_file.py) |
    | leave_one_out | decision | a KEEP re-tested by leaving it out, at the end |
    | holdout | | the last recipe against the first on the holdout prompts, at the end |
    | carried | | the incumbent from before data was added, which the session starts from |
    | bad_rows | source | the bad rows of a source that were left out (``Source.gaps``) |
    | harvest, refused | decision | the pairs that were made of a decision, or why not |
    | request, answer | number | a person's request to the session, and its answer (agent/ledger/requests.py) |
    """

    session: str
    kind: str
    subject: str
    time: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """A probe that a session ran. ``kind``: "reading" or the failure's kind; ``seconds``: its time in the worker."""

    id: str
    session: str
    recipe: str
    key: str
    seed: int
    kind: str
    message: str
    seconds: float
    time: str


@dataclass(frozen=True, kw_only=True)
class ExaminationRow:
    """An examination of the scorer after ``turn`` decisions; ``data``: see probes/scoring/judge/examination.py."""

    session: str
    turn: int
    time: str
    passed: bool
    data: Mapping[str, Any]


class SessionTotals(NamedTuple):
    """Decisions on proposals, the proposers' dollars, probes, and the mean seconds of the probes with a reading."""

    decisions: int
    dollars: float
    probes: int
    mean_seconds: float


def last_incumbent(session: SessionRow, decisions: Sequence[DecisionRow]) -> str:
    """The digest of the incumbent after the last KEEP or RETRACT of a session, or of its start.

    No row of another status changes the incumbent.
    """
    digests = [decision.incumbent for decision in decisions if decision.status in ("KEEP", "RETRACT")]
    return digests[-1] if digests else session.start
