"""A budget that ends within a round: what was decided has its row, what is open says so, nothing is lost or claimed."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import settings_nights as nights

from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow, DecisionRow
from agent.loop.begin_or_resume import Overrides, begin, resume
from agent.loop.nodes import Session
from agent.proposers.context import CALIBRATION, Search
from agent.study.load import Study
from agent.workspace.folder import Workspace
from view.data.session_record import SessionRecord, load_record
from view.explain.explanation import explain
from view.report.report import report_markdown, write_report
from view.terminal.status import session_status, status_text

pytestmark = pytest.mark.in_memory

Usage = namedtuple("Usage", "total used free")
WIDTH = 6
FIRST = 2


class Disk:
    """Has room until it was asked so many times; its keeper is the budget's ``disk_gb``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int | None = None) -> None:
        self.asked, self.times = 0, times
        monkeypatch.setattr(shutil, "disk_usage", self.usage)

    def usage(self, _: object) -> Usage:
        self.asked += 1
        room = self.times is None or self.asked <= self.times
        return Usage(10**12, 0, 10**12 if room else 0)


def study(folder: Path) -> Study:
    """All candidates of a round of six are confirmed, A/A tests among them, so that some are decided long before
    others."""
    return nights.study(
        folder,
        {
            "policy": {"hopeless": "0.0", "promising": "0.001", "disguised": "0.3", "screening_seeds": "3"},
            "budget": {"decisions": str(WIDTH), "disk_gb": "1"},
        },
    )


def play(asked: Study, workspace: Workspace) -> SessionRecord:
    runner = nights.Runner(asked, workspace.runs, WIDTH)
    begin(asked, workspace, Overrides(), nights.Silent(), write_report, runner=runner)
    return load_record(workspace, None)


def rows(record: SessionRecord) -> dict[str, DecisionRow]:
    return {row.id.removeprefix(f"{row.session}-"): row for row in record.decisions}


def gist(row: DecisionRow) -> tuple[Any, ...]:
    return row.status, row.reason, row.comparison, row.course


@dataclass(frozen=True)
class Whole:
    """The undisturbed night, and how often the disk was asked for its room when its round began and when it ended."""

    asked: Study
    record: SessionRecord
    begun: int
    ended: int

    def cut(self, share: float) -> int:
        """The question after which the disk is full, so far into the round."""
        return self.begun + round(share * (self.ended - self.begun))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    asked = study(folder / "study")
    with pytest.MonkeyPatch.context() as patched:
        disk, times = Disk(patched), dict[str, int]()
        for name in ("measure", "decide"):
            patched.setattr(Session, name, noting(name, getattr(Session, name), disk, times))
        record = play(asked, Workspace(folder / "night"))
    return Whole(asked, record, times["measure"], times["decide"])


def noting(name: str, node: Callable[..., Any], disk: Disk, times: dict[str, int]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        times[name] = disk.asked
        return node(*given)

    return both


def measured(record: SessionRecord) -> set[tuple[str, int]]:
    return {(row.recipe, row.seed) for row in record.probes}


def needed(record: SessionRecord, row: DecisionRow) -> set[tuple[str, int]]:
    """Probes of a candidate that its decision pauses on."""
    assert row.course is not None
    child = record.proposals[row.id].child
    if row.status == "CRASH":
        return {pair for pair in measured(record) if pair[0] == child}
    return {(child, mine) for pairs in row.course["seeds"].values() for mine, _ in pairs}


def test_the_undisturbed_night_decides_its_candidates_at_different_times(
    whole: Whole,
) -> None:
    record = whole.record
    reasons = [row.reason for row in record.decisions if row.turn > 0]
    assert {"improved", "overtaken", "calibration"} <= set(reasons)
    lanes = [record.proposals[row.id].lane for row in record.decisions if row.turn > 0]
    assert CALIBRATION in lanes[reasons.index("improved") + 1 :], "something is measured after the KEEP of the round"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3, 0.5, 0.9])
