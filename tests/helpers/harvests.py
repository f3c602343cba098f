"""Sessions with a harvest: the simulated runner also writes answers, as for a real model."""

from functools import partial
from pathlib import Path

import pytest
from nights import Step, trying
from worlds import study_of

from agent.loop.harvest import HARVEST
from agent.loop.nodes import Session
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy.search_parts import SearchParts
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from lanes import Recipe
from preferences.store.annotations import AnnotatedRow
from preferences.store.stores import Stores
from probes.result.reading import Outcome, Probe, Score
from probes.run.protocol import Listener
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import AnsweringRunner, EffectWorld
from view.report.report import write_report
from view.terminal.live import watching

POLICY = "disguised = 0.3\nholdout_seeds = 0"
NOISE = 0.4


def orders(recipe: Recipe, split: str) -> float:
    """Two orders are clearly better than shuffling, two clearly worse."""
    return {"easy_first": 2.0, "short_first": 1.5, "hard_first": -2.0, "long_first": -1.0}.get(recipe.curriculum, 0.0)


class Answering(AnsweringRunner):
    """``asked``: the harvest probes so far. ``stop``: simulate Ctrl-C at this harvest probe, counted from 1; 0 for
    never."""

    def __init__(self, study: Study, workspace: Path, world: EffectWorld, stop: int = 0) -> None:
        super().__init__(study.material, ProbeStore(workspace / "runs"), world=world)
        self.asked: list[Probe] = []
        self.stop = stop

    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        if probe.key.split == HARVEST:
            self.asked.append(probe)
            if len(self.asked) == self.stop:
                raise KeyboardInterrupt
        return super()._run_one(probe, listener)

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        return {**super().answer(probe, score), "critical": ["rude"] if score.value < 1 else []}


def study(folder: Path, policy: str = POLICY, harvest: str = "", budget: str = "decisions = 14") -> Study:
    made = study_of(folder, policy, budget, orders=True)
    return load_study(simulated_study.write_study(made.path.parent, made.text + f"\n[harvest]\n{harvest}\n"))


TRYING = trying(("curriculum", "hard_first"), ("curriculum", "short_first"), ("curriculum", "easy_first"), pairs=6)
"""A stack that is worse, and two that are kept."""


def night(
    study: Study, workspace: Path, world: EffectWorld | None = None, stop: int = 0, step: Step = TRYING
) -> Answering:
    runner, parts = Answering(study, workspace, world or EffectWorld(orders, NOISE), stop), SearchParts(next_step=step)
    with watching() as watcher:
        begin(study, Workspace(workspace), Overrides(), watcher, write_report, runner=runner, parts=parts)
    return runner


def go_on(study: Study, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    runner = Answering(study, workspace, EffectWorld(orders, NOISE))
    monkeypatch.setattr("agent.loop.start_or_resume.session.open_runner", lambda *_: runner)
    monkeypatch.setattr(
        "agent.loop.start_or_resume.session.Session", partial(Session, parts=SearchParts(next_step=TRYING))
    )
    with watching() as watcher:
        resume(Workspace(workspace), None, Overrides(), watcher, write_report)
    return runner


def stores(workspace: Path) -> dict[str, tuple[AnnotatedRow, ...]]:
    return {kind: rows for kind, rows in Stores(workspace / "runs" / "rl_data").read_all().items()}
