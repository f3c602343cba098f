"""The results of an evaluation: one per answer, grouped by side."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.digests import file_digest, require_own_digest, with_own_digest
from common.errors import BadInput
from common.files import sync, write_durably
from evaluation.problems import RefusedProblem

FIGURES = "evaluation.json"
"""Written last, with the digests of the other files of an evaluation's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSample:
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


def to_json(result: ScoredSample) -> dict[str, Any]:
    return asdict(result)


def from_json(data: Mapping[str, Any]) -> ScoredSample:
    """The inverse of ``to_json``; TypeError for other columns."""
    return ScoredSample(**data)


@dataclass(frozen=True, slots=True)
class ModelResults:
    """All results of one model or one file of samples."""

    name: str
    results: tuple[ScoredSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One side, or before and after, on ``problems`` usable problems.

    unknown: the number of samples by id, for ids that the problem file lacks. missing: problems without an answer. ks:
    each k of pass@k. seconds: wall clock. unanswered: answers that an endpoint did not give.
    """

    problems_file: str
    problems: int
    refused: tuple[RefusedProblem, ...]
    unknown: Mapping[str, int]
    missing: tuple[str, ...]
    sides: tuple[ModelResults, ...]
    ks: tuple[int, ...]
    seconds: float
    unanswered: int = 0

    def __post_init__(self) -> None:
        if len(self.sides) not in (1, 2):
            raise ValueError(f"an evaluation has one side, or before and after, and not {len(self.sides)}")


def new_folder(runs: Path) -> Path:
    """A new folder for an evaluation."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{runs.parent} cannot hold a workspace ({error.strerror}); choose another --workspace"
        ) from None
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for name in (stamp, *(f"{stamp}-{number}" for number in range(2, 1000))):
        folder = runs / f"evaluation-{name}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise BadInput(f"{runs} cannot take another evaluation this second; try again")


def write_figures(folder: Path, figures: Mapping[str, Any]) -> None:
    """Write evaluation.json, with the digest of each other file of the folder and of itself."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != FIGURES]
    for path in files:
        sync(path)
    digests = {path.name: file_digest(path) for path in files}
    write_durably(folder / FIGURES, with_own_digest(json.dumps({**figures, "files": digests}, indent=1)))


def altered_files(folder: Path, record: str = FIGURES) -> list[str]:
    """The files that changed since ``record`` was written with their digests, for an evaluation or anything else with
    such a record. Empty if there is no record (interrupted) or it has no digests (an older version)."""
    try:
        text = (folder / record).read_text(encoding="utf-8")
        require_own_digest(text)
        digests = dict(json.loads(text).get("files", {}))
        return [name for name, digest in digests.items() if not _is_as_written(folder / name, digest)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return [record]


def _is_as_written(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(path) == digest
