"""The row of a promotion in the ledger and in results.tsv, after a session."""

import csv
from pathlib import Path
from typing import Any

import pytest
from commands import nightlane

from agent.ledger.results.promotions import record_promotion
from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import Study
from agent.workspace.folder import Workspace
from probes.result.comparison import Comparison, Difference
from view.report.report import write_report
from view.terminal.live import watching


def difference(category: str, delta: float) -> Difference:
    return Difference(
        category=category,
        n=4,
        candidate=5.0 + delta,
        baseline=5.0,
        delta=delta,
        standard_error=0.2,
        low=delta - 0.4,
        high=delta + 0.4,
        variance=0.1,
        freedom=2.0,
    )


@pytest.mark.long
def test_a_promotion_is_a_row_behind_its_session_and_changes_nothing_else(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with watching() as watcher:
        session = begin(study, workspace, Overrides(), watcher, write_report)
    before = (tmp_path / "results.tsv").read_text(encoding="utf-8")
    report = nightlane("report", "--workspace", tmp_path, "--json").stdout
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row = ledger.session(session)
        assert row is not None
        incumbent, history = ledger.incumbent(study.question, row.key), ledger.history(study.question, row.key)
    found = {name: difference(name, delta) for name, delta in (("overall", 0.5), ("lists", 1.0), ("arithmetic", -0.2))}
    given: dict[str, Any] = {
        "promotion": "abc",
        "status": "PROMOTE",
        "reason": "improved",
        "description": "the target is better",
        "incumbent": row.start,
        "comparison": Comparison(
            differences=found, seeds=(7, 42, 123), confidence=0.95, critical_candidate=0, critical_baseline=0
        ),
        "target": "lists",
        "guards": {"arithmetic": 1.5},
        "length": {"steps": 500, "samples": 4},
    }
    record_promotion(workspace, session, **given)
    record_promotion(workspace, session, **given)
    after = (tmp_path / "results.tsv").read_text(encoding="utf-8")
    assert after.startswith(before)
    (last,) = csv.DictReader([before.splitlines()[0], *after[len(before) :].splitlines()], delimiter="\t")
    assert last["id"] == f"{session}-promotion-abc"
    assert (last["status"], last["reason"], last["steps"], last["seeds"]) == ("PROMOTE", "improved", "500", "7 42 123")
    assert (last["target"], last["baseline"], last["delta"], last["ci_low"]) == ("6", "5", "1", "0.6")
    assert (last["worst_guard"], last["guards_ok"]) == ("arithmetic", "yes")
    assert "PROMOTE improved at full length" in (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert ledger.incumbent(study.question, row.key) == incumbent
        assert ledger.history(study.question, row.key) == history
    assert nightlane("report", "--workspace", tmp_path, "--json").stdout == report, "no figure of the night changes"
    for command in ("status", "doctor", "report"):
        done = nightlane(command, "--workspace", tmp_path)
        assert "Traceback" not in done.stderr
    told = nightlane("explain", f"{session}-promotion-abc", "--workspace", tmp_path)
    assert told.returncode == 2
    assert "compared full-length runs; read" in told.stderr


def test_a_promotion_that_compared_nothing_has_no_figures(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with watching() as watcher:
        session = begin(study, workspace, Overrides(), watcher, write_report)
    record_promotion(
        workspace,
        session,
        promotion="abc",
        status="HOLD",
        reason="same_recipe",
        description="the starting recipe still stands",
        incumbent=study.start.digest,
        comparison=None,
        target="lists",
        guards={},
        length={"steps": 500, "samples": 4},
    )
    text = (tmp_path / "results.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert (rows[-1]["status"], rows[-1]["delta"], rows[-1]["guards_ok"]) == ("HOLD", "", "")