def test_what_was_decided_when_the_budget_ended_has_its_row(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    undisturbed, workspace = whole.record, Workspace(tmp_path)
    Disk(monkeypatch, whole.cut(share))
    record = play(whole.asked, workspace)
    assert "GB of disk left" in (record.session.finish_reason or "")
    found, there = rows(record), measured(record)
    for name, row in rows(undisturbed).items():
        if row.turn <= 0:
            continue
        is_aa_test = undisturbed.proposals[row.id].lane == CALIBRATION
        looked = [pair for pair in sorted(needed(undisturbed, row)) if pair in there]
        if row.reason != "overtaken" and set(looked) == needed(undisturbed, row):
            assert gist(found[name]) == gist(row)
        elif len(looked) >= FIRST and not is_aa_test:
            assert found[name].status == "DISCARD"
            assert found[name].reason in ("budget", row.reason)
            assert "larger budget" in " ".join(explain(workspace, name).notes) or row.reason == "overtaken"
        else:
            assert name not in found
            assert record.proposals[f"{record.session.id}-{name}"] in record.in_flight
    for row in record.decisions:
        if row.reason == "budget":
            assert row.course is not None
            assert bool(row.course["account"]["error"]) == bool(row.course["account"]["confirmation"])
    if record.in_flight:
        assert "proposed and not decided" in report_markdown(record)
        assert "\nnot decided " in status_text(session_status(workspace, None))


def test_a_keep_that_was_come_to_before_the_budget_ended_stands(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, whole.cut(0.7))
    record = play(whole.asked, Workspace(tmp_path))
    [kept] = [row for row in record.decisions if row.status == "KEEP"]
    assert record.incumbent.digest == kept.incumbent != record.session.start
    assert {"budget", "overtaken"} <= {row.reason for row in record.decisions}
    assert record.in_flight


def test_what_was_cut_short_is_open_to_a_later_session_which_knows_its_comparisons(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = whole.asked
    Disk(monkeypatch, whole.cut(0.3))
    record = play(asked, Workspace(tmp_path))
    cut = [row for row in record.decisions if row.reason == "budget"]
    assert cut
    with Ledger(Workspace(tmp_path).ledger, read_only=True) as ledger:
        later = Search(replace(record.session, id="later"), asked, ledger)
        effects = {ledger.recipe(record.proposals[row.id].child).effect for row in cut}
        assert not effects & later.barred()
        moves = {record.proposals[row.id].knob for row in cut}
        situation = later.in_lane("hyperparameters", 1, asked.start, "all")
        assert situation is not None
        assert moves <= situation.response.moved | {"curriculum"}


@pytest.mark.parametrize("node", ["decide", "record"])
def test_a_night_killed_where_its_budget_ended_resumes_to_the_same_rows(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    """Also with a larger budget by then: nothing is decided anew, and nothing is skipped."""
    asked, cut = whole.asked, whole.cut(0.5)
    with monkeypatch.context() as patched:
        Disk(patched, cut)
        wanted = rows(play(asked, Workspace(tmp_path / "cut")))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        Disk(patched, cut)
        patched.setattr(Session, node, killed)
        play(asked, Workspace(tmp_path / "killed"))
    workspace = Workspace(tmp_path / "killed")
    Disk(monkeypatch)
    monkeypatch.setattr(
        "agent.loop.begin_or_resume.open_runner", lambda *_: nights.Runner(asked, workspace.runs, WIDTH)
    )
    resume(workspace, None, Overrides(decisions=2 * WIDTH), nights.Silent(), write_report)
    found = rows(load_record(workspace, None))
    made = {name: gist(row) for name, row in wanted.items() if row.turn > 0}
    assert made == {name: gist(row) for name, row in found.items() if row.turn > 0}
    assert made


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_retraction_that_was_come_to_before_the_budget_ended_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first KEEP's re-test contradicts it; the second's is not paid for any more."""
    asked = nights.study(tmp_path / "study", {"lanes.curriculum": None, "budget": {"disk_gb": "1"}})
    disk, workspace = Disk(monkeypatch), Workspace(tmp_path / "night")
    original = Ledger.record_checks

    def full_from_then_on(self: Ledger, *checks: CheckRow) -> None:
        original(self, *checks)
        if checks[0].kind == "leave_one_out":
            disk.times = disk.asked

    monkeypatch.setattr(Ledger, "record_checks", full_from_then_on)
    runner = nights.Runner(asked, workspace.runs, denied="learning_rate")
    begin(asked, workspace, Overrides(), nights.Silent(), write_report, runner=runner)
    record = load_record(workspace, None)
    kept = [row for row in record.decisions if row.status == "KEEP"]
    [check] = [check for check in record.checks if check.kind == "leave_one_out"]
    [back] = [row for row in record.decisions if row.status == "RETRACT"]
    assert len(kept) == 2
    assert (check.subject, check.data["verdict"]) == (kept[0].id, "retracted")
    assert back.proposal == kept[0].id
    assert record.incumbent.digest == back.incumbent != kept[1].incumbent
