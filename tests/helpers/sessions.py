"""Sessions of the simulated study: played, interrupted, resumed, and with probes that fail."""

from pathlib import Path
from typing import Any

import pytest

from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.loop.start_or_resume.starting_recipe import StartFrom
from agent.study.load import Study
from agent.workspace.folder import Workspace
from lanes import Recipe
from probes.result.reading import Failure, Probe
from testing.simulated_runner import SimulatedRunner
from view.report.report import write_report
from view.terminal.live import watching


def play(study: Study, workspace: Path, seed: int = 0, start_from: StartFrom = "usual", **overrides: Any) -> str:
    where, given = Workspace(workspace), Overrides(**overrides)
    with watching() as watcher:
        return begin(study, where, given, watcher, write_report, seed=seed, start_from=start_from)


def go_on(workspace: Path, **overrides: Any) -> str:
    with watching() as watcher:
        return resume(Workspace(workspace), None, Overrides(**overrides), watcher, write_report)


def ledger_of(workspace: Path) -> Ledger:
    return Ledger(workspace / "runs" / "ledger.sqlite", read_only=True)


def interrupted(study: Study, workspace: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Play a session that Ctrl-C ends after some probes."""
    done = [0]
    original = SimulatedRunner._run_one

    def count(self: SimulatedRunner, probe: Probe, listener: Any) -> Any:
        done[0] += 1
        if done[0] > after:
            raise KeyboardInterrupt
        return original(self, probe, listener)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(SimulatedRunner, "_run_one", count)
        play(study, workspace)


def failing(kind: str, monkeypatch: pytest.MonkeyPatch, start: Recipe) -> None:
    """Make every probe fail, except those of the starting recipe."""
    original = SimulatedRunner._run_one

    def fail(self: SimulatedRunner, probe: Probe, listener: Any) -> Any:
        if probe.recipe == start:
            return original(self, probe, listener)
        return Failure(probe.id, probe.seed, kind, "gone")  # type: ignore[arg-type]

    monkeypatch.setattr(SimulatedRunner, "_run_one", fail)
