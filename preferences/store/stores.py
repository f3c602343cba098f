"""The four stores under runs/rl_data and the annotations of their rows. All code that reads or writes them is here.

preference.jsonl  reward.jsonl  dpo.jsonl  orpo.jsonl                  rows, which never change
votes.jsonl  withdrawals.jsonl  reviews.jsonl                          annotations, applied when rows are read
scorings.jsonl  certifications.jsonl                                   annotations, too
reserved.jsonl                                                         probe and holdout prompts; no row may ask them
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from common.errors import BadInput
from preferences.store.annotate import Identity, annotate, collect_ballots, updated_ballot
from preferences.store.annotations import (
    AnnotatedRow,
    Certification,
    Review,
    Vote,
    Withdrawal,
    is_reviewed,
    set_digest,
)
from preferences.store.append_only_file import append, locked, read
from preferences.store.provenance import NEVER_CHOSEN
from preferences.store.rows import KINDS, SIDES, Row, StoreKind, exact_digest, normalized, row_from_json, row_to_json
from preferences.store.scorings import Scoring
from probes.inputs.prompts import Prompt
from probes.inputs.training_rows import ReservedPrompts

Entry = TypeVar("Entry", Vote, Withdrawal, Review, Scoring, Certification)
ENTRIES: Mapping[str, type[Vote | Withdrawal | Review | Scoring | Certification]] = {
    "votes": Vote,
    "withdrawals": Withdrawal,
    "reviews": Review,
    "scorings": Scoring,
    "certifications": Certification,
}
"""The type of the entries of each file of annotations."""
SHORTEST_PREFIX = 4
"""Shortest prefix of an id that identifies a row on the command line."""


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of the new rows and of those that the store already had."""

    new: tuple[str, ...]
    known: tuple[str, ...]


FileState = tuple[int, int, int] | None
"""Size, time of change and inode; None for a missing file."""


@dataclass
class Index:
    """What new rows of a store are checked against: ids, mechanically made texts, the form (plain or conversational),
    and the id of the first row by exact digest. Valid while the file is in ``state``."""

    state: FileState
    ids: set[str] = field(default_factory=set)
    mechanical: set[str] = field(default_factory=set)
    plain: bool | None = None
    exact: dict[str, str] = field(default_factory=dict)

    def insert(self, row: Row) -> None:
        self.ids.add(row.id)
        self.mechanical |= mechanical_texts([row])
        self.plain = row.plain if self.plain is None else self.plain
        self.exact.setdefault(exact_digest(row), row.id)


