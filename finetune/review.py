"""The review rule: an export of the stores is trained on only after a person reviewed it; a user's own data is exempt.

export.json names the exported set of rows (preferences/export/record.py); the reviews of that set are in the stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import BadInput
from preferences.export.record import ExportRecord, record_of
from preferences.store.annotations import (
    ENOUGH_REVIEWS,
    AnnotatedRow,
    has_enough_reviews,
    judged_bad,
    reviewed_ids,
    set_digest,
)
from preferences.store.stores import Stores
from probes.inputs.files.location import Where
from probes.inputs.files.records import data_files


@dataclass(frozen=True)
class ReviewState:
    """Whether a source was reviewed. ``record``: None for the user's own data. ``judged``: how many rows of its set
    were judged good or bad; ``bad``: rows of the export that a reviewer's last judgement calls bad; ``stale``: the
    store's set of rows has changed since the export. ``stored``: the rows come from a store, not from an export of it.
    """

    source: str
    record: ExportRecord | None
    reviewed: bool
    judged: int
    bad: tuple[str, ...]
    stale: bool
    stored: bool = False


def review_state(source: str, where: Where, stores: Stores) -> ReviewState:
    """The review state of a source's files; BadInput when one belongs to an export and was changed since."""
    record = next((found for file in data_files(where) if (found := record_of(file))), None)
    if record is None:
        return ReviewState(source, None, False, 0, (), False)
    stored = {row.id: row for row in stores.read(record.kind)}
    exported = [stored[row] for row in record.rows if row in stored]
    _require_unchanged(source, record, exported)
    judged = reviewed_ids(stores.reviews(), record.set_digest)
    reviewed = record.reviewed or has_enough_reviews(judged, record.in_use)
    stale = set_digest(stored.values()) != record.set_digest
    return ReviewState(source, record, reviewed, len(judged), judged_bad(exported), stale)


def _require_unchanged(source: str, record: ExportRecord, exported: Sequence[AnnotatedRow]) -> None:
    """Refuse an export if one of its rows was withdrawn, dropped or flipped since."""
    changed = [row for row in exported if not row.used or row.flipped != (row.id in record.flipped)]
    if changed:
        first = changed[0]
        why = f"it was withdrawn: {first.withdrawn}" if first.withdrawn else "it was dropped, flipped or uncertified"
        raise BadInput(
            f"rows that were taken back are not trained on, and the source {source!r}, {describe_export(record)}, has "
            f"{len(changed)} of them ({first.id}: {why}); export it again"
        )


def require_reviewed(state: ReviewState, unreviewed: bool) -> None:
    """Refuse a set that nobody reviewed, unless ``unreviewed`` allows it."""
    record = state.record
    if record is None or state.reviewed or unreviewed:
        return
    review = f"run nightlane pairs review --kind {record.kind}"
    if state.stale:
        review = f"the {record.kind} store has changed since, so {review} and export it again"
    raise BadInput(
        f"an export of the stores is trained on once somebody has reviewed it, and of the source {state.source!r}, "
        f"{describe_export(record)}, {state.judged} of {min(ENOUGH_REVIEWS, record.in_use)} rows were judged good or "
        f"bad; {review}, or pass --unreviewed"
    )


def require_set_reviewed(state: ReviewState, kind: str, in_use: int, unreviewed: bool) -> None:
    """Refuse a store that nobody reviewed, unless ``unreviewed`` allows it."""
    if state.reviewed or unreviewed:
        return
    raise BadInput(
        f"a store is trained on once somebody has reviewed it, and of the {kind} store {state.judged} of "
        f"{min(ENOUGH_REVIEWS, in_use)} rows were judged good or bad; run nightlane pairs review --kind {kind}, or "
        "pass --unreviewed"
    )


def describe_export(record: ExportRecord) -> str:
    """An export in words."""
    return f"an export of {len(record.rows)} {record.kind} row{'s' if len(record.rows) != 1 else ''}"
