"""An index of a store's file: where each row begins, and the fields by which rows are filtered and their annotations
found. A row's texts stay in the file, so paging through a long store needs little memory.

The keys here are hashes that are valid only in this process: digests of every row of a long store would take seconds.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from common.errors import BadInput
from common.followed_file import FollowedFile, line_at
from preferences.store.annotations import text_digest
from preferences.store.append_only_file import is_object
from preferences.store.rows import SIDES, Row, StoreKind, normalized, row_from_json
from probes.inputs.files.text import parse_object
from probes.inputs.rows.messages import turns_of
from probes.inputs.rows.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEntry:
    """A row without its texts. ``start``: the offset of its first byte in the file.

    ``exact``: hash of the unchanged prompt and texts, whichever side is the chosen one. ``text_digests``: only for a
    row that lacks a score, to find the scores that it was given later.
    """

    id: str
    kind: StoreKind
    start: int
    category: str
    source: str
    decision: str
    scores: tuple[float | None, ...]
    content_digest: int
    pair_digest: int
    exact: int
    text_digests: tuple[str, ...]


@dataclass
class RowIndex:
    """The rows of a store in the order of its file, without repetitions. ``damaged``: the numbers of lines that are not
    rows. ``mechanical``: hashes of the mechanically made texts; ``cut``: content digests of pairs with a cut rejected
    side."""

    kind: StoreKind
    path: Path
    version: int = 0
    entries: list[RowEntry] = field(default_factory=list)
    by_id: dict[str, RowEntry] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    mechanical: set[int] = field(default_factory=set)
    cut: set[int] = field(default_factory=set)
    _lines: int = 0

    def __post_init__(self) -> None:
        self._file = FollowedFile(self.path, is_whole=is_object)

    def refresh(self) -> bool:
        """Read what was added to the file. Returns whether the rows changed."""
        before = self.version
        if self._file.begins_anew():
            self.entries, self.by_id, self.damaged, self._lines = [], {}, [], 0
            self.mechanical, self.cut = set(), set()
            self.version += 1
        for start, line in self._file.new_lines():
            self._lines, self.version = self._lines + 1, self.version + 1
            try:
                self._insert(orjson.loads(line), start)
            except (ValueError, KeyError, TypeError, AttributeError, BadInput):
                self.damaged.append(self._lines)
        return self.version != before

    def read(self, entry: RowEntry) -> Row:
        """The row itself; BadInput if it is not as it was written."""
        try:
            return row_from_json(self.kind, parse_object(line_at(self.path, entry.start).decode()))
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path} has changed where row {entry.id} was ({error}); restore it") from None

    def _insert(self, data: dict[str, Any], start: int) -> None:
        names, how = SIDES[self.kind], data["provenance"]
        prompt, *texts = (_text(name, data[name]) for name in ("prompt", *names))
        plain = [normalized(text) for text in texts]
        scores = tuple(data["score" if name == "completion" else f"{name}_score"] for name in names)
        asked = normalized(prompt)
        entry = RowEntry(
            id=data["id"],
            kind=self.kind,
            start=start,
            category=data["category"],
            source=data["source"],
            decision=how["decision"],
            scores=scores,
            content_digest=hash((asked, *plain)),
            pair_digest=hash((asked, frozenset(plain))),
            exact=hash((prompt, frozenset(texts))),
            text_digests=tuple(map(text_digest, texts)) if None in scores else (),
        )
        if self.by_id.setdefault(entry.id, entry) is entry:
            self.entries.append(entry)
            origins = [how[name]["origin"] for name in names]
            self.mechanical |= {hash(text) for text, name in zip(plain, origins, strict=True) if name == "mechanical"}
            if origins[-1] == "cut":
                self.cut.add(entry.content_digest)


def _text(name: str, value: object) -> Turns:
    return value if isinstance(value, str) else turns_of(name, value)