@dataclass(frozen=True)
class Stores:
    """The stores of one workspace. A call reads a file again only when it has changed; when a writing call returns, the
    data is on the disk. Times are ISO-8601 and given by the caller."""

    folder: Path
    _indices: dict[StoreKind, Index] = field(default_factory=dict, repr=False, compare=False)
    _reserved: dict[FileState, tuple[list[Prompt], ReservedPrompts]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def path(self, kind: StoreKind) -> Path:
        return self.folder / f"{kind}.jsonl"

    # rows

    def reserve(self, prompts: Iterable[Prompt]) -> int:
        """Record the probe and holdout prompts of a study before rows are added; returns how many were new."""
        asked = [prompt for prompt in prompts if prompt.split in ("probe", "holdout")]
        with locked(self.folder):
            known = {(one.split, one.text) for one in self.reserved_prompts()}
            new = {(one.split, one.wording): one for one in asked if (one.split, one.wording) not in known}
            rows = [{"id": p.id, "split": p.split, "category": p.category, "text": p.wording} for p in new.values()]
            append(self.folder / "reserved.jsonl", rows)
        return len(new)

    def reserved_prompts(self) -> list[Prompt]:
        return self._load_reserved()[0]

    def reserved(self) -> ReservedPrompts:
        """BadInput when no prompt is recorded: then rows could not be checked for contamination."""
        prompts, reserved = self._load_reserved()
        if not prompts:
            raise BadInput(
                f"pairs are checked against the probe and holdout prompts of a study and {self.folder} has none yet; "
                "name the study with --study STUDY"
            )
        return reserved

    def _load_reserved(self) -> tuple[list[Prompt], ReservedPrompts]:
        path = self.folder / "reserved.jsonl"
        state = _file_state(path)
        if state not in self._reserved:
            try:
                prompts = [reserved_from_json(row) for _, row in read(path)]
            except BadInput as error:
                raise BadInput(f"{path} {str(error).removeprefix(f'{path} ')}") from None
            self._reserved.clear()
            self._reserved[state] = prompts, ReservedPrompts(prompts)
        return self._reserved[state]

    def add(self, rows: Sequence[Row], reserved: ReservedPrompts | None = None) -> Added:
        """Append the rows that the stores lack, all or none. BadInput for a row that asks a reserved prompt, or whose
        form (plain, conversational) differs from that of its store."""
        with locked(self.folder):
            reserved = reserved or (self.reserved() if rows else ReservedPrompts(()))
            for row in rows:
                overlap = reserved.overlap(row.prompt, *row.texts)
                if overlap is not None:
                    raise BadInput(f"row {row.id}: {overlap.sentence}; leave the row out")
            self._require_no_mechanical_choice(rows)
            indices = {kind: self.index(kind) for kind in KINDS if any(row.kind == kind for row in rows)}
            for kind, index in indices.items():
                self._require_one_form(kind, index.plain, [row for row in rows if row.kind == kind])
            new = {row.id: row for row in rows if row.id not in indices[row.kind].ids}
            known = tuple(row.id for row in rows if row.id in indices[row.kind].ids)
            for kind, index in indices.items():
                added = [row for row in new.values() if row.kind == kind]
                append(self.path(kind), [row_to_json(row) for row in added])
                for row in added:
                    index.insert(row)
                index.state = _file_state(self.path(kind))
        return Added(tuple(new), known)

    def index(self, kind: StoreKind) -> Index:
        """The index of a store as it is now; rebuilt only when another process has written to it."""
        index, state = self._indices.get(kind), _file_state(self.path(kind))
        if index is None or index.state != state:
            index = Index(state)
            for row in self.rows(kind):
                index.insert(row)
            self._indices[kind] = index
        return index

    def _require_no_mechanical_choice(self, rows: Sequence[Row]) -> None:
        """Refuse a chosen side that some row of a store, or of ``rows``, declares to be mechanically made."""
        pairs = [row for row in rows if len(row.texts) > 1]
        if not pairs:
            return
        made = [mechanical_texts(rows), *(self.index(kind).mechanical for kind in KINDS if len(SIDES[kind]) > 1)]
        odd = next((row for row in pairs if any(normalized(row.texts[0]) in texts for texts in made)), None)
        if odd is not None:
            raise BadInput(
                f"row {odd.id} chooses a text that another row declares mechanically made, which is never the chosen "
                "side; leave the row out"
            )

    def _require_one_form(self, kind: StoreKind, plain: bool | None, rows: Sequence[Row]) -> None:
        plain = rows[0].plain if plain is None else plain
        odd = next((row for row in rows if row.plain != plain), None)
        if odd is not None:
            form, other = ("plain texts", "conversations") if plain else ("conversations", "plain texts")
            raise BadInput(
                f"{self.path(kind)} holds {form}, since TRL trains on one form at a time, and row {odd.id} holds "
                f"{other}; write it as {form}, or use another --workspace"
            )

    def rows(self, kind: StoreKind) -> tuple[Row, ...]:
        """The rows as they were written, without annotations."""
        rows: dict[str, Row] = {}
        for line, data in read(self.path(kind)):
            try:
                row = row_from_json(kind, data)
            except BadInput as error:
                raise BadInput(f"{self.path(kind)}, line {line}: {error}") from None
            rows.setdefault(row.id, row)
        return tuple(rows.values())

    # annotations

    def read(self, kind: StoreKind) -> tuple[AnnotatedRow, ...]:
        """The rows of a store with their annotations."""
        return self.read_all(kind)[kind]

    def read_all(self, *kinds: StoreKind) -> dict[StoreKind, tuple[AnnotatedRow, ...]]:
        """The rows of these stores, or of all, with their annotations."""
        rows = {kind: self.rows(kind) for kind in kinds or KINDS}
        votes, reviews = self.votes(), self.reviews()
        certified = self._entries("certifications", Certification)
        scored = self._entries("scorings", Scoring)
        named = {entry.row for entries in (votes, reviews, certified, scored) for entry in entries}
        withdrawals = self._entries("withdrawals", Withdrawal)
        elsewhere = self._elsewhere(named, rows)
        return {
            kind: annotate(
                own,
                votes=votes,
                withdrawals=withdrawals,
                reviews=reviews,
                certifications=certified,
                elsewhere=elsewhere,
                scorings=scored,
            )
            for kind, own in rows.items()
        }

    def _elsewhere(self, named: set[str], there: Mapping[StoreKind, Sequence[Row]]) -> list[Row]:
        """The rows with these ids; further stores are read only while an id is missing."""
        rows = [row for own in there.values() for row in own if row.id in named]
        for kind in sorted(KINDS, key="reward".__eq__):  # the longest store last
            if kind not in there and named - {row.id for row in rows}:
                rows += [row for row in self.rows(kind) if row.id in named]
        return rows

    def votes(self) -> list[Vote]:
        return self._entries("votes", Vote)

    def reviews(self) -> list[Review]:
        return self._entries("reviews", Review)

    def find(self, row_id: str) -> AnnotatedRow:
        """The row with this id, or the only one whose id begins so."""
        matches = [row for own in self.read_all().values() for row in own if row.id.startswith(row_id)]
        if len(matches) == 1 and (len(row_id) >= SHORTEST_PREFIX or matches[0].id == row_id):
            return matches[0]
        if len(matches) > 1 and len(row_id) >= SHORTEST_PREFIX:
            raise BadInput(f"the id {row_id!r} is the beginning of {len(matches)} ids; give more of it")
        raise BadInput(f"there is no row {row_id!r} in {self.folder}; see nightlane pairs list")

    def vote(self, votes: Sequence[Vote]) -> int:
        """Record the votes that change their voter's ballot on a row, all or none; returns how many did."""
        rows = {row.id: row for own in self.read_all().values() for row in own}
        unfit = never_chosen(row.row for row in rows.values())
        for vote in votes:
            row = rows.get(vote.row)
            require_vote(vote, row, unfit.law_of(row))
        return self.record_votes(votes, {name: row.row for name, row in rows.items()})

    def record_votes(self, votes: Sequence[Vote], by_id: Mapping[str, Identity]) -> int:
        """Record votes that ``require_vote`` accepts; ``by_id``: the rows of all stores."""
        with locked(self.folder):
            ballots, new = collect_ballots(self.votes(), by_id), []
            for vote in votes:
                by_voter = ballots[by_id[vote.row].content_digest]
                before = by_voter.get(vote.by, frozenset())
                by_voter[vote.by] = updated_ballot(before, vote.vote)
                if by_voter[vote.by] != before:
                    new.append(asdict(vote))
            append(self.folder / "votes.jsonl", new)
        return len(new)

    def withdraw(self, reason: str, time: str, row: str = "", decision: str = "") -> None:
        """Withdraw one row, or every row that rests on a decision (a retracted KEEP); repeating it changes nothing."""
        if not reason.strip() or bool(row) == bool(decision):
            raise BadInput("a withdrawal names a row or a decision, and its reason; give one of the two and say why")
        self.withdraw_all([Withdrawal(row, decision, reason, time)])

    def withdraw_all(self, asked: Sequence[Withdrawal]) -> None:
        """Record the withdrawals that are not recorded yet."""
        with locked(self.folder):
            known = {(one.row, one.decision) for one in self._entries("withdrawals", Withdrawal)}
            new = {(one.row, one.decision): one for one in asked if (one.row, one.decision) not in known}
            append(self.folder / "withdrawals.jsonl", [asdict(one) for one in new.values()])

    def review(self, review: Review) -> None:
        """Record a review of a row."""
        with locked(self.folder):
            append(self.folder / "reviews.jsonl", [asdict(review)])

    def score(self, scorings: Sequence[Scoring]) -> int:
        """Record scores of rows, unless they are a row's latest already. Returns how many were recorded."""
        with locked(self.folder):
            latest = {one.row: (one.scorer, one.marks) for one in self._entries("scorings", Scoring)}
            new = [one for one in scorings if latest.get(one.row) != (one.scorer, one.marks)]
            append(self.folder / "scorings.jsonl", [asdict(one) for one in new])
        return len(new)

    def certify(self, certifications: Sequence[Certification]) -> None:
        """Record certificates of a gate; repeating it changes nothing."""
        with locked(self.folder):
            known = {(one.row, one.chosen, one.receipt) for one in self._entries("certifications", Certification)}
            new = [one for one in certifications if (one.row, one.chosen, one.receipt) not in known]
            append(self.folder / "certifications.jsonl", [asdict(one) for one in new])

    def digest(self, kind: StoreKind) -> str:
        """Identifies the present set of live rows."""
        return set_digest(self.read(kind))

    def reviewed(self, kind: StoreKind) -> bool:
        """Whether the present set of live rows was reviewed; a new row makes the review stale."""
        return is_reviewed(self.read(kind))

    def _entries(self, name: str, entry: type[Entry]) -> list[Entry]:
        path = self.folder / f"{name}.jsonl"
        entries = []
        for line, data in read(path):
            try:
                entry_from_json(name, data)
            except BadInput as error:
                raise BadInput(f"{path}, line {line} {error}") from None
            entries.append(entry(**data))
        return entries


def entry_from_json(name: str, data: Mapping[str, Any]) -> None:
    """Check an entry of a file of annotations; BadInput if it is none."""
    names = {one.name for one in fields(ENTRIES[name])}
    if set(data) != names or not all(isinstance(value, str) for value in data.values()):
        raise BadInput(f"is not an entry of {name}; restore it")
    ENTRIES[name](**data)


def reserved_from_json(data: Mapping[str, Any]) -> Prompt:
    """A line of reserved.jsonl; BadInput if it is none."""
    if set(data) != {"id", "split", "category", "text"} or not all(isinstance(value, str) for value in data.values()):
        raise BadInput("holds a row that is not a prompt; restore it")
    return Prompt(**data, difficulty=1, checks={})


def _file_state(path: Path) -> FileState:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def mechanical_texts(rows: Iterable[Row]) -> frozenset[str]:
    """The normalized texts that some row declares to be mechanically made."""
    both = (zip(row.provenance.sides, row.texts, strict=True) for row in rows)
    return frozenset(normalized(text) for own in both for side, text in own if side.origin == "mechanical")


@dataclass(frozen=True, slots=True)
class NeverChosen:
    """What a flip must not make the chosen side. ``mechanical``: normalized texts. ``cut``: content digests of the
    pairs whose rejected side was cut. (Not texts: normalizing takes off the white space at the end, so the same text
    may be a whole answer elsewhere.)"""

    mechanical: Collection[Hashable]
    cut: Collection[Hashable]

    def law(self, rejected: Hashable, content: Hashable) -> str:
        """The law that a flip of a row would break, by its rejected text and its content digest; "" for none."""
        if rejected in self.mechanical:
            return NEVER_CHOSEN["mechanical"]
        return NEVER_CHOSEN["cut"] if content in self.cut else ""

    def law_of(self, row: AnnotatedRow | None) -> str:
        return self.law(normalized(row.row.texts[-1]), row.row.content_digest) if row else ""


def never_chosen(rows: Iterable[Row]) -> NeverChosen:
    known = list(rows)
    cut = (row.content_digest for row in known if row.provenance.sides[-1].origin == "cut")
    return NeverChosen(mechanical_texts(known), frozenset(cut))


def require_vote(vote: Vote, row: AnnotatedRow | None, law: str) -> None:
    """Refuse a vote without a row or a voter, and a flip that would break a law. ``law``: that of ``NeverChosen``."""
    if row is None:
        raise BadInput(f"there is no row {vote.row!r} to vote on; see nightlane pairs list")
    if not vote.by.strip():
        raise BadInput("a vote needs a voter; name one with --by")
    if vote.vote == "flip":
        if len(SIDES[row.row.kind]) < 2:
            raise BadInput(f"row {vote.row} is one answer and has no sides to flip; vote up, down or drop")
        if row.row.kind == "orpo":
            raise BadInput(f"row {vote.row}: an ORPO row's chosen side passed the gate, so it cannot flip; vote drop")
        if law:
            raise BadInput(f"row {vote.row}: {law}; vote drop instead")
