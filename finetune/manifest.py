"""finetune.json, which says what a full-length run was. Written last, so its presence means the run is complete.

It has no score: probe readings are never compared with full-length runs (law 1).
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from common.digests import file_digest
from common.errors import BadInput
from common.files import sync, write_durably
from finetune.plan import Plan, Source

NAME = "finetune.json"
COMBINED = "combined"
AGAIN = "restore the folder, or train again with a new --output"
Look = Literal["own", "reviewed", "unreviewed"]


@dataclass(frozen=True)
class TrainedOn:
    """A source as it was trained on: ``rows`` in its file, of which ``drawn`` were taken, some of them again.

    ``looked_at``: "own" is data that no store exported, "unreviewed" a set that nobody had looked at and that was
    trained on because the user said so. ``judged_bad``: ids of its rows.
    """

    name: str
    file: str
    digest: str
    rows: int
    drawn: int
    looked_at: Look
    judged_bad: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """``recipe`` and ``base`` are digests. ``final``: figures of the last step, as in train.jsonl. ``seconds`` in the
    training loop alone, ``tokens`` it saw. ``files``: the digest of each file of the adapter, by its name;
    ``combined``: of the adapter that holds [model] adapter as well, where there is that."""

    study: str
    recipe: str
    origin: str
    seed: int
    steps: int
    sources: tuple[TrainedOn, ...]
    base: str
    final: dict[str, float]
    seconds: float
    tokens: int
    files: dict[str, str]
    combined: dict[str, str] = field(default_factory=dict)


def trained_on(plan: Plan) -> tuple[TrainedOn, ...]:
    return tuple(
        TrainedOn(
            source.name, source.file, source.digest, len(source.pairs), source.drawn, _look(source), source.review.bad
        )
        for source in plan.sources
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_durably(folder / NAME, json.dumps(asdict(manifest), indent=1, allow_nan=False) + "\n")


def is_complete(folder: Path) -> bool:
    return (folder / NAME).exists()


def saved(adapter: Path) -> dict[str, str]:
    """Have an adapter's files on the disk; the digest of each."""
    files = sorted(path for path in adapter.iterdir() if path.is_file())
    for path in (*files, adapter, adapter.parent):
        sync(path)
    return {path.name: file_digest(path) for path in files}


def require_whole(adapter: Path) -> None:
    """BadInput for an adapter of a full-length run that is not as it was saved; nothing is known of another's."""
    path = adapter.resolve().parent / NAME
    if not path.exists():
        return
    try:
        files = dict(json.loads(path.read_text(encoding="utf-8")).get(_kept_under(adapter), {}))
        changed = [name for name, digest in files.items() if file_digest(adapter / name) != digest]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} says what {adapter} is, and cannot be held against it ({error}); {AGAIN}") from None
    if changed:
        raise BadInput(f"{adapter / changed[0]} is not as {path} says that it was saved; {AGAIN}")


def _kept_under(adapter: Path) -> str:
    """Where the manifest beside an adapter has the digests of its files."""
    return "combined" if adapter.resolve().name == COMBINED else "files"


def _look(source: Source) -> Look:
    if source.review.record is None:
        return "own"
    return "reviewed" if source.review.reviewed else "unreviewed"
