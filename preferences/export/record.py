"""What an export holds, beside its data in export.json: of which set of rows it is, and whether that was looked at.

finetune/review.py asks it before it trains on the data.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.digests import file_digest
from common.errors import BadInput
from common.files import write_durably
from preferences.store.rows import KINDS, Kind

NAME = "export.json"


@dataclass(frozen=True)
class ExportRecord:
    """``set_digest``: of the live rows that the store held, ``in_use`` of which were in use. ``file`` beside the record
    has the digest ``file_digest`` (probes/model/load.py) and holds the rows of these ids, in their order, of which some
    were ``flipped``. ``reviewed``: whether the set counted as looked at then."""

    kind: Kind
    set_digest: str
    in_use: int
    file: str
    file_digest: str
    rows: tuple[str, ...]
    flipped: tuple[str, ...]
    reviewed: bool


def write_record(folder: Path, record: ExportRecord) -> None:
    write_durably(folder / NAME, json.dumps(asdict(record), indent=1) + "\n")


def record_of(file: Path) -> ExportRecord | None:
    """The record of the export that a data file belongs to; None for data of the user's own, or where there is no file.

    BadInput where the file is not what was exported, or the record is none, or is gone.
    """
    path = file.with_name(NAME)
    if not file.exists():
        return None
    if not path.exists():
        _require_own(file)
        return None
    try:
        record = TypeAdapter(ExportRecord).validate_json(path.read_bytes(), strict=True)
    except (ValidationError, OSError):
        raise BadInput(
            f"{path} says what was exported and is no such record; export again, or keep data of your own in a folder "
            "without one"
        ) from None
    if file_digest(file) != record.file_digest:
        raise BadInput(
            f"an export is trained on as it was written, and {file} is not what {NAME} beside it names; export again, "
            "or keep data of your own in a folder without one"
        )
    return record


def tags(kind: str) -> str:
    """The line of a dataset card that says what its data is, by which an export is known whose record is gone."""
    return f"tags: [trl, nightlane, {kind}]"


def _require_own(file: Path) -> None:
    """Refuse what the card beside it says was exported."""
    card = file.with_name("README.md")
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:20]
    except OSError:
        return
    if any(tags(kind) in lines for kind in KINDS):
        raise BadInput(
            f"an export is trained on with the record of its rows, and {file.with_name(NAME)} is gone; export again, "
            "or keep data of your own in a folder without that card"
        )
