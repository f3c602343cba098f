"""Annotations of rows: votes, withdrawals, reviews, scores and gate certificates, and a row with those that apply to it
(annotate.py). Pure functions; stored rows never change.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from common.digests import digest_of
from common.errors import BadInput
from preferences.store.provenance import TextOrigin
from preferences.store.rows import Row, coverage_of, receipt_of, text_to_json
from preferences.store.scorings import Scoring, StoredMark
from probes.inputs.rows.turns import Turns

VoteChoice = Literal["up", "down", "flip", "drop", "clear"]
VOTE_CHOICES: tuple[VoteChoice, ...] = get_args(VoteChoice)
ReviewAnswer = Literal["good", "bad", "skip"]
REVIEW_ANSWERS: tuple[ReviewAnswer, ...] = get_args(ReviewAnswer)

ENOUGH_REVIEWS = 5
"""A set counts as reviewed when this many of its rows were judged; a smaller set, when all of them were."""


def parse_vote_choice(text: str) -> VoteChoice:
    if text not in VOTE_CHOICES:
        raise BadInput(f"vote={text!r} is not known; use one of {', '.join(VOTE_CHOICES)}")
    return text


@dataclass(frozen=True, slots=True)
class Vote:
    row: str
    vote: VoteChoice
    by: str
    time: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Withdraws one row, or every row that rests on a decision, including rows that are written later."""

    row: str
    decision: str
    reason: str
    time: str


@dataclass(frozen=True, slots=True)
class Review:
    """A reviewer's judgement of a row. ``store``: the digest of the set that the row was picked from."""

    row: str
    verdict: ReviewAnswer
    by: str
    time: str
    store: str


@dataclass(frozen=True, slots=True)
class Certification:
    """A gate's certificate of the chosen side of a row. ``chosen``: that text's digest. ``receipt``: JSON text."""

    row: str
    chosen: str
    receipt: str
    time: str


@dataclass(frozen=True)
class AnnotatedRow:
    """A stored row with its annotations. ``texts``, ``scores`` and ``sides`` are those after a flip."""

    row: Row
    _: KW_ONLY
    withdrawn: str = ""
    up: int = 0
    down: int = 0
    flipped: bool = False
    dropped: bool = False
    reviews: tuple[Review, ...] = ()
    certifications: tuple[Certification, ...] = ()
    scorings: tuple[Scoring, ...] = ()

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def state(self) -> str:
        return "withdrawn" if self.withdrawn else "live"

    @property
    def texts(self) -> tuple[Turns, ...]:
        return self.row.texts[::-1] if self.flipped else self.row.texts

    @property
    def scores(self) -> tuple[float | None, ...]:
        """Those that the row was added with; if one is missing, those of the latest scoring."""
        own = tuple(mark.score for mark in self._marks) or self.row.scores
        return own[::-1] if self.flipped else own

    @property
    def sides(self) -> tuple[TextOrigin, ...]:
        """With the components and critical failures of the latest scoring, where its scores are used."""
        own = self.row.provenance.sides
        if self.scoring is not None and self._marks:
            own = tuple(
                replace(side, bar=self.scoring.kind, figures=mark.components, critical=mark.critical)
                for side, mark in zip(own, self._marks, strict=True)
            )
        return own[::-1] if self.flipped else own

    @property
    def scoring(self) -> Scoring | None:
        """The latest scoring of a row that was added without a score for each side; None without one."""
        return self.scorings[-1] if self.scorings and None in self.row.scores else None

    @cached_property
    def _marks(self) -> tuple[StoredMark, ...]:
        """The latest scoring's marks of the texts, in the order in which these were added; empty without a scoring."""
        if self.scoring is None:
            return ()
        marks = self.scoring.by_text
        return tuple(marks[text_digest(text)] for text in self.row.texts)

    @property
    def receipt(self) -> Mapping[str, Any] | None:
        """The latest certificate of the text that is chosen now; the code gate's takes precedence. Without one, the
        receipt that the row was added with, unless the row was flipped."""
        chosen = text_digest(self.texts[0])
        latest_first = reversed(self.certifications)
        receipts = [receipt_of(one.receipt) or {} for one in latest_first if one.chosen == chosen]
        code = [receipt for receipt in receipts if receipt.get("gate") == "code"]
        if receipts:
            return (code or receipts)[0]
        return None if self.flipped else self.row.receipt

    @property
    def coverage(self) -> float | None:
        """Code coverage of the chosen side in percent, where its receipt has it."""
        return coverage_of(self.receipt or {})

    @property
    def margin(self) -> float | None:
        """Score of the chosen side minus that of the rejected; None for a reward row and where a score is missing."""
        if len(self.scores) < 2 or self.scores[0] is None or self.scores[1] is None:
            return None
        return self.scores[0] - self.scores[1]

    @property
    def downvoted(self) -> bool:
        return self.down > self.up

    @property
    def used(self) -> bool:
        """Live, not dropped and valid: audits count such rows, and exports take them unless they are voted down."""
        return not self.withdrawn and not self.dropped and self.valid

    @property
    def valid(self) -> bool:
        """An ORPO row is valid as long as its chosen side is certified and not flipped; other rows always are."""
        certified = (self.receipt or {}).get("certified") is True
        return self.row.kind != "orpo" or (not self.flipped and certified)


