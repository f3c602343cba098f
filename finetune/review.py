"""The review law: an export of the stores is trained on only after a person reviewed it; the user's own data is exempt.

export.json names the set of rows (preferences/export/record.py), and the stores have the reviews of that set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import BadInput
from preferences.export.record import ExportRecord, record_of
from preferences.store.annotations import ENOUGH_REVIEWS, AnnotatedRow, has_enough_reviews, reviewed_ids, set_digest
from preferences.store.stores import Stores
from probes.inputs.files import data_files
from probes.inputs.where import Where


@dataclass(frozen=True)
class ReviewState:
    """Whether somebody looked at a source. ``judged``: rows of its set that somebody judged good or bad; ``bad``: rows
    of the export itself that somebody's last judgement calls bad; ``stale``: the store holds another set by now.

    ``record`` is None for data of the user's own.
    """

    source: str
    record: ExportRecord | None
    reviewed: bool
    judged: int
    bad: tuple[str, ...]
    stale: bool


def review_state(source: str, where: Where, stores: Stores) -> ReviewState:
    """The review state of a source's files; BadInput when one belongs to an export and was changed since."""
    record = next((found for file in data_files(where) if (found := record_of(file))), None)
    if record is None:
        return ReviewState(source, None, False, 0, (), False)
    there = {one.id: one for one in stores.read(record.kind)}
    own = [there[row] for row in record.rows if row in there]
    _require_standing(source, record, own)
    judged = reviewed_ids(stores.reviews(), record.set_digest)
    reviewed = record.reviewed or has_enough_reviews(judged, record.in_use)
    stale = set_digest(there.values()) != record.set_digest
    return ReviewState(source, record, reviewed, len(judged), _judged_bad(own), stale)


def _require_standing(source: str, record: ExportRecord, own: Sequence[AnnotatedRow]) -> None:
    """Refuse an export if one of its rows was withdrawn, dropped or flipped since."""
    gone = [one for one in own if not one.used or one.flipped != (one.id in record.flipped)]
    if gone:
        why = f"it is withdrawn: {gone[0].withdrawn}" if gone[0].withdrawn else "it was dropped, turned or uncertified"
        raise BadInput(
            f"what is trained on still stands, and of the source {source!r}, {describe_export(record)}, {len(gone)} no "
            f"longer do ({gone[0].id}: {why}); export it again"
        )


def require_reviewed(found: ReviewState, unreviewed: bool) -> None:
    """Refuse a set that nobody reviewed, unless ``unreviewed`` allows it."""
    record = found.record
    if record is None or found.reviewed or unreviewed:
        return
    review = f"run nightlane pairs review --kind {record.kind}"
    if found.stale:
        review = f"the {record.kind} store holds another set by now, so {review} and export it again"
    raise BadInput(
        f"a set from the stores is trained on when somebody has looked at it, and of the source {found.source!r}, "
        f"{describe_export(record)}, {found.judged} of {min(ENOUGH_REVIEWS, record.in_use)} rows were judged good or "
        f"bad; {review}, or pass --unreviewed"
    )


def describe_export(record: ExportRecord) -> str:
    """An export in words."""
    return f"an export of {len(record.rows)} {record.kind} row{'s' if len(record.rows) != 1 else ''}"


def _judged_bad(own: Sequence[AnnotatedRow]) -> tuple[str, ...]:
    """Ids of rows that some reviewer's last judgement calls bad, in whichever set it was made."""
    last = {one.id: {said.by: said.verdict for said in one.reviews if said.verdict != "skip"} for one in own}
    return tuple(row for row, words in last.items() if "bad" in words.values())
