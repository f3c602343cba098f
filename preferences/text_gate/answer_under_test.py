"""What the layers check: the chosen side of a row, and how it compares with the other rows of its set."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from common.digests import digest_of
from preferences.store.annotations import AnnotatedRow, usable_rows
from preferences.store.provenance import TextOrigin
from preferences.store.rows import text_to_json
from preferences.text_gate.duplicate_rows import Repeat, repeats
from preferences.text_gate.settings import TextGateSettings
from preferences.text_gate.text_vectors import Embed
from preferences.text_gate.topic_similarity import Nearness, nearness
from probes.inputs.rows.turns import plain

USUAL = TextGateSettings()


@dataclass(frozen=True)
class AnswerUnderTest:
    """A row, flipped if its votes say so. nearness: how near its chosen side is to its own prompt and to the nearest
    other one of the set. repeat: the earlier row that it repeats. against: the digest of prompt, rejected side and set,
    and of limits that are not the defaults."""

    row: AnnotatedRow
    nearness: Nearness
    repeat: Repeat | None
    against: str
    limits: TextGateSettings = USUAL

    @cached_property
    def prompt(self) -> str:
        return plain(self.row.row.prompt)

    @cached_property
    def question(self) -> str:
        """The last turn of the user; a plain prompt as a whole."""
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
    def side(self) -> TextOrigin:
        return self.row.sides[0]

    @property
    def score(self) -> float | None:
        """The score of the chosen side."""
        return self.row.scores[0]


def answers_under_test(
    rows: Iterable[AnnotatedRow], embed: Embed | None = None, limits: TextGateSettings = USUAL
) -> tuple[AnswerUnderTest, ...]:
    """The pairs in use, each compared with all of them. Rows that the code gate has judged are left out. ``embed``: its
    vectors show what a text is about; without it, the words of the text do."""
    used = [row for row in usable_rows(rows) if (row.receipt or {}).get("gate") != "code"]
    nearness_of, repeat_of = nearness(used, embed), repeats(used, limits.least_similar)
    rows_digest = digest_of(sorted([row.id, row.flipped] for row in used))
    other_limits = [limits.digest] if limits.digest else []
    return tuple(
        AnswerUnderTest(
            row=row,
            nearness=nearness_of[row.id],
            repeat=repeat_of.get(row.id),
            against=digest_of([rows_digest, text_to_json(row.row.prompt), row.id, *other_limits]),
            limits=limits,
        )
        for row in used
    )