def text_digest(text: Turns) -> str:
    """A digest that identifies a text."""
    return digest_of(text_to_json(text))


def exact_texts(row: Row) -> str:
    """Digest of the unchanged prompt and texts, whichever side is the chosen one: what a scorer was given."""
    return digest_of([text_digest(row.prompt), sorted(map(text_digest, row.texts))])


def without_copies(rows: Iterable[AnnotatedRow]) -> tuple[AnnotatedRow, ...]:
    """The first of the rows with equal content after flips; reward rows are equal only if their scores are."""
    first: dict[tuple[object, ...], AnnotatedRow] = {}
    for row in rows:
        scores = row.scores if row.row.kind == "reward" else ()
        first.setdefault((row.row.pair_digest, text_digest(row.texts[0]), *scores), row)
    return tuple(first.values())


def without_contradictions(rows: Sequence[AnnotatedRow]) -> tuple[AnnotatedRow, ...]:
    """Without pairs that another row contradicts by preferring the other side, for example after a vote was cleared."""
    ways = Counter((row.row.pair_digest, text_digest(row.texts[0])) for row in rows)
    sides = Counter(pair for pair, _ in ways)
    return tuple(row for row in rows if len(row.texts) < 2 or sides[row.row.pair_digest] == 1)


def usable_rows(rows: Iterable[AnnotatedRow]) -> tuple[AnnotatedRow, ...]:
    """The rows in use, without copies."""
    return without_copies(row for row in rows if row.used)


def set_digest(rows: Iterable[AnnotatedRow]) -> str:
    """Identifies a set of live, valid rows; it changes when a row is added, removed or flipped."""
    return digest_of(sorted([row.id, row.flipped] for row in rows if row.state == "live" and row.valid))


def is_reviewed(rows: Sequence[AnnotatedRow]) -> bool:
    """Whether enough rows of this very set were judged good or bad. An empty set is never reviewed.

    A flip changes the set; other votes do not, so dropping a row needs no new review.
    """
    reviews = (review for row in rows for review in row.reviews)
    return has_enough_reviews(reviewed_ids(reviews, set_digest(rows)), len(usable_rows(rows)))


def has_enough_reviews(judged: Collection[str], used: int) -> bool:
    """Whether these judged rows make a set with ``used`` rows in use a reviewed one."""
    return used > 0 and len(judged) >= min(ENOUGH_REVIEWS, used)


def reviewed_ids(reviews: Iterable[Review], digest: str) -> frozenset[str]:
    """Ids of the rows that were judged good or bad as part of the set with this digest."""
    return frozenset(review.row for review in reviews if review.store == digest and review.verdict != "skip")


def is_judged(row: AnnotatedRow, digest: str) -> bool:
    """Whether a row was judged good or bad as part of the set with this digest."""
    return bool(reviewed_ids(row.reviews, digest))


def judged_bad(rows: Iterable[AnnotatedRow]) -> tuple[str, ...]:
    """Ids of rows that some reviewer's last judgement calls bad, in whichever set it was made."""
    last = {row.id: {review.by: review.verdict for review in row.reviews if review.verdict != "skip"} for row in rows}
    return tuple(row for row, verdicts in last.items() if "bad" in verdicts.values())
