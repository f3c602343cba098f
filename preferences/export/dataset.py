"""The rows of a store as a dataset folder that ``datasets`` loads and TRL trains on, with nothing but TRL's columns.

OUT_DIR/   train.jsonl or train.parquet   README.md, the dataset card (view/pairs/dataset_card.py)
           export.json, the record of the exported set (preferences/export/record.py), written last

The folder appears as a whole (common/files.py), so a killed export leaves no folder of this name.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from common.digests import file_digest
from common.errors import BadInput
from common.files import whole_folder, write_durably
from preferences.export.record import ExportRecord, write_record
from preferences.store.annotations import (
    AnnotatedRow,
    is_reviewed,
    set_digest,
    usable_rows,
    without_contradictions,
    without_copies,
)
from preferences.store.audit import Audit, audit
from preferences.store.rows import SIDES, StoreKind, text_to_json
from preferences.store.stores import Stores

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
PROPOSER = "proposer"
"""The kind of an export of proposals, which come from the ledger (agent/proposers/preference_data.py)."""


def format_of(text: str) -> Format:
    if text not in FORMATS:
        raise BadInput(f"--format {text!r} is not known; use one of {', '.join(FORMATS)}")
    return text


@dataclass(frozen=True)
class ExportedDataset:
    """An export and the audit of its rows. ``held_back``: rows left out because they are voted down; ``repeated``: rows
    left out because they repeat an earlier row or contradict another one."""

    kind: StoreKind
    file: Path
    rows: tuple[AnnotatedRow, ...]
    audit: Audit
    held_back: int
    repeated: int

    @property
    def card(self) -> Path:
        return self.file.with_name("README.md")


def export(
    stores: Stores,
    kind: StoreKind,
    form: Format,
    folder: Path,
    downvoted: bool = False,
    card: Callable[[ExportedDataset], str] = lambda exported: "",
) -> ExportedDataset:
    """Write a store's rows in use to a new or empty folder, without copies and contradictions.

    downvoted: include rows with more votes down than up. card: makes the text of the dataset card. BadInput when no row
    is left, when one asks a probe or holdout prompt, and when the folder is not empty.
    """
    stored = stores.read(kind)
    wanted = [row for row in stored if row.used and (downvoted or not row.downvoted)]
    rows = without_contradictions(without_copies(wanted))
    if not rows:
        raise BadInput(f"{stores.path(kind)} has no row to export; see nightlane pairs list --kind {kind}")
    figures = replace(audit(kind, rows, stores.reserved()), reviewed=is_reviewed(stored))
    require_clean(figures)
    used = sum(row.used for row in stored)
    done = ExportedDataset(kind, folder / f"train.{form}", rows, figures, used - len(wanted), len(wanted) - len(rows))
    with whole_folder(folder, "an export") as partial:
        file = write_rows(partial / done.file.name, form, [columns_of(row) for row in rows])
        write_durably(partial / done.card.name, card(done))
        record = ExportRecord(
            kind=kind,
            set_digest=set_digest(stored),
            in_use=len(usable_rows(stored)),
            file=file.name,
            file_digest=file_digest(file),
            rows=tuple(row.id for row in rows),
            flipped=tuple(row.id for row in rows if row.flipped),
            reviewed=figures.reviewed,
        )
        write_record(partial, record)
    return done


def columns_of(row: AnnotatedRow) -> dict[str, Any]:
    """A row in TRL's format: prompt, chosen, rejected; for rewards prompt, completion, score."""
    names = SIDES[row.row.kind]
    texts = {name: text_to_json(text) for name, text in zip(names, row.texts, strict=True)}
    score = {"score": row.scores[0]} if row.row.kind == "reward" else {}
    return {"prompt": text_to_json(row.row.prompt), **texts, **score}


def write_rows(file: Path, form: Format, rows: Sequence[Mapping[str, Any]]) -> Path:
    if form == "jsonl":
        write_durably(file, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))
    else:
        import pandas

        pandas.DataFrame(list(rows)).to_parquet(file, engine="pyarrow", index=False)
    return file


def require_clean(figures: Audit) -> None:
    """Refuse a store that asks a probe or holdout prompt (invariant 7, docs/architecture.md)."""
    if figures.contaminated:
        first = figures.contaminated[0]
        more = f" and {len(figures.contaminated) - 1} more" if len(figures.contaminated) > 1 else ""
        raise BadInput(
            f"pairs never come from probe or holdout prompts, and of the {figures.kind} rows {first.row}{more} asks "
            f"the {first.split} prompt {first.prompt!r} ({first.similarity:.2f} similar); take them out with nightlane "
            "pairs vote ID drop"
        )
