"""The four stores under runs/rl_data and what was said of their rows. All reading of them is here.

preference.jsonl  reward.jsonl  dpo.jsonl  orpo.jsonl    rows, which never change
votes.jsonl  withdrawals.jsonl  reviews.jsonl  certifications.jsonl      what was said of them since, applied on reading
reserved.jsonl                                           the probe and holdout prompts that no row may ask
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from common.errors import BadInput
from preferences.store.journal import append, locked, read
from preferences.store.overlay import (
    Certification,
    Standing,
    Verdict,
    Vote,
    Withdrawal,
    after,
    ballots,
    looked_at,
    set_digest,
    standings,
)
from preferences.store.rows import KINDS, SIDES, Kind, Row, bare, repeated, row_from_json, row_to_json
from probes.inputs.prompts import Prompt
from probes.inputs.training_rows import Reserved

Entry = TypeVar("Entry", Vote, Withdrawal, Verdict, Certification)
SHORTEST = 4
"""Letters of an id that a person has to type."""


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of the rows that were new and of those that were there already."""

    new: tuple[str, ...]
    known: tuple[str, ...]


Seen = tuple[int, int, int] | None


@dataclass
class Index:
    """What rows that are added are held against, of one store as its file was ``seen``: ids, texts that were
    mechanically made, the form, and the first row that says something."""

    seen: Seen
    ids: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    plain: bool | None = None
    said: dict[str, str] = field(default_factory=dict)

    def take(self, row: Row) -> None:
        self.ids.add(row.id)
        self.made |= mechanical([row])
        self.plain = row.plain if self.plain is None else self.plain
        self.said.setdefault(repeated(row), row.id)


