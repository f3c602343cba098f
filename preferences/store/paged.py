"""The stores of a workspace for pages that show a few rows at a time: they open fast and need little memory, however
long the stores are, and stay up to date while other processes write. Votes are recorded through stores.py."""

from collections import ChainMap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TypeVar

import orjson

from common.errors import BadInput
from common.followed_file import line_at
from preferences.store.annotate import (
    Annotations,
    Marks,
    collect_ballots,
    dropped_pairs,
    grouped,
    withdrawal_reasons,
)
from preferences.store.annotation_index import CertificateEntry, EntryIndex, ScoringEntry
from preferences.store.annotations import AnnotatedRow, Certification, Review, Vote, Withdrawal
from preferences.store.row_index import RowEntry, RowIndex
from preferences.store.rows import KINDS, normalized
from preferences.store.scorings import Scoring
from preferences.store.stores import NeverChosen, Stores, require_vote

Entry = TypeVar("Entry", Certification, Scoring)


class PagedStores:
    """``refresh`` reads what is new in the files; all other methods answer from its last result. Threads take turns
    with ``lock``."""

    def __init__(self, stores: Stores) -> None:
        self.stores, self.lock, self.version = stores, RLock(), 0
        self.rows = {kind: RowIndex(kind, stores.path(kind)) for kind in KINDS}
        self.by_id: Mapping[str, RowEntry] = {}
        folder = stores.folder
        self._votes = EntryIndex(folder / "votes.jsonl", lambda data, _: Vote(**data))
        self._withdrawals = EntryIndex(folder / "withdrawals.jsonl", lambda data, _: Withdrawal(**data))
        self._reviews = EntryIndex(folder / "reviews.jsonl", lambda data, _: Review(**data))
        self._certificates = EntryIndex(folder / "certifications.jsonl", CertificateEntry.make)
        self._scorings = EntryIndex(folder / "scorings.jsonl", ScoringEntry.make)
        self._found = Annotations()
        self._certificates_of: dict[Hashable, list[CertificateEntry]] = {}
        self._scorings_of: dict[Hashable, list[ScoringEntry]] = {}
        self._drifted: set[Hashable] = set()

    def refresh(self) -> None:
        """Read what was written since the last time."""
        with self.lock:
            rows = any([index.refresh() for index in self.rows.values()])
            if rows:
                self.by_id = ChainMap(*(index.by_id for index in self.rows.values()))
            small = any([index.refresh() for index in (self._votes, self._withdrawals, self._reviews)])
            long = any([index.refresh() for index in (self._certificates, self._scorings)])
            if rows or long:
                self._collect_long()
            if rows or small:
                self._collect_small()
            self.version += rows or small or long

    def marks(self, entry: RowEntry) -> Marks:
        """What votes and withdrawals say of a row."""
        return self._found.marks(entry)

    def drifted(self, entry: RowEntry) -> bool:
        """Whether the topic layer of the text gate refused a side of the row that was chosen."""
        return entry.pair_digest in self._drifted

    def figure(self, entry: RowEntry, flipped: bool) -> float | None:
        """The margin of a pair, or the score of a single answer; None without a score of each text."""
        scores = entry.scores
        if None in scores and entry.exact in self._scorings_of:
            latest = self._scorings_of[entry.exact][-1].scores
            scores = tuple(latest[digest] for digest in entry.text_digests)
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
            return None
        margin = known[0] - known[1] if len(known) > 1 else known[0]
        return -margin if flipped else margin

    def read(self, entry: RowEntry) -> AnnotatedRow:
        """The row with its annotations; BadInput if it is not as it was written."""
        row = self.rows[entry.kind].read(entry)
        certificates = self._certificates_of.get(entry.pair_digest, ())
        scorings = self._scorings_of.get(entry.exact, ())
        found = replace(
            self._found,
            certifications={entry.pair_digest: _read_at(self._certificates.path, certificates, Certification)},
            scorings={entry.exact: _read_at(self._scorings.path, scorings, Scoring)},
        )
        return found.annotated(row, entry, entry.exact)

    def vote(self, vote: Vote) -> None:
        """Record a vote. BadInput for one that would break a law."""
        with self.lock:
            self.refresh()
            entry = self.by_id.get(vote.row)
            row = self.read(entry) if entry else None
            require_vote(vote, row, self._law(entry, row) if entry and row and vote.vote == "flip" else "")
            self.stores.record_votes([vote], self.by_id)
            self.refresh()

    def _law(self, entry: RowEntry, row: AnnotatedRow) -> str:
        """The law that a flip of the row would break; "" for none."""
        unfit = NeverChosen(
            set().union(*(index.mechanical for index in self.rows.values())),
            set().union(*(index.cut for index in self.rows.values())),
        )
        return unfit.law(hash(normalized(row.row.texts[-1])), entry.content_digest)

    def _collect_small(self) -> None:
        ballots = collect_ballots(self._votes.entries, self.by_id)
        reasons = withdrawal_reasons(self._withdrawals.entries)
        reviewed = ((self.by_id[one.row].content_digest, one) for one in self._reviews.entries if one.row in self.by_id)
        self._found = Annotations(
            ballots=ballots,
            dropped=dropped_pairs(self._votes.entries, self.by_id, ballots),
            rows=reasons[0],
            decisions=reasons[1],
            reviews=grouped(reviewed),
        )

    def _collect_long(self) -> None:
        known = [(self.by_id[one.row].pair_digest, one) for one in self._certificates.entries if one.row in self.by_id]
        self._certificates_of = grouped(known)
        latest = {(pair, one.chosen): one.drifted for pair, one in known}
        self._drifted = {pair for (pair, _), drifted in latest.items() if drifted}
        rows = ((self.by_id.get(one.row), one) for one in self._scorings.entries)
        self._scorings_of = grouped((row.exact, one) for row, one in rows if row and _covers(one, row.text_digests))


def _read_at(path: Path, found: Sequence[CertificateEntry | ScoringEntry], kind: type[Entry]) -> list[Entry]:
    """Read certificates or scores from their places in their file."""
    try:
        return [kind(**orjson.loads(line_at(path, one.start))) for one in found]
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{path} has changed ({error}); restore it, or see nightlane doctor") from None


def _covers(scoring: ScoringEntry, digests: Sequence[str]) -> bool:
    """Whether the scores are those of the row's texts as they are."""
    return bool(digests) and set(digests) <= scoring.scores.keys()
