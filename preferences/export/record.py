"""export.json beside the data of an export: which set of rows it holds, and whether that set was reviewed.

finetune/review.py reads it before it trains on the data.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.digests import file_digest, require_own_digest, with_own_digest
from common.errors import BadInput
from common.files import write_durably
from preferences.store.rows import KINDS, StoreKind

NAME = "export.json"


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """``set_digest``: of the live rows of the store; ``in_use``: how many of them were in use. ``file``: the data file,
    with its digest and the ids of its ``rows`` in order; ``flipped``: those whose sides were swapped. ``reviewed``:
    whether the set was reviewed at the time of the export."""

    kind: StoreKind
    set_digest: str
    in_use: int
    file: str
    file_digest: str
    rows: tuple[str, ...]
    flipped: tuple[str, ...]
    reviewed: bool


def write_record(folder: Path, record: ExportRecord) -> None:
    write_durably(folder / NAME, with_own_digest(json.dumps(asdict(record), indent=1)))


def record_of(file: Path) -> ExportRecord | None:
    """The record of the export that a data file belongs to; None for the user's own data and for a missing file.

    BadInput when the file was changed after the export, and when the record is damaged or missing.
    """
    path = file.with_name(NAME)
    if not file.exists():
        return None
    if not path.exists():
        _require_own(file)
        return None
    try:
        text = path.read_text(encoding="utf-8")
        require_own_digest(text)
        record = TypeAdapter(ExportRecord).validate_json(text, strict=True)
    except (ValidationError, ValueError, OSError):
        raise BadInput(
            f"{path} records what was exported and is damaged; export again, or keep your own data in a folder "
            "without such a file"
        ) from None
    if file_digest(file) != record.file_digest:
        raise BadInput(
            f"an export is trained on as it was written, and {file} is not the file that {NAME} beside it records; "
            "export again, or keep your own data in a folder without one"
        )
    return record


def tags(kind: str) -> str:
    """A line of the dataset card, by which an export is recognised even if its record is missing."""
    return f"tags: [trl, nightlane, {kind}]"


def _require_own(file: Path) -> None:
    """Refuse a data file that lies beside the card of an export: then the record of the export is missing."""
    card = file.with_name("README.md")
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:20]
    except OSError:
        return
    if any(tags(kind) in lines for kind in KINDS):
        raise BadInput(
            f"an export needs the record of its rows, and {file.with_name(NAME)} is gone; export again, "
            "or keep your own data in a folder without that card"
        )
