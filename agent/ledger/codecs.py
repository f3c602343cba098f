"""Rows of the ledger to SQLite columns and back: fields that hold structures are stored as JSON."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from agent.ledger.tables import CheckRow, DecisionRow, ExaminationRow, ProbeRow, ProposalRow, SessionRow

Row = SessionRow | ProposalRow | DecisionRow | CheckRow | ProbeRow | ExaminationRow
AnyRow = TypeVar("AnyRow", SessionRow, ProposalRow, DecisionRow, CheckRow, ProbeRow, ExaminationRow)

JSON_FIELDS: Mapping[type, tuple[str, ...]] = {
    SessionRow: ("limits",),
    ProposalRow: ("before", "after"),
    DecisionRow: ("comparison", "policy", "row", "course"),
    CheckRow: ("data",),
    ExaminationRow: ("data",),
    ProbeRow: (),
}


def encode(row: Row) -> dict[str, Any]:
    """The values of a row by column; a structure that is None becomes NULL."""
    values = asdict(row)
    stored = {name: json.dumps(values[name]) for name in JSON_FIELDS[type(row)] if values[name] is not None}
    return values | stored


def decode(kind: type[AnyRow], row: sqlite3.Row) -> AnyRow:
    """A row of this kind. A ledger from before a column was added gives the default of its field."""
    values = dict(row)
    values |= {name: json.loads(values[name]) for name in JSON_FIELDS[kind] if values.get(name) is not None}
    if kind is ExaminationRow:
        values["passed"] = bool(values["passed"])
    return kind(**values)
