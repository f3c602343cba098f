"""nightlane as a policy: the code of real sessions plays the night with the simulated runner.

The session has a study file with the landscape's lanes, a ledger, proposals by Optuna and the default [policy]. It does
not know the noise, the correlation or the family.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import tomli_w

from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.study.load import Study, parse_study
from agent.workspace.folder import Workspace
from bench.decisions.night import CATEGORIES, PROMPTS, Landscape, Night
from lanes import LaneSettings, Recipe
from probes.inputs.prompts import Prompt
from probes.result.reading import Probe
from probes.run.protocol import Progress
from probes.run.store import ProbeStore
from testing.simulated_runner import SimulatedRunner

MEMORY = Path("/dev/shm")
"""Where a night's folder is created if this exists, because a disk would take most of the night's time."""
STEPS = 60


@dataclass
class PlantedWorld:
    """A night as the world of the simulated runner. Holdout prompts are as difficult as probe prompts."""

    night: Night
    identity: str = "planted"
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> Sequence[Sequence[float]] | None:
        self.recipes[probe.recipe.digest] = probe.recipe
        found = self.night.measure(probe.recipe, probe.seed)
        return None if found is None else numpy.clip(found, 0, 10).tolist()


@dataclass
class DecisionListener:
    """A watcher that reports KEEPs and retractions to the night."""

    world: PlantedWorld

    def progress(self, progress: Progress) -> None:
        """Ignored: a simulated probe takes no time."""

    def note(self, text: str) -> None:
        """Ignored: notes are in the session's log."""

    def examining(self, done: int, total: int) -> None:
        """Ignored: a simulated night examines nothing."""

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        """Ignored: the night counts its probes."""

    def decided(self, decision: DecisionRow) -> None:
        """Report a kept stack once, although it has a row for each member."""
        stands = self.world.recipes[decision.incumbent]
        if decision.status == "KEEP" and stands != self.world.night.standing:
            self.world.night.keep(stands, decision.row["stack_delta"])
        elif decision.status == "RETRACT":
            self.world.night.retract(stands)


@dataclass(frozen=True)
class Nightlane:
    """nightlane with these settings of [policy] instead of the defaults. ``parts``: the parts of its search, which
    ablations replace."""

    name: str = "nightlane"
    policy: Mapping[str, Any] = field(default_factory=dict)
    parts: Callable[[Night], SearchParts] = lambda night: SearchParts()

    def play(self, night: Night) -> None:
        with _folder() as folder:
            study, world = write_study(folder, night, self.policy), PlantedWorld(night)
            runner = SimulatedRunner(study.material, ProbeStore(folder / "runs"), world=world)
            seed = int(night.random("session").integers(2**31))
            begin(
                study,
                Workspace(folder),
                Overrides(),
                DecisionListener(world),
                lambda workspace, session: workspace.session(session),
                seed=seed,
                start_from="study",
                runner=runner,
                parts=self.parts(night),
            )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


def write_study(folder: Path, night: Night, policy: Mapping[str, Any]) -> Study:
    """Write a study of the night's landscape, with its files."""
    landscape = night.landscape
    sources = sorted({*landscape.start.mixture, *(name for own in landscape.manifests.values() for name in own)})
    for name in sources:
        row = {"prompt": f"a row of {name}", "chosen": "one", "rejected": "another"}
        (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    rows = [
        {
            "id": f"{split}-{prompt}",
            "split": split,
            "category": category,
            "difficulty": 1,
            "checks": CHECKS,
            "prompt": f"{split} {prompt} {WORDS[split]}",
        }
        for split in ("probe", "holdout")
        for prompt, category in PROMPTS
    ]
    (folder / "prompts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    text = study_text(landscape, night, sources, policy)
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return parse_study(path, text)


CHECKS = {"entry_point": "f", "cases": [{"args": [1], "expected": 1}]}
WORDS = {"probe": "decides", "holdout": "confirms what was decided"}


def study_text(landscape: Landscape, night: Night, sources: Sequence[str], policy: Mapping[str, Any]) -> str:
    start = landscape.start.model_dump(mode="json")
    manifests = {name: dict(weights) for name, weights in landscape.manifests.items()} or {"start": start["mixture"]}
    named = next((name for name, weights in manifests.items() if weights == start["mixture"]), None)
    if named is None:
        named = "start"
        manifests["start"] = start["mixture"]
    return tomli_w.dumps(
        {
            "name": "planted",
            "model": {"path": "none"},
            "recipe": {**start, "mixture": named},
            "data": {"sources": {name: f"{name}.jsonl" for name in sources}, "manifests": manifests},
            "prompts": {"file": "prompts.jsonl"},
            "target": {"category": night.target},
            "guards": dict.fromkeys(CATEGORIES, night.margin),
            "probe": {"steps": STEPS, "samples": night.samples},
            "lanes": {name: _lane(lane) for name, lane in landscape.lanes.items()},
            "policy": dict(policy),
            "proposer": {"kind": "optuna"},
            "runner": {"kind": "simulated"},
            "budget": {"probes": int(night.budget), "hours": 24.0, "disk_gb": 0.0},
        }
    )


def _lane(lane: LaneSettings) -> dict[str, Any]:
    dumped = lane.model_dump(mode="json", exclude_none=True)
    return {"share": dumped["share"], **dumped["knobs"]}
