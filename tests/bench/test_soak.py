"""The parts of the soak bench, with few decisions."""

from pathlib import Path

import pytest

from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.study.power import analyse_power
from agent.workspace.folder import Workspace
from bench.speed.soak import SESSION_DECISIONS, Figure, SoakSize, UsageWatcher, fill, limited, measure_long_night
from testing.simulated_study import write_study
from view.data.results import read_results
from view.data.session_record import load_record
from view.report.report import write_report
from view.terminal.status import session_status


@pytest.mark.long
@pytest.mark.long
def test_a_long_night_is_measured_and_its_rows_fill_another_ledger(tmp_path: Path) -> None:
    study, new, old = load_study(write_study(tmp_path / "study", limited(16))), tmp_path / "new", tmp_path / "old"
    figures = {figure.name: figure for figure in measure_long_night(study, tmp_path / "long", SoakSize(4, 0, 0))}
    assert figures["descriptors, growth"].value == 0
    assert figures["threads, growth"].value <= 0
    assert figures["a wave, the last tenth"].value > 0
    begin(study, Workspace(new), Overrides(), UsageWatcher(), write_report)
    fill(new, old, 2 * SESSION_DECISIONS)
    assert len(read_results(old / "results.tsv")) == 2 * SESSION_DECISIONS
    assert session_status(Workspace(old), None)["decisions"]["DISCARD"] > 0
    assert len(load_record(Workspace(old), None).proposals) == SESSION_DECISIONS
    with Ledger(old / "runs" / "ledger.sqlite", read_only=True) as ledger:
        questions = [session.question for name in ledger.sessions() if (session := ledger.session(name))]
    assert questions == [study.question] * 2
    assert analyse_power(study, Workspace(old)).measured > SESSION_DECISIONS, "a run reads the copies as its own"


def test_a_figure_misses_its_limit_only_above_it() -> None:
    assert [Figure("one", 1.0, "s", limit).missed for limit in (None, 1.0, 0.9)] == [False, False, True]
