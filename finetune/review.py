"""What comes from the stores is trained on when somebody has looked at it. Data of the user's own is not asked about.

An export says what set it is of (preferences/export_record.py), and the stores who judged rows of that set since.
"""

from dataclasses import dataclass
from pathlib import Path

from lanes.errors import BadInput
from preferences.export_record import ExportRecord, record_of
from preferences.overlay import ENOUGH, Verdict, enough, judged_rows
from preferences.stores import Stores


@dataclass(frozen=True)
class Looked:
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


def looked(source: str, file: Path, stores: Stores) -> Looked:
    """What is known of a source's file; BadInput where it is an export that was changed since."""
    record = record_of(file)
    if record is None:
        return Looked(source, None, False, 0, (), False)
    verdicts = stores.verdicts()
    judged = judged_rows(verdicts, record.set_digest)
    reviewed = record.reviewed or enough(judged, record.in_use)
    stale = stores.digest(record.kind) != record.set_digest
    return Looked(source, record, reviewed, len(judged), _judged_bad(record, verdicts), stale)


def require_looked(found: Looked, unreviewed: bool) -> None:
    """Refuse a set that nobody has looked at, unless ``unreviewed`` says that this is known."""
    record = found.record
    if record is None or found.reviewed or unreviewed:
        return
    review = f"run nightlane pairs review --kind {record.kind}"
    if found.stale:
        review = f"the {record.kind} store holds another set by now, so {review} and export it again"
    raise BadInput(
        f"a set from the stores is trained on when somebody has looked at it, and of the source {found.source!r}, "
        f"{told(record)}, {found.judged} of {min(ENOUGH, record.in_use)} rows were judged good or bad; {review}, "
        "or pass --unreviewed"
    )


def told(record: ExportRecord) -> str:
    """An export in words."""
    return f"an export of {len(record.rows)} {record.kind} row{'s' if len(record.rows) != 1 else ''}"


def _judged_bad(record: ExportRecord, verdicts: list[Verdict]) -> tuple[str, ...]:
    """The last word of each reviewer counts, whichever set it was said of."""
    last = {(one.row, one.by): one.verdict for one in verdicts if one.verdict != "skip"}
    bad = {row for (row, _), verdict in last.items() if verdict == "bad"}
    return tuple(row for row in record.rows if row in bad)
