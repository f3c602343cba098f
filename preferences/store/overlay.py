"""What was said of rows after they were written: votes, withdrawals, reviews. Pure; the row beneath never changes.

A voter's up and down replace each other; flip and drop stand beside them; clear takes back all that voter said of the
row. One flip swaps the sides, however many say so; one drop takes the row out of exports.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from common.digests import digest_of
from common.errors import BadInput
from preferences.store.provenance import Side
from preferences.store.rows import Row, coverage_of, receipt_of, text_to_json
from probes.inputs.turns import Turns

Choice = Literal["up", "down", "flip", "drop", "clear"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
Judgement = Literal["good", "bad", "skip"]
JUDGEMENTS: tuple[Judgement, ...] = get_args(Judgement)
Said = frozenset[Choice]

ENOUGH = 5
"""Rows that somebody must have judged before a set counts as looked at; all, where it has fewer."""


def choice_of(text: str) -> Choice:
    if text not in CHOICES:
        raise BadInput(f"vote={text!r} is not known; use one of {', '.join(CHOICES)}")
    return text


@dataclass(frozen=True, slots=True)
class Vote:
    row: str
    vote: Choice
    by: str
    time: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Of one row, or of every row that rests on a decision, also of those that are written later."""

    row: str
    decision: str
    reason: str
    time: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reviewer said of a row. ``store``: the digest of the set that the row was picked from."""

    row: str
    verdict: Judgement
    by: str
    time: str
    store: str


@dataclass(frozen=True, slots=True)
class Certification:
    """What a gate said of the chosen side of a row.

    ``chosen``: the digest of that text. ``receipt``: the text of a JSON object."""

    row: str
    chosen: str
    receipt: str
    time: str


@dataclass(frozen=True)
class Standing:
    """A row as it stands: the row beneath, and what was said of it."""

    row: Row
    withdrawn: str = ""
    up: int = 0
    down: int = 0
    flipped: bool = False
    dropped: bool = False
    verdicts: tuple[Verdict, ...] = ()
    certifications: tuple[Certification, ...] = ()

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
        return self.row.scores[::-1] if self.flipped else self.row.scores

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.row.provenance.sides[::-1] if self.flipped else self.row.provenance.sides

    @property
    def receipt(self) -> Mapping[str, Any] | None:
        """The latest of a gate on the text that is chosen now, of the code gate if that has judged it; else what the
        row came with, unless it was flipped."""
        chosen = text_digest(self.texts[0])
        found = [receipt_of(one.receipt) or {} for one in reversed(self.certifications) if one.chosen == chosen]
        code = [one for one in found if one.get("gate") == "code"]
        if found:
            return (code or found)[0]
        return None if self.flipped else self.row.receipt

    @property
    def coverage(self) -> float | None:
        """Percent of the chosen side that the gate's checks ran, where its receipt says so."""
        return coverage_of(self.receipt or {})

    @property
    def margin(self) -> float | None:
        """By how much the chosen side scores higher; None for a reward, and where a score is missing."""
        if len(self.scores) < 2 or self.scores[0] is None or self.scores[1] is None:
            return None
        return self.scores[0] - self.scores[1]

    @property
    def downvoted(self) -> bool:
        return self.down > self.up

    @property
    def used(self) -> bool:
        """Live and not dropped: what audits count, and exports take unless it is voted down.

        Of an ORPO row, what a gate's latest word on its chosen side is, and that it stands as it was certified.
        """
        return not self.withdrawn and not self.dropped and self.fit

    @property
    def fit(self) -> bool:
        """Whether it may be in its store as it stands: an ORPO row may as long as its chosen side is certified."""
        certified = (self.receipt or {}).get("certified") is True
        return self.row.kind != "orpo" or (not self.flipped and certified)


def text_digest(text: Turns) -> str:
    """Names a text."""
    return digest_of(text_to_json(text))


