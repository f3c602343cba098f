"""What an evaluation found: one result per answer, sides of results, and the whole with what was left out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.problems import Refused


@dataclass(frozen=True, slots=True)
class Result:
    """One judged answer. ``score`` runs from 0 to 10; ``note`` says what failed first, for people.

    format_only: the answer fails, and the code in it passes once taken out of what stands around it.
    """

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
    """All results of one model, or of one file of samples; ``name`` is for people."""

    name: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One side, or before and after, on ``problems`` usable problems.

    unknown: samples per id that the problem file lacks. missing: problems without an answer. ks: the k of pass@k
    asked for. seconds: wall clock. unanswered: answers that an endpoint was asked for and never gave.
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
