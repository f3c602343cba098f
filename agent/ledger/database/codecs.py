"""Converts rows of the ledger to SQLite columns and back. Fields that hold structures are stored as JSON."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from agent.ledger.tables import CheckRow, DecisionRow, ExaminationRow, ProbeRow, ProposalRow, SessionRow
from agent.policy.decision_basis import basis_from
from probes.result.comparison import comparison_from

LedgerRow = SessionRow | ProposalRow | DecisionRow | CheckRow | ProbeRow | ExaminationRow
AnyRow = TypeVar("AnyRow", SessionRow, ProposalRow, DecisionRow, CheckRow, ProbeRow, ExaminationRow)


def _plain(data: Any) -> Any:
    return data


JSON_FIELDS: Mapping[type, Mapping[str, Callable[[Any], Any]]] = {
    SessionRow: {"limits": _plain},
    ProposalRow: {"before": _plain, "after": _plain},
    DecisionRow: {"comparison": comparison_from, "policy": _plain, "row": _plain, "basis": basis_from},
    CheckRow: {"data": _plain},
    ExaminationRow: {"data": _plain},
    ProbeRow: {},
}
"""Kind of row -> the fields that are stored as JSON, and the function that makes the field's value from the JSON."""


COLUMNS = {"basis": "course"}
"""Fields whose column has the name that older versions gave it."""


def encode(row: LedgerRow) -> dict[str, Any]:
    """The values of a row by column; a structure that is None becomes NULL."""
    values = asdict(row)
    values |= {name: json.dumps(values[name]) for name in JSON_FIELDS[type(row)] if values[name] is not None}
    return {COLUMNS.get(name, name): value for name, value in values.items()}


def decode(kind: type[AnyRow], row: sqlite3.Row | Mapping[str, Any]) -> AnyRow:
    """A row of this kind. A field whose column an older ledger lacks has its default."""
    fields = {column: name for name, column in COLUMNS.items()}
    values = {fields.get(column, column): value for column, value in dict(row).items()}
    values |= {
        name: made(json.loads(values[name])) for name, made in JSON_FIELDS[kind].items() if values.get(name) is not None
    }
    if kind is ExaminationRow:
        values["passed"] = bool(values["passed"])
    return kind(**values)