def standings(
    rows: Sequence[Row], votes: Iterable[Vote], withdrawals: Iterable[Withdrawal], verdicts: Iterable[Verdict],
    certifications: Iterable[Certification] = (), elsewhere: Iterable[Row] = (),
) -> tuple[Standing, ...]:  # fmt: skip
    """The rows, in their order, with what was said of them.

    A vote, a verdict and a certificate are of what a row says, so they hold for its copies, too, in whichever store:
    ``elsewhere`` are the rows of other stores that they may name. A drop is of the pair, whichever side is first.
    """
    named = {row.id: row for row in (*elsewhere, *rows)}
    cast = ballots(votes, named)
    dropped = {named[one].matter for one in _droppers(votes, named, cast)}
    certified: dict[str, list[Certification]] = defaultdict(list)
    for one in certifications:
        if one.row in named:
            certified[named[one.row].matter].append(one)
    by_row, by_decision = _reasons(withdrawals)
    seen: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.row in named:
            seen[named[verdict.row].said].append(verdict)
    found = []
    for row in rows:
        voters = cast.get(row.said, {}).values()
        withdrawn = by_row.get(row.id) or by_decision.get(row.provenance.decision, "")
        up, down = (sum(way in one for one in voters) for way in ("up", "down"))
        flipped = any("flip" in one for one in voters)
        found.append(
            Standing(
                row, withdrawn, up, down, flipped, row.matter in dropped, tuple(seen[row.said]),
                tuple(certified[row.matter]),
            )
        )  # fmt: skip
    return tuple(found)


def ballots(votes: Iterable[Vote], named: Mapping[str, Row]) -> dict[str, dict[str, Said]]:
    """What each voter has to say, by what a row says and voter; ``named``: the rows that were voted on, by id."""
    found: dict[str, dict[str, Said]] = defaultdict(dict)
    for vote in votes:
        if vote.row in named:
            own = found[named[vote.row].said]
            own[vote.by] = after(own.get(vote.by, frozenset()), vote.vote)
    return found


def _droppers(votes: Iterable[Vote], named: Mapping[str, Row], cast: Mapping[str, Mapping[str, Said]]) -> Iterator[str]:
    """Ids of rows of which somebody's last word is to drop them."""
    for row in dict.fromkeys(vote.row for vote in votes if vote.row in named):
        if any("drop" in one for one in cast[named[row].said].values()):
            yield row


def distinct(found: Iterable[Standing]) -> tuple[Standing, ...]:
    """The first of those that say the same, as they stand; of single answers with the same score."""
    first: dict[tuple[object, ...], Standing] = {}
    for one in found:
        scores = one.scores if one.row.kind == "reward" else ()
        first.setdefault((one.row.matter, text_digest(one.texts[0]), *scores), one)
    return tuple(first.values())


def after(said: Said, vote: Choice) -> Said:
    """What a voter has to say of a row after one more vote."""
    if vote == "clear":
        return frozenset()
    return (said - {"up", "down"} if vote in ("up", "down") else said) | {vote}


def undisputed(found: Sequence[Standing]) -> tuple[Standing, ...]:
    """Without the pairs of which another prefers the opposite: a vote that was taken back, say."""
    ways = Counter((one.row.matter, text_digest(one.texts[0])) for one in found)
    sides = Counter(matter for matter, _ in ways)
    return tuple(one for one in found if len(one.texts) < 2 or sides[one.row.matter] == 1)


def set_digest(found: Iterable[Standing]) -> str:
    """Names a set of live rows that are fit for their store: another row, one fewer, or one turned round, makes
    another set."""
    return digest_of(sorted([one.id, one.flipped] for one in found if one.state == "live" and one.fit))


def looked_at(found: Sequence[Standing]) -> bool:
    """Whether ENOUGH rows of this very set were judged good or bad, or as many as it has in use, copies counted once;
    not of an empty one.

    Other votes than flips leave the set what it is: who drops a row after the review need not review again.
    """
    verdicts = (verdict for one in found for verdict in one.verdicts)
    return enough(judged_rows(verdicts, set_digest(found)), len(in_use(found)))


def in_use(found: Iterable[Standing]) -> tuple[Standing, ...]:
    """What is used of a set, copies once."""
    return distinct(one for one in found if one.used)


def enough(judged: Collection[str], used: int) -> bool:
    """Whether so many judged rows make a set with so many rows in use one that somebody looked at."""
    return used > 0 and len(judged) >= min(ENOUGH, used)


def judged_rows(verdicts: Iterable[Verdict], digest: str) -> frozenset[str]:
    """Ids of the rows that somebody judged good or bad as part of the set of this digest."""
    return frozenset(one.row for one in verdicts if one.store == digest and one.verdict != "skip")


def judged(one: Standing, digest: str) -> bool:
    """Whether somebody judged a row good or bad as part of the set of this digest."""
    return bool(judged_rows(one.verdicts, digest))


def _reasons(withdrawals: Iterable[Withdrawal]) -> tuple[dict[str, str], dict[str, str]]:
    """The first reason by row, and by decision."""
    by_row: dict[str, str] = {}
    by_decision: dict[str, str] = {}
    for one in withdrawals:
        if one.row:
            by_row.setdefault(one.row, one.reason)
        if one.decision:
            by_decision.setdefault(one.decision, one.reason)
    return by_row, by_decision
