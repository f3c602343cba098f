"""A night killed after any of its durable writes, then resumed, ends as the one that was not killed.

One undisturbed night is copied after each write that reaches the disk; each snapshot is what a kill at that
moment leaves, and is resumed. ``NIGHTLANE_KILLS=1`` takes every snapshot, else one of EVERY in each part, and more
of the plans and of the checks at the end.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import settings_nights as nights
from langgraph.checkpoint.sqlite import SqliteSaver
from snapshots import WRITES, copied, truth

from agent.ledger.store import Ledger
from agent.loop.nodes import Session
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.study.load import Study
from agent.workspace.folder import Workspace
from view.report.report import write_report

PARTS = ("measure_start", "plan", "look", "confirm", "record", "harvest", "settle", "check_keeps", "end")
EVERY = int(os.environ.get("NIGHTLANE_KILLS", "61"))
DENIED = "beta"
EACH_STACK = 24
"""Probes for each stack of a session without a limit."""


@dataclass
class Camera:
    """``writes``: how many there were in each part of the night. ``taken``: snapshots, and the part that each is
    of."""

    workspace: Path
    part: str = "begin"
    writes: Counter[str] = field(default_factory=Counter)
    taken: dict[Path, str] = field(default_factory=dict)
    checkpointed: bool = False

    def snapshot(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.checkpointed = True
            return
        self.checkpointed = False
        self.writes[self.part] += 1
        every = max(1, EVERY // 2) if self.part in ("plan", "check_keeps") else EVERY
        if self.writes[self.part] % every == 1 % every and self.part != "begin":
            target = self.workspace.with_name(f"{self.part}-{self.writes[self.part]:04d}")
            copied(self.workspace, target)
            self.taken[target] = self.part

    def after(self, write: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(write)
        def both(*given: Any, **named: Any) -> Any:
            if self.checkpointed:
                self.snapshot()
            found = write(*given, **named)
            self.snapshot()
            return found

        return both

    def in_part(self, node: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(node)
        def both(*given: Any, **named: Any) -> Any:
            before, self.part = self.part, node.__name__
            try:
                return node(*given, **named)
            finally:
                self.part = before

        return both


@dataclass(frozen=True)
class Night:
    asked: Study
    camera: Camera
    truth: dict[str, Any]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Waves, an A/A test, a CRASH, a stack of two KEEPs of which one does not hold, harvests."""
    folder = tmp_path_factory.mktemp("night")
    asked = nights.study(
        folder / "study",
        {
            "budget": {"probes": None, "decisions": "16"},
            "policy": {"disguised": "0.5", "confirming_seeds": "4", "wave": "4"},
        },
    )
    workspace = Workspace(folder / "whole")
    camera = Camera(workspace.root)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("agent.loop.nodes.MOST_PROBES", EACH_STACK)
        patched.setattr(os, "fsync", camera.after(lambda _: None))
        for owner, names in ((Ledger, WRITES), (SqliteSaver, ("put", "put_writes"))):
            for name in names:
                patched.setattr(owner, name, camera.after(getattr(owner, name)))
        for name in PARTS:
            patched.setattr(Session, name, camera.in_part(getattr(Session, name)))
        runner = nights.Runner(asked, workspace.runs, denied=DENIED)
        begin(asked, workspace, Overrides(), nights.Silent(), write_report, runner=runner)
    yield Night(asked, camera, truth(workspace.root))
    shutil.rmtree(folder)


@pytest.mark.long
def test_the_night_has_what_it_is_for(night: Night) -> None:
    statuses = [decision["status"] for decision in night.truth["decisions"]]
    assert [statuses.count(name) for name in ("KEEP", "RETRACT")] == [2, 1]
    assert "CRASH" in statuses
    assert "calibration" in {decision["reason"] for decision in night.truth["decisions"]}
    assert [one[2]["verdict"] for one in night.truth["checks"] if one[0] == "leave_one_out"] == ["holds", "retracted"]
    assert {"floor", "wave", "stack", "harvest", "holdout"} <= {kind for kind, _, _ in night.truth["checks"]}
    assert any(withdrawn for own in night.truth["pairs"].values() for _, withdrawn in own)
    assert set(PARTS) <= set(night.camera.taken.values())


@pytest.mark.long
def test_a_night_killed_after_any_write_ends_as_one_that_was_not(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("agent.loop.nodes.MOST_PROBES", EACH_STACK)
    unlike = dict[str, list[str]]()
    for folder in night.camera.taken:
        workspace = Workspace(folder)
        monkeypatch.setattr(
            "agent.loop.start_or_resume.session.open_runner",
            lambda *_, runs=workspace.runs: nights.Runner(night.asked, runs, denied=DENIED),
        )
        if not finished(workspace):
            resume(workspace, None, Overrides(), nights.Silent(), lambda where, name: where.session(name))  # no report
        found = truth(workspace.root)
        parts = [name for name, value in night.truth.items() if found[name] != value]
        if parts:
            unlike[folder.name] = parts
        shutil.rmtree(folder)
    print(f"kills: {dict(Counter(night.camera.taken.values()))} of {dict(night.camera.writes)}; unlike: {unlike}")
    assert not unlike


def finished(workspace: Workspace) -> bool:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        session = ledger.session()
        return session is not None and session.finished is not None
