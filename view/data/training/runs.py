"""Full-length runs, read from the files in their folders while they train, and afterwards.

runs/finetune-ID/ (of promotions) and each folder of the workspace that has run.json (nightlane finetune --output)
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.workspace.folder import Workspace
from common.clock import written_at
from common.digests import require_own_digest
from common.files import is_locked
from finetune.manifest import NAME as MANIFEST
from finetune.start import NAME as START
from finetune.watch.spot_check import NAME as SPOT_CHECKS
from finetune.watch.spot_check import read_spot_checks
from view.data.training.curve import Curve

TrainingStatus = Literal["COMPLETE", "RUNNING", "FAILED", "STOPPED"]
CUT_OFF = "it was interrupted; the same command with --resume goes on from the last checkpoint"


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A full-length run, or the training of a probe.

    ``name``: of its folder. ``started``: ISO-8601. ``steps``: as planned; ``done``: the last step; ``epochs``: those
    done so far; None if the files do not say. ``final``: figures of the last step, as in train.jsonl. ``seconds``: of
    the whole command, or of the training so far. ``why``: the reason why it ended early. ``spot_checks``: (step, mean
    score of the answers); step 0 is the base. ``details``: further facts from its files.
    """

    name: str
    status: TrainingStatus
    started: str
    study: str = ""
    model: str = ""
    objective: str = ""
    recipe: str = ""
    seed: int | None = None
    steps: int = 0
    done: int = 0
    epochs: float | None = None
    final: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    seconds_left: float | None = None
    why: str = ""
    spot_checks: tuple[tuple[int, float], ...] = ()
    details: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Of the target, from 0 to 1."""
        return min(1.0, self.done / self.steps) if self.steps else 0.0


def run_folders(workspace: Workspace) -> list[Path]:
    """The folders of full-length runs, the latest first."""
    files = (*workspace.root.glob(f"*/{START}"), *workspace.runs.glob(f"finetune-*/{START}"))
    folders = sorted({path.parent for path in files}, key=lambda folder: folder.name)
    return sorted(folders, key=lambda folder: written_at(folder / START), reverse=True)


def read_run(folder: Path, curve: Curve) -> TrainingRun:
    """The run in a folder. ``curve``: its own, as it is now."""
    start, end = _object(folder / START), _object(folder / MANIFEST)
    steps, done = _whole(start.get("steps")), _whole(end.get("done", curve.step))
    status = _status(folder, end)
    target = _number(start.get("epochs"))
    reached = target * done / steps if target and steps else None
    return TrainingRun(
        name=folder.name,
        status=status,
        started=written_at(folder / START),
        study=str(start.get("study", "")),
        model=str(start.get("model", "")),
        objective=str(start.get("objective", "")),
        recipe=str(start.get("recipe", "")),
        seed=start.get("seed"),
        steps=steps,
        done=done,
        epochs=_number(end.get("epochs")) or reached,
        final={name: value for name, value in curve.last.items() if _number(value) is not None},
        seconds=_number(end.get("wall_seconds")) or _number(curve.last.get("seconds")),
        seconds_left=_number(curve.last.get("seconds_left")) if status == "RUNNING" else None,
        why=str(end.get("why", "")) or (CUT_OFF if status == "STOPPED" else ""),
        spot_checks=_spot_checks(folder),
        details=tuple(_details(start, end)),
    )


def _status(folder: Path, end: Mapping[str, Any]) -> TrainingStatus:
    """A running process holds its run's folder; a run that nobody holds and that has no record was interrupted."""
    if is_locked(folder):
        return "RUNNING"
    found = end.get("status", "COMPLETE" if end else "STOPPED")
    return found if found in ("COMPLETE", "FAILED") else "STOPPED"


def _details(start: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Further facts for a person, by name."""
    named = {
        "recipe": start.get("recipe"),
        "origin of the recipe": start.get("origin"),
        "seed": start.get("seed"),
        "base": start.get("base"),
        "last good checkpoint": end.get("checkpoint"),
        "resumed at step": end.get("resumed"),
        "software and device": start.get("environment"),
    }
    yield from ((name, str(value)) for name, value in named.items() if value not in (None, "", 0) or name == "seed")
    for source in end.get("sources", ()):
        rows, drawn = source.get("rows"), source.get("drawn")
        yield f"source {source.get('name')}", f"{rows} rows, {drawn} drawn, {source.get('looked_at')}"


def _spot_checks(folder: Path) -> tuple[tuple[int, float], ...]:
    found = read_spot_checks(folder / SPOT_CHECKS)
    return tuple((check.step, check.mean) for check in found if check.mean is not None)


def _object(path: Path) -> Mapping[str, Any]:
    """The content of a JSON file; empty for one that is missing, half written or changed."""
    try:
        text = path.read_text(encoding="utf-8")
        require_own_digest(text)
        return dict(json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
