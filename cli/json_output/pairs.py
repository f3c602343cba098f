"""What nightlane pairs print with --json."""

from typing import (
    Any,
    NotRequired,  # pydantic reads these in Python 3.11
    get_type_hints,
)

from typing_extensions import TypedDict

from preferences.scoring.plan import JudgingCost
from preferences.store.annotations import Review
from preferences.store.audit import Audit
from probes.endpoint.spending import Usage


class ScoredBy(TypedDict):
    scorer: str
    kind: str
    study: str
    time: str


class PairRow(TypedDict):
    """A row of a store. ``chosen`` and ``rejected`` of pairs, and ``completion`` of other rows, are a text or turns."""

    id: str
    time: str
    prompt: Any
    chosen: NotRequired[Any]
    rejected: NotRequired[Any]
    completion: NotRequired[Any]
    score: NotRequired[float | None]
    chosen_score: NotRequired[float | None]
    rejected_score: NotRequired[float | None]
    provenance: dict[str, Any]
    category: str
    source: str
    receipt: dict[str, Any] | None
    kind: str
    state: str
    reason: str | None
    margin: float | None
    up: int
    down: int
    flipped: bool
    dropped: bool
    reviews: list[Review]
    scoring: ScoredBy | None


class BadLine(TypedDict):
    line: int
    why: str


class ImportedRows(TypedDict):
    """How many rows or votes are new and how many were known; the bad rows that were left out, and the ignored
    columns."""

    file: str
    kind: str
    new: int
    known: int
    bad: list[BadLine]
    ignored: list[str]
    prompts_removed: int


class ExportedPairs(TypedDict):
    kind: str
    file: str
    card: str
    rows: int
    held_back: NotRequired[int]
    repeated: NotRequired[int]
    reviewed: NotRequired[bool]
    judged_bad: NotRequired[list[str]]
    ids: NotRequired[list[str]]
    decisions: NotRequired[list[dict[str, str]]]


class PlannedScoring(TypedDict):
    """With --dry-run only the plan; else what was scored, too. ``judge``: what it costs at most, or has cost."""

    kind: str
    scorer: str
    rows: int
    answers: int
    left_out: dict[str, int]
    other_categories: dict[str, int]
    judge: JudgingCost | Usage | None
    scored: NotRequired[list[dict[str, Any]]]
    missing: NotRequired[dict[str, int]]
    reversed: NotRequired[list[str]]


class CertifiedRows(TypedDict):
    """``layers``: how many rows each caught, alone, and how many were left."""

    kind: str
    gate: str
    rows: int
    without_contract: int
    new_orpo_rows: int
    kept_out: list[str]
    mechanical: int
    certified: int
    topics_told_apart: bool
    layers: list[dict[str, Any]]
    refused: list[dict[str, Any]]


AuditedStore = TypedDict(
    "AuditedStore",
    {**get_type_hints(Audit), "warnings": list[str], "length_share": float | None},  # type: ignore[misc]
)
"""The audit of a store; ``warnings``: what a person should look at, in sentences."""
