"""The results of an evaluation: one per answer, grouped by side."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.problems import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One scored answer. ``score``: 0 to 10. ``note``: what failed first. format_only: the answer fails, and its code
    alone would pass."""

    problem: str
    category: str
    seed: int
    sample: int
    answer: str
    passed: bool
    failure_class: str
    score: float
    note: str
    format_only: bool


def to_json(result: Result) -> dict[str, Any]:
    return asdict(result)


def from_json(data: Mapping[str, Any]) -> Result:
    """The inverse of ``to_json``; TypeError for other columns."""
    return Result(**data)


@dataclass(frozen=True, slots=True)
class Side:
    """All results of one model or one file of samples."""

    name: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One side, or before and after, on ``problems`` usable problems.

    unknown: samples by an id that the problem file lacks. missing: problems without an answer. ks: of pass@k. seconds:
    wall clock. unanswered: answers that an endpoint did not give.
    """

    problems_file: str
    problems: int
    refused: tuple[Refused, ...]
    unknown: Mapping[str, int]
    missing: tuple[str, ...]
    sides: tuple[Side, ...]
    ks: tuple[int, ...]
    seconds: float
    unanswered: int = 0

    def __post_init__(self) -> None:
        if len(self.sides) not in (1, 2):
            raise ValueError(f"an evaluation has one side, or before and after, and not {len(self.sides)}")
