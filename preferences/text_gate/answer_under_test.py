"""What the layers look at: the chosen side of a row, and what the other rows of its set say of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from common.digests import digest_of
from preferences.store.annotations import AnnotatedRow, usable_rows
from preferences.store.provenance import Side
from preferences.store.rows import text_to_json
from preferences.text_gate.duplicate_rows import Repeat, repeats
from preferences.text_gate.text_vectors import Embed
from preferences.text_gate.topic_similarity import Nearness, nearness
from probes.inputs.turns import plain


@dataclass(frozen=True)
class Case:
    """A row as it stands, flipped or not. nearness: how near its chosen side is to its own prompt and to another of
    the set. repeat: the earlier row that it repeats. against: the digest of prompt, rejected side and set."""

    row: AnnotatedRow
    nearness: Nearness
    repeat: Repeat | None
    against: str

    @cached_property
    def prompt(self) -> str:
        return plain(self.row.row.prompt)

    @cached_property
    def asked(self) -> str:
        """What the user says last; of a plain prompt, all of it."""
        prompt = self.row.row.prompt
        turns = [] if isinstance(prompt, str) else [turn.content for turn in prompt if turn.role == "user"]
        return turns[-1] if turns else self.prompt

    @cached_property
    def chosen(self) -> str:
        return plain(self.row.texts[0])

    @cached_property
    def rejected(self) -> str:
        return plain(self.row.texts[1])

    @property
    def side(self) -> Side:
        return self.row.sides[0]

    @property
    def score(self) -> float | None:
        """Of the chosen side."""
        return self.row.scores[0]


def cases(rows: Iterable[AnnotatedRow], embed: Embed | None = None) -> tuple[Case, ...]:
    """The pairs in use, each within the set of all of them. What the set says is found once for all. ``embed``: whose
    vectors say what a text is about; without, its words do. What the code gate has judged is left to it."""
    used = [one for one in usable_rows(rows) if (one.receipt or {}).get("gate") != "code"]
    near, again = nearness(used, embed), repeats(used)
    whole = digest_of(sorted([one.id, one.flipped] for one in used))
    return tuple(
        Case(one, near[one.id], again.get(one.id), digest_of([whole, text_to_json(one.row.prompt), one.id]))
        for one in used
    )
