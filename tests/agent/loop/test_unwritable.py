"""Files that nobody can write to while a night runs: it goes on, says so once, and makes up for it later."""

import shutil
from pathlib import Path

import pytest
import settings_nights as nights
from nights import trying

from agent.ledger.results.files import catch_up
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.harvest import HARVEST, REFUSED
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.study.load import Study
from agent.workspace.check import check
from agent.workspace.folder import Workspace
from cli.main import main
from preferences.store.rows import KINDS
from preferences.store.stores import Stores
from view.report.report import write_report


class Spoiling(nights.Silent):
    """Puts something in a file's place after the first decision."""

    def __init__(self, workspace: Workspace, path: str, is_folder: bool) -> None:
        super().__init__()
        self.workspace, self.pattern, self.is_folder = workspace, path, is_folder
        self.spoiled: Path | None = None
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn == 1 and self.spoiled is None:
            session = next(self.workspace.runs.glob("session-*")).name
            self.spoiled = self.workspace.runs / self.pattern.format(session=session)
            shutil.rmtree(self.spoiled, ignore_errors=True)
            self.spoiled.unlink(missing_ok=True)
            if self.is_folder:
                self.spoiled.mkdir(parents=True)
            else:
                self.spoiled.write_text("no folder", encoding="utf-8")

    def mended(self) -> None:
        assert self.spoiled is not None
        if self.spoiled.is_dir():
            self.spoiled.rmdir()
        else:
            self.spoiled.unlink()


TRYING = trying(("learning_rate", 0.0), ("beta", 1.0), pairs=6)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return nights.study(tmp_path / "study", {"lanes.curriculum": None})


def spoiled_night(study: Study, workspace: Workspace, path: str, is_folder: bool) -> Spoiling:
    watcher = Spoiling(workspace, path, is_folder)
    play(study, workspace, watcher)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        session = ledger.session()
        assert session is not None
        assert session.finished
    return watcher


def play(study: Study, workspace: Workspace, watcher: nights.Silent) -> None:
    """A night of two stacks, each with one change."""
    runner, parts = nights.Runner(study, workspace.runs, 1), SearchParts(next_step=TRYING)
    begin(study, workspace, Overrides(), watcher, write_report, runner=runner, parts=parts)


def decisions_with(kind: str, workspace: Workspace) -> set[str]:
    """The decisions that have a check of a kind."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return {check.subject for session in ledger.sessions() for check in ledger.checks(session, kind)}


def rows(workspace: Workspace) -> dict[str, set[str]]:
    stores = Stores(workspace.runs / "rl_data")
    return {kind: {str((row.prompt, row.texts)) for row in stores.rows(kind)} for kind in KINDS}


@pytest.mark.parametrize(("path", "is_folder"), [("rl_data/dpo.jsonl", True), ("rl_data", False)])
def test_a_night_whose_stores_cannot_be_written_goes_on_and_the_next_one_makes_the_pairs_up(
    study: Study, tmp_path: Path, path: str, is_folder: bool
) -> None:
    whole, workspace = Workspace(tmp_path / "whole"), Workspace(tmp_path / "night")
    play(study, whole, nights.Silent())
    watcher = spoiled_night(study, workspace, path, is_folder)
    assert sum("the pairs cannot be written" in note for note in watcher.notes) == 1
    refused = decisions_with(REFUSED, workspace) - decisions_with(HARVEST, workspace)
    assert len(refused) > 1
    watcher.mended()
    play(study, workspace, nights.Silent())
    assert refused <= decisions_with(HARVEST, workspace)
    lost = rows(whole)["dpo"] - rows(workspace)["dpo"]
    assert not lost


def test_withdrawals_that_cannot_be_written_are_said_once_and_made_up_by_a_report(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "night")
    watcher = spoiled_night(study, workspace, "rl_data/withdrawals.jsonl", True)
    assert sum("cannot be withdrawn" in note for note in watcher.notes) == 1
    watcher.mended()
    assert catch_up(workspace) == []
    with Ledger(workspace.ledger, read_only=True) as ledger:
        retracted = {row.proposal for _, row in ledger.retractions(0)}
    assert retracted
    withdrawn = [row for own in Stores(workspace.runs / "rl_data").read_all().values() for row in own if row.withdrawn]
    assert {row.row.provenance.decision for row in withdrawn} == retracted


def test_a_folder_in_the_place_of_the_report_ends_no_session(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "night")
    watcher = spoiled_night(study, workspace, "{session}/report.md", True)
    (note,) = [note for note in watcher.notes if "the report cannot be written" in note]
    assert f"{watcher.spoiled}: Is a directory" in note
    assert note in (workspace.runs / "progress.log").read_text(encoding="utf-8")
    assert [status.message for status in check(workspace) if not status.intact and "report.md" in status.message]
    watcher.mended()
    session = note.split()[-1]
    assert write_report(workspace, session).exists()


def test_the_report_command_prints_a_report_that_it_cannot_write(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path / "night")
    spoiled_night(study, workspace, "{session}/report.md", True)
    monkeypatch.setattr("sys.argv", ["nightlane", "report", "--workspace", str(workspace.root)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 0
    assert "Is a directory), so the report is only printed" in printed.err
    assert printed.out.startswith("# ")
