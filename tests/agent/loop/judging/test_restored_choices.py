"""Files of choices that are gone or damaged under a session: the judge is asked again, and the night is what it would
have been."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import judged
import pytest
import settings_nights as nights

from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.study.load import Study
from agent.workspace.check import check
from agent.workspace.folder import Workspace
from testing import simulated_study
from view.report.report import write_report

PAIRWISE: nights.Sections = {
    "scorer": {"kind": '"judge"', "pairwise": "true", "calibration": '"calibration.jsonl"'},
    "runner": {"kind": '"resident"'},
    "probe": {"samples": "1"},
    "policy": {"holdout_seeds": "0"},
    "harvest": {"prompts": "0"},
    "budget": {"probes": "26"},
}


def the_other_side(path: Path) -> None:
    """Every answer that won has lost, and the other way round."""
    text = path.read_text(encoding="utf-8").replace('"value": 1.0', '"value": X').replace('"value": -1.0', '"value": Y')
    path.write_text(text.replace("X", "-1.0").replace("Y", "1.0"), encoding="utf-8")


def cut(path: Path) -> None:
    os.truncate(path, 40)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARM: tuple[Callable[[Path], None], ...] = (Path.unlink, the_other_side, cut, a_folder)


def files(workspace: Workspace) -> dict[str, str]:
    paths = sorted(path for path in workspace.runs.glob("session-*/choices-*.json") if path.is_file())
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def decisions(workspace: Workspace) -> list[tuple[Any, ...]]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return [(one.turn, one.status, one.reason, one.row.get("delta")) for one in ledger.decisions()]


def log(workspace: Workspace) -> str:
    return (workspace.runs / "progress.log").read_text(encoding="utf-8")


def session_messages(workspace: Workspace) -> str:
    return "; ".join(status.message for status in check(workspace) if "/session-" in status.path and not status.intact)


def play(asked: Study, workspace: Workspace, stop_at: int) -> None:
    runner = nights.Runner(asked, workspace.runs)
    begin(asked, workspace, Overrides(), nights.Silent(stop_at=stop_at), write_report, runner=runner)


def go_on(asked: Study, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "agent.loop.start_or_resume.session.open_runner", lambda *_: nights.Runner(asked, workspace.runs)
    )
    resume(workspace, None, Overrides(), nights.Silent(), write_report)


@pytest.mark.long
def test_the_judge_is_asked_again_and_a_later_session_says_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off, workspace = tmp_path / "cut off", Workspace(tmp_path / "night")
    (tmp_path / "study").mkdir()
    simulated_study.write_jsonl(tmp_path / "study" / "calibration.jsonl", judged.CALIBRATION)
    with judged.judge(tmp_path / "study", monkeypatch):
        asked = nights.study(tmp_path / "study", PAIRWISE)
        with pytest.raises(KeyboardInterrupt):
            play(asked, workspace, stop_at=5)
        shutil.copytree(workspace.root, cut_off)
        before = files(workspace)
        assert len(before) >= len(HARM)
        assert session_messages(workspace) == ""
        go_on(asked, workspace, monkeypatch)
        whole, stored = decisions(workspace), files(workspace)
        assert "asked again" not in log(workspace)

        shutil.rmtree(workspace.root)
        shutil.copytree(cut_off, workspace.root)
        folder = next(workspace.runs.glob("session-*"))
        for number, name in enumerate(before):
            HARM[number % len(HARM)](folder / name)
        assert "are gone: resume asks the judge again" in session_messages(workspace)
        assert "are damaged (choices-" in session_messages(workspace)
        go_on(asked, workspace, monkeypatch)
        assert f"the choices of {len(before)} comparisons are gone or damaged" in log(workspace)
        assert (decisions(workspace), files(workspace)) == (whole, stored)
        assert session_messages(workspace) == ""

        (folder / next(iter(before))).unlink()
        assert session_messages(workspace) == ""
        with pytest.raises(KeyboardInterrupt):
            play(asked, workspace, stop_at=2)
        assert "the choices of 1 comparison of earlier sessions are gone or damaged and do not count" in log(workspace)
