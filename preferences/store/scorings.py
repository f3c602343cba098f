"""Scores that a study's scorer gave the texts of a row after it was added (``nightlane pairs score``).

A scoring is an entry of scorings.jsonl. It names its scorer by digest, so that scores of another rubric or of other
rules are told apart, and holds a mark for each text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from common.errors import BadInput
from preferences.store.provenance import is_number


@dataclass(frozen=True, slots=True)
class StoredMark:
    """A score from 0 to 10, its components and critical failures, and what failed first, for people."""

    score: float
    components: Mapping[str, float]
    critical: tuple[str, ...] = ()
    note: str = ""

    @staticmethod
    def from_json(data: object) -> "StoredMark":
        """BadInput for anything but what ``as_json`` makes."""
        match data:
            case {"score": score, "components": dict(components), "critical": list(critical), "note": str(note)}:
                numbers = is_number(score) and all(map(is_number, components.values()))
                if numbers and all(isinstance(name, str) and name for name in critical):
                    return StoredMark(float(score), components, tuple(critical), note)
        raise BadInput("is not an entry of scorings; restore it")

    def as_json(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "components": dict(self.components),
            "critical": list(self.critical),
            "note": self.note,
        }


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """``marks``: JSON text, digest of each text -> its mark. ``scorer``: the scorer's digest. ``kind``: of scorer.
    ``study``: its name."""

    row: str
    marks: str
    scorer: str
    kind: str
    study: str
    time: str

    def __post_init__(self) -> None:
        _ = self.by_text

    @cached_property
    def by_text(self) -> Mapping[str, StoredMark]:
        """Digest of a text -> its mark; BadInput if ``marks`` does not hold that."""
        try:
            return {digest: StoredMark.from_json(mark) for digest, mark in dict(json.loads(self.marks)).items()}
        except (ValueError, TypeError, RecursionError):
            raise BadInput("is not an entry of scorings; restore it") from None


def marks_to_json(marks: Mapping[str, StoredMark]) -> str:
    """The text of ``Scoring.marks``."""
    return json.dumps({digest: mark.as_json() for digest, mark in marks.items()}, sort_keys=True, allow_nan=False)