@dataclass(frozen=True)
class Stores:
    """The stores of one workspace. Each call reads the files as they are, unless they are as it left them; what a
    writing call returns from is on the disk. Times are ISO-8601, given by the caller."""

    folder: Path
    _indices: dict[Kind, Index] = field(default_factory=dict, repr=False, compare=False)
    _reserved: dict[Seen, tuple[list[Prompt], Reserved]] = field(default_factory=dict, repr=False, compare=False)

    def path(self, kind: Kind) -> Path:
        return self.folder / f"{kind}.jsonl"

    # rows

    def reserve(self, prompts: Iterable[Prompt]) -> int:
        """Remember the probe and holdout prompts of a study, before any row is added; how many were new."""
        asked = [prompt for prompt in prompts if prompt.split in ("probe", "holdout")]
        with locked(self.folder):
            known = {(one.split, one.text) for one in self.reserved_prompts()}
            new = {(one.split, one.wording): one for one in asked if (one.split, one.wording) not in known}
            rows = [{"id": p.id, "split": p.split, "category": p.category, "text": p.wording} for p in new.values()]
            append(self.folder / "reserved.jsonl", rows)
        return len(new)

    def reserved_prompts(self) -> list[Prompt]:
        return self._held()[0]

    def reserved(self) -> Reserved:
        """BadInput where no prompt is known, so that no row could be held against any."""
        prompts, held = self._held()
        if not prompts:
            raise BadInput(
                f"pairs are held against the probe and holdout prompts of a study and {self.folder} knows none yet; "
                "name the study with --study STUDY"
            )
        return held

    def _held(self) -> tuple[list[Prompt], Reserved]:
        path = self.folder / "reserved.jsonl"
        seen = _seen(path)
        if seen not in self._reserved:
            try:
                prompts = [Prompt(**row, difficulty=1, checks={}) for _, row in read(path)]
            except TypeError as error:
                raise BadInput(f"{path} holds a row that is no prompt ({error}); restore it") from None
            self._reserved.clear()
            self._reserved[seen] = prompts, Reserved(prompts)
        return self._reserved[seen]

    def add(self, rows: Sequence[Row], reserved: Reserved | None = None) -> Added:
        """Append the rows that are not there yet, all or none. BadInput for one that asks a reserved prompt, or whose
        form (plain, conversational) is not that of its store."""
        with locked(self.folder):
            held = reserved or (self.reserved() if rows else Reserved(()))
            for row in rows:
                overlap = held.overlap(row.prompt, *row.texts)
                if overlap is not None:
                    raise BadInput(f"row {row.id}: {overlap.told}; leave the row out")
            self._require_own_work(rows)
            there = {kind: self.index(kind) for kind in KINDS if any(row.kind == kind for row in rows)}
            for kind, own in there.items():
                self._require_one_form(kind, own.plain, [row for row in rows if row.kind == kind])
            new = {row.id: row for row in rows if row.id not in there[row.kind].ids}
            known = tuple(row.id for row in rows if row.id in there[row.kind].ids)
            for kind, own in there.items():
                added = [row for row in new.values() if row.kind == kind]
                append(self.path(kind), [row_to_json(row) for row in added])
                for row in added:
                    own.take(row)
                own.seen = _seen(self.path(kind))
        return Added(tuple(new), known)

    def index(self, kind: Kind) -> Index:
        """Of a store as it is now; read again only if somebody else wrote to it."""
        found, seen = self._indices.get(kind), _seen(self.path(kind))
        if found is None or found.seen != seen:
            found = Index(seen)
            for row in self.rows(kind):
                found.take(row)
            self._indices[kind] = found
        return found

    def _require_own_work(self, rows: Sequence[Row]) -> None:
        """What a row of a store, or one beside it, says was mechanically made is no chosen side, whoever brings it."""
        pairs = [one for one in rows if len(one.texts) > 1]
        if not pairs:
            return
        made = [mechanical(rows), *(self.index(kind).made for kind in KINDS if len(SIDES[kind]) > 1)]
        odd = next((row for row in pairs if any(bare(row.texts[0]) in one for one in made)), None)
        if odd is not None:
            raise BadInput(
                f"row {odd.id} chooses a text that another row says was mechanically made, which is never the chosen "
                "side; leave the row out"
            )

    def _require_one_form(self, kind: Kind, plain: bool | None, rows: Sequence[Row]) -> None:
        plain = rows[0].plain if plain is None else plain
        odd = next((row for row in rows if row.plain != plain), None)
        if odd is not None:
            has, is_ = ("plain texts", "conversations")[:: 1 if plain else -1]
            raise BadInput(
                f"{self.path(kind)} holds {has}, since TRL trains on one form at a time, and row {odd.id} holds {is_}; "
                f"write it as {has}, or use another --workspace"
            )

    def rows(self, kind: Kind) -> tuple[Row, ...]:
        """The rows beneath, as they were written."""
        found: dict[str, Row] = {}
        for line, data in read(self.path(kind)):
            try:
                row = row_from_json(kind, data)
            except BadInput as error:
                raise BadInput(f"{self.path(kind)}, line {line}: {error}") from None
            found.setdefault(row.id, row)
        return tuple(found.values())

    # what was said of them

    def read(self, kind: Kind) -> tuple[Standing, ...]:
        """The rows of a store as they stand."""
        return self.read_all(kind)[kind]

    def read_all(self, *kinds: Kind) -> dict[Kind, tuple[Standing, ...]]:
        """The rows of some stores, or of all, as they stand."""
        rows = {kind: self.rows(kind) for kind in kinds or KINDS}
        votes, verdicts = self.votes(), self.verdicts()
        certified = self._entries("certifications", Certification)
        named = {one.row for entries in (votes, verdicts, certified) for one in entries}
        said = votes, self._entries("withdrawals", Withdrawal), verdicts, certified
        elsewhere = self._elsewhere(named, rows)
        return {kind: standings(own, *said, elsewhere) for kind, own in rows.items()}

    def _elsewhere(self, named: set[str], there: Mapping[Kind, Sequence[Row]]) -> list[Row]:
        """The rows of these ids; stores that are not ``there`` are read only as long as an id is missing."""
        found = [row for own in there.values() for row in own if row.id in named]
        for kind in sorted(KINDS, key="reward".__eq__):  # which is the longest
            if kind not in there and named - {row.id for row in found}:
                found += [row for row in self.rows(kind) if row.id in named]
        return found

    def votes(self) -> list[Vote]:
        return self._entries("votes", Vote)

    def verdicts(self) -> list[Verdict]:
        return self._entries("reviews", Verdict)

    def find(self, row_id: str) -> Standing:
        """The row of an id, or of its beginning where that names one row."""
        found = [one for own in self.read_all().values() for one in own if one.id.startswith(row_id)]
        if len(found) == 1 and (len(row_id) >= SHORTEST or found[0].id == row_id):
            return found[0]
        if len(found) > 1 and len(row_id) >= SHORTEST:
            raise BadInput(f"the id {row_id!r} is the beginning of {len(found)} ids; give more of it")
        raise BadInput(f"there is no row {row_id!r} in {self.folder}; see nightlane pairs list")

    def vote(self, votes: Sequence[Vote]) -> int:
        """Record the votes that change what their voter says of a row, all or none; how many did."""
        rows = {one.id: one for own in self.read_all().values() for one in own}
        made = mechanical(one.row for one in rows.values())
        for vote in votes:
            require_vote(vote, rows.get(vote.row), made)
        with locked(self.folder):
            cast, new = ballots(self.votes(), {name: one.row for name, one in rows.items()}), []
            for vote in votes:
                said = cast[rows[vote.row].row.said]
                own = said.get(vote.by, frozenset())
                said[vote.by] = after(own, vote.vote)
                if said[vote.by] != own:
                    new.append(asdict(vote))
            append(self.folder / "votes.jsonl", new)
        return len(new)

    def withdraw(self, reason: str, time: str, row: str = "", decision: str = "") -> None:
        """Withdraw one row, or every row that rests on a decision (a retracted KEEP). Twice is once."""
        if not reason.strip() or bool(row) == bool(decision):
            raise BadInput("a withdrawal names a row or a decision, and its reason; give one of the two and say why")
        self.withdraw_all([Withdrawal(row, decision, reason, time)])

    def withdraw_all(self, asked: Sequence[Withdrawal]) -> None:
        """Withdraw what is not withdrawn yet."""
        with locked(self.folder):
            known = {(one.row, one.decision) for one in self._entries("withdrawals", Withdrawal)}
            new = {(one.row, one.decision): one for one in asked if (one.row, one.decision) not in known}
            append(self.folder / "withdrawals.jsonl", [asdict(one) for one in new.values()])

    def review(self, verdict: Verdict) -> None:
        """Record what a reviewer said of a row."""
        with locked(self.folder):
            append(self.folder / "reviews.jsonl", [asdict(verdict)])

    def certify(self, found: Sequence[Certification]) -> None:
        """Record what a gate said of rows. Twice is once."""
        with locked(self.folder):
            known = {(one.row, one.chosen, one.receipt) for one in self._entries("certifications", Certification)}
            new = [one for one in found if (one.row, one.chosen, one.receipt) not in known]
            append(self.folder / "certifications.jsonl", [asdict(one) for one in new])

    def digest(self, kind: Kind) -> str:
        """Names the present set of live rows."""
        return set_digest(self.read(kind))

    def reviewed(self, kind: Kind) -> bool:
        """Whether somebody looked at the present set of live rows; a new row makes it stale."""
        return looked_at(self.read(kind))

    def _entries(self, name: str, entry: type[Entry]) -> list[Entry]:
        path = self.folder / f"{name}.jsonl"
        found = []
        for line, data in read(path):
            if set(data) != {one.name for one in fields(entry)} or not all(isinstance(v, str) for v in data.values()):
                raise BadInput(f"{path}, line {line} is no entry of {name}; restore it")
            found.append(entry(**data))
        return found


def _seen(path: Path) -> Seen:
    """Names a state of a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def mechanical(rows: Iterable[Row]) -> frozenset[str]:
    """The texts that some row says were mechanically made."""
    both = (zip(row.provenance.sides, row.texts, strict=True) for row in rows)
    return frozenset(bare(text) for own in both for side, text in own if side.origin == "mechanical")


def require_vote(vote: Vote, row: Standing | None, made: Collection[str]) -> None:
    """Refuse a vote on no row, one of nobody, and a flip that would break a law."""
    if row is None:
        raise BadInput(f"there is no row {vote.row!r} to vote on; see nightlane pairs list")
    if not vote.by.strip():
        raise BadInput("a vote is somebody's; name the voter with --by")
    if vote.vote == "flip":
        if len(SIDES[row.row.kind]) < 2:
            raise BadInput(f"row {vote.row} is one answer and has no sides to flip; vote up, down or drop")
        if row.row.kind == "orpo":
            raise BadInput(f"row {vote.row}: an ORPO row's chosen side passed the gate, so it cannot flip; vote drop")
        if bare(row.row.texts[1]) in made:
            raise BadInput(f"row {vote.row}: a mechanically made text is never the chosen side; vote drop instead")
