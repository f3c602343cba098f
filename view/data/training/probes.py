"""The training of probes, read from their folders under runs/."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.loop.in_flight import ProbeInFlight, read_in_flight
from agent.workspace.folder import Workspace
from common.clock import written_at
from lanes import Recipe
from probes.result.reading import Failure, Outcome, Reading
from probes.run.store import DAMAGED, IDENTITY, ProbeStore
from view.data.training.curve import Curve
from view.data.training.runs import TrainingRun, TrainingStatus

PREFIX = "probe-"
CUT_OFF = "it was interrupted; the next session that needs it runs it again"


def probe_folders(workspace: Workspace) -> list[Path]:
    """The folders of probes, the latest first."""
    folders = [path for path in workspace.runs.glob(f"{PREFIX}*") if path.is_dir()]
    return sorted(folders, key=lambda folder: (_changed(folder), folder.name), reverse=True)


def probes_in_flight(workspace: Workspace) -> Mapping[str, ProbeInFlight]:
    """The probes that a session runs now, by id."""
    holder = workspace.holder()
    if holder is None:
        return {}
    found = (read_in_flight(session, holder) for session in workspace.runs.glob("session-*"))
    return {probe.id: probe for batch in found if batch for probe in batch.probes}


def read_probe(folder: Path, curve: Curve, in_flight: Mapping[str, ProbeInFlight]) -> TrainingRun:
    """The probe in a folder. ``curve``: its own, as it is now."""
    name = folder.name.removeprefix(PREFIX)
    outcome, running = ProbeStore(folder.parent).read(name), in_flight.get(name)
    identity, recipe = _identity(folder), _recipe(folder)
    key = outcome.key.steps if isinstance(outcome, Reading) else identity.get("key", {}).get("steps", 0)
    final = outcome.final if isinstance(outcome, Reading) else curve.last
    return TrainingRun(
        name=folder.name,
        status=_status(outcome, running is not None),
        started=written_at(folder / "recipe.toml") or written_at(folder),
        objective=recipe.objective if recipe else "",
        recipe=str(identity.get("recipe", "")),
        seed=outcome.seed if outcome else identity.get("seed"),
        steps=running.steps if running else key,
        done=key if isinstance(outcome, Reading) else max(curve.step, running.step if running else 0),
        final={name: value for name, value in final.items() if isinstance(value, int | float)},
        seconds=outcome.timing.total if isinstance(outcome, Reading) else curve.last.get("seconds"),
        why=outcome.message if isinstance(outcome, Failure) else "" if outcome or running else CUT_OFF,
        details=tuple(_details(identity, outcome)),
    )


def _status(outcome: Outcome | None, running: bool) -> TrainingStatus:
    if outcome is not None:
        return "FAILED" if isinstance(outcome, Failure) else "COMPLETE"
    return "RUNNING" if running else "STOPPED"


def _details(identity: Mapping[str, Any], outcome: Outcome | None) -> Iterator[tuple[str, str]]:
    if identity:
        yield "recipe", str(identity.get("recipe"))
        yield "seed", str(identity.get("seed"))
        yield "prompts", str(identity.get("key", {}).get("split"))
        yield "base", str(identity.get("key", {}).get("base"))
    if isinstance(outcome, Reading) and outcome.scores:
        yield "mean score", f"{outcome.mean():.2f} over {len(outcome.scores)} answers"


def _identity(folder: Path) -> Mapping[str, Any]:
    """probe.json; nothing of a damaged one."""
    try:
        found = dict(json.loads((folder / IDENTITY).read_text(encoding="utf-8")))
        return found if isinstance(found.get("key", {}), dict) else {}
    except DAMAGED:
        return {}


def _recipe(folder: Path) -> Recipe | None:
    try:
        return Recipe.from_toml((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
