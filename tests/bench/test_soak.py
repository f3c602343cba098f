"""The soak's own parts, small: what it fills a ledger with is real, and what it measures is there."""

from pathlib import Path

from agent.ledger.store import Ledger
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from bench.speed.soak import NIGHT, Figure, Size, _written, fill, soaked
from view.data.results import read_results
from view.data.session_record import load_record
from view.terminal.status import session_status


def test_a_long_night_is_measured_and_its_rows_fill_another_ledger(tmp_path: Path) -> None:
    study, new, old = load_study(_written(tmp_path / "study")), tmp_path / "new", tmp_path / "old"
    found = {one.name: one for one in soaked(study, new, Size(10, 0, 0))}
    assert found["descriptors, growth"].value == found["threads, growth"].value == 0
    assert found["a decision, the last tenth"].value > 0
    fill(new, old, 2 * NIGHT, 2)
    assert len(read_results(old / "results.tsv")) == 2 * NIGHT
    assert session_status(Workspace(old), None)["decisions"]["DISCARD"] > 0
    assert len(load_record(Workspace(old), None).proposals) == NIGHT
    with Ledger(old / "runs" / "ledger.sqlite", read_only=True) as ledger:
        questions = [session.question for name in ledger.sessions() if (session := ledger.session(name))]
    assert questions.count(study.question) == 1


def test_a_limit_is_missed_above_it_alone() -> None:
    assert [Figure("one", 1.0, "s", limit).missed for limit in (None, 1.0, 0.9)] == [False, False, True]
