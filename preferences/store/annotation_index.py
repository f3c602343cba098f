"""Indexes of the annotation files. Votes, withdrawals and reviews are held in memory as a whole. Of certificates and
scores, which every row may have, only what rows are filtered by is held, with the place of the rest in the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson

from common.followed_file import FollowedFile
from preferences.store.append_only_file import is_object

Entry = TypeVar("Entry")


@dataclass
class EntryIndex(Generic[Entry]):
    """The entries of a file, each made by ``make`` from its JSON object and the offset of its first byte. A line that
    is not an entry is skipped; a command that depends on it reports it."""

    path: Path
    make: Callable[[dict[str, Any], int], Entry]
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = FollowedFile(self.path, is_whole=is_object)

    def refresh(self) -> bool:
        """Read what was added to the file. Returns whether the entries changed."""
        before, changed = len(self.entries), False
        if self._file.begins_anew():
            self.entries, changed = [], bool(before)
        for start, line in self._file.new_lines():
            try:
                self.entries.append(self.make(orjson.loads(line), start))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return changed or len(self.entries) != before


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """A gate's certificate of a row. ``chosen``: the digest of the text; ``drifted``: the topic layer refused it."""

    row: str
    chosen: str
    drifted: bool
    start: int

    @staticmethod
    def make(data: dict[str, Any], start: int) -> "CertificateEntry":
        layers = orjson.loads(data["receipt"]).get("receipts", ())
        return CertificateEntry(data["row"], data["chosen"], any(map(is_drift, layers)), start)


@dataclass(frozen=True, slots=True)
class ScoringEntry:
    """Scores of a row, by the digest of its text."""

    row: str
    scores: Mapping[str, float]
    start: int

    @staticmethod
    def make(data: dict[str, Any], start: int) -> "ScoringEntry":
        marks = orjson.loads(data["marks"])
        return ScoringEntry(data["row"], {digest: mark["score"] for digest, mark in marks.items()}, start)


def is_drift(layer: Mapping[str, Any]) -> bool:
    """Whether it is the receipt of a topic layer that refused a text: an answer to another prompt."""
    return layer.get("layer") == "topic" and layer.get("passed") is False
