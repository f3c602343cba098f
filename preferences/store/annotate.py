"""Which annotations apply to which rows. Pure functions.

A voter's up and down replace each other; flip and drop are kept beside them; clear removes all votes of that voter on
the row. One flip or several swap the sides once; one drop takes the row out of exports.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from preferences.store.annotations import (
    AnnotatedRow,
    Certification,
    Review,
    Vote,
    VoteChoice,
    Withdrawal,
    exact_texts,
    text_digest,
)
from preferences.store.rows import Row
from preferences.store.scorings import Scoring

Ballot = frozenset[VoteChoice]
Entry = TypeVar("Entry")


class Identity(Protocol):
    """The keys by which annotations are found: those of a row, or of its entry in an index (row_index.py)."""

    @property
    def id(self) -> str: ...
    @property
    def decision(self) -> str: ...
    @property
    def content_digest(self) -> Hashable: ...
    @property
    def pair_digest(self) -> Hashable: ...


@dataclass(frozen=True, slots=True)
class Marks:
    """What the votes and withdrawals say of a row."""

    withdrawn: str = ""
    up: int = 0
    down: int = 0
    flipped: bool = False
    dropped: bool = False


UNMARKED = Marks()


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """Annotations by what they apply to. Votes, reviews, scores and certificates apply to the content of a row, so they
    also hold for its copies in every store; a drop applies to the pair in either order.

    ``ballots``, ``reviews``: by content digest. ``dropped``, ``certifications``: by pair digest. ``scorings``: by the
    digest of exact texts. ``rows``, ``decisions``: the first reason of a withdrawal.
    """

    ballots: Mapping[Hashable, Mapping[str, Ballot]] = field(default_factory=dict)
    dropped: Collection[Hashable] = ()
    rows: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)
    reviews: Mapping[Hashable, Sequence[Review]] = field(default_factory=dict)
    certifications: Mapping[Hashable, Sequence[Certification]] = field(default_factory=dict)
    scorings: Mapping[Hashable, Sequence[Scoring]] = field(default_factory=dict)

    def marks(self, row: Identity) -> Marks:
        own = self.ballots.get(row.content_digest)
        withdrawn = self.rows.get(row.id) or self.decisions.get(row.decision, "")
        dropped = row.pair_digest in self.dropped
        if not (own or withdrawn or dropped):
            return UNMARKED
        ballots = (own or {}).values()
        return Marks(
            withdrawn=withdrawn,
            up=sum("up" in ballot for ballot in ballots),
            down=sum("down" in ballot for ballot in ballots),
            flipped=any("flip" in ballot for ballot in ballots),
            dropped=dropped,
        )

    def annotated(self, row: Row, by: Identity | None = None, exact: Hashable = None) -> AnnotatedRow:
        """The row with its annotations. ``by``, ``exact``: what they are found by, if not by the row's own digests."""
        by = by or row
        marks = self.marks(by)
        return AnnotatedRow(
            row=row,
            withdrawn=marks.withdrawn,
            up=marks.up,
            down=marks.down,
            flipped=marks.flipped,
            dropped=marks.dropped,
            reviews=tuple(self.reviews.get(by.content_digest, ())),
            certifications=tuple(self.certifications.get(by.pair_digest, ())),
            scorings=tuple(self.scorings.get(exact_texts(row) if exact is None else exact, ()))
            if self.scorings
            else (),
        )


def annotate(
    rows: Sequence[Row],
    *,
    votes: Iterable[Vote],
    withdrawals: Iterable[Withdrawal],
    reviews: Iterable[Review],
    certifications: Iterable[Certification] = (),
    elsewhere: Iterable[Row] = (),
    scorings: Iterable[Scoring] = (),
) -> tuple[AnnotatedRow, ...]:
    """The rows, in their order, with their annotations. ``elsewhere``: rows of other stores that the annotations may
    name."""
    by_id = {row.id: row for row in (*elsewhere, *rows)}
    ballots = collect_ballots(votes, by_id)
    by_row, by_decision = withdrawal_reasons(withdrawals)
    scored: dict[Hashable, list[Scoring]] = defaultdict(list)
    for scoring in scorings:
        row = by_id.get(scoring.row)
        if row is not None and set(map(text_digest, row.texts)) <= scoring.by_text.keys():
            scored[exact_texts(row)].append(scoring)
    certified = ((by_id[one.row].pair_digest, one) for one in certifications if one.row in by_id)
    reviewed = ((by_id[one.row].content_digest, one) for one in reviews if one.row in by_id)
    found = Annotations(
        ballots=ballots,
        dropped=dropped_pairs(votes, by_id, ballots),
        rows=by_row,
        decisions=by_decision,
        reviews=grouped(reviewed),
        certifications=grouped(certified),
        scorings=scored,
    )
    return tuple(found.annotated(row) for row in rows)


def grouped(entries: Iterable[tuple[Hashable, Entry]]) -> dict[Hashable, list[Entry]]:
    """The entries of each key, in order."""
    groups: dict[Hashable, list[Entry]] = {}
    for key, entry in entries:
        groups.setdefault(key, []).append(entry)
    return groups


def collect_ballots(votes: Iterable[Vote], by_id: Mapping[str, Identity]) -> dict[Hashable, dict[str, Ballot]]:
    """Content digest of a row -> voter -> the votes of that voter that count; ``by_id``: the rows that are voted on."""
    ballots: dict[Hashable, dict[str, Ballot]] = defaultdict(dict)
    for vote in votes:
        if vote.row in by_id:
            own = ballots[by_id[vote.row].content_digest]
            own[vote.by] = updated_ballot(own.get(vote.by, frozenset()), vote.vote)
    return ballots


def updated_ballot(ballot: Ballot, vote: VoteChoice) -> Ballot:
    """A voter's ballot on a row after one more vote."""
    if vote == "clear":
        return frozenset()
    return (ballot - {"up", "down"} if vote in ("up", "down") else ballot) | {vote}


def dropped_pairs(
    votes: Iterable[Vote], by_id: Mapping[str, Identity], ballots: Mapping[Hashable, Mapping[str, Ballot]]
) -> set[Hashable]:
    """The pair digests of the rows that some voter's ballot drops."""
    rows = [by_id[row_id] for row_id in dict.fromkeys(vote.row for vote in votes) if row_id in by_id]
    return {row.pair_digest for row in rows if any("drop" in ballot for ballot in ballots[row.content_digest].values())}


def withdrawal_reasons(withdrawals: Iterable[Withdrawal]) -> tuple[dict[str, str], dict[str, str]]:
    """The first reason by row, and by decision."""
    by_row: dict[str, str] = {}
    by_decision: dict[str, str] = {}
    for withdrawal in withdrawals:
        if withdrawal.row:
            by_row.setdefault(withdrawal.row, withdrawal.reason)
        if withdrawal.decision:
            by_decision.setdefault(withdrawal.decision, withdrawal.reason)
    return by_row, by_decision
