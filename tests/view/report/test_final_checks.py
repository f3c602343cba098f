"""What a report says of the session's own checks: retractions, calibration, the night's error, noise floor, holdout."""

import re
import shutil
from pathlib import Path

import nights
import pytest
from scipy.stats import binomtest

from agent.ledger.store import Ledger
from agent.workspace.folder import Workspace
from view.data.checks import rate
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord, load_record
from view.report.report import report_markdown
from view.terminal.status import session_status, status_text


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two KEEPs that the holdout contradicts."""
    return nights.night(tmp_path_factory.mktemp("lying"), nights.governed(nights.TWO_KNOBS), world=nights.LYING)


@pytest.fixture(scope="module")
def interacting(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two KEEPs, of which the first is retracted when it is left out."""
    text, world = nights.governed(nights.TWO_KNOBS), nights.INTERACTING
    return nights.night(tmp_path_factory.mktemp("interacting"), text, decisions=2, world=world)


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return nights.night(tmp_path_factory.mktemp("loose"), nights.LOOSE, world=nights.FLAT, seed=11)


def record_of(workspace: Workspace) -> SessionRecord:
    return load_record(workspace, None)


def report(workspace: Workspace) -> str:
    return report_markdown(record_of(workspace))


def section(markdown: str, heading: str) -> str:
    return re.split(r"\n## ", markdown.partition(f"\n## {heading}\n")[2])[0]


def test_what_was_retracted_is_said_before_all_else(lying: Workspace, interacting: Workspace) -> None:
    for workspace, number in ((lying, 2), (interacting, 1)):
        title, _, first, *_ = report(workspace).splitlines()
        assert title.endswith(f"{number} retracted")
        assert first.startswith(f"**Retracted: {number} KEEP")
    assert "none of 3 changes kept" in report(lying)
    assert "**Nothing that was kept holds: a negative result.**" in report(lying)
    summary = report(interacting).split("\n## ")[0]
    assert "001 `learning_rate` `0.0001` -> `0.0004`: the leave-one-out re-test no longer" in summary


def test_a_retracted_keep_is_shown_as_such_and_no_longer_counts(interacting: Workspace) -> None:
    record, found = record_of(interacting), session_figures(record_of(interacting))
    assert [decision.id[-3:] for decision in found.kept] == ["002"]
    assert "### 001 `learning_rate` `0.0001` -> `0.0004` (retracted)" in section(report(interacting), "Kept")
    assert record.incumbent.beta > 0.1
    assert record.incumbent.learning_rate == record.start.learning_rate
    assert [item.knob for item in found.differences] == ["beta"]


def test_each_keep_left_out_is_a_row_with_its_figures(interacting: Workspace) -> None:
    with Ledger(interacting.ledger, read_only=True) as ledger:
        checks = ledger.checks(record_of(interacting).session.id, "leave_one_out")
    told = section(report(interacting), "Checks at the end")
    assert [check.data["verdict"] for check in checks] == ["retracted", "holds"]
    for check in checks:
        effect = check.data["comparison"]["differences"]["lists"]
        row = next(line for line in told.splitlines() if line.startswith(f"| {check.subject[-3:]} "))
        assert f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]" in row
        assert f"{check.data['bound']:+.2f}" in row


def test_the_total_is_the_holdouts(interacting: Workspace) -> None:
    with Ledger(interacting.ledger, read_only=True) as ledger:
        [check] = ledger.checks(record_of(interacting).session.id, "holdout")
    effect = check.data["comparison"]["differences"]["lists"]
    summary, told = report(interacting).split("\n## ")[0], section(report(interacting), "Checks at the end")
    figure = f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]"
    went = f"went {effect['baseline']:.2f} -> {effect['candidate']:.2f} on the holdout prompts"
    assert f"{went}, which no decision used: **{figure}** over 3 fresh pairs" in summary
    assert "**Holdout: holds.**" in told
    assert figure in told


def test_without_a_holdout_the_total_is_the_sum_of_what_was_confirmed(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, holdout_seeds="0")
    workspace = nights.night(tmp_path, text, decisions=2, world=nights.LYING)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        total = sum(row.row["delta"] for row in ledger.decisions("WHERE status = 'KEEP'"))
    summary = report(workspace).split("\n## ")[0]
    assert f"The confirmed effects add up to **{total:+.2f}** in `lists`; the holdout was not measured" in summary
    assert "None was made" in section(report(workspace), "Checks at the end")


def test_calibration_counts_aa_tests_and_their_false_alarms_with_the_exact_interval(loose: Workspace) -> None:
    found = session_figures(record_of(loose)).calibration
    with Ledger(loose.ledger, read_only=True) as ledger:
        rows = ledger.decisions("WHERE turn > 0")
    mine = [row for row in rows if row.reason in ("calibration", "false_alarm")]
    alarms = sum(row.reason == "false_alarm" for row in mine)
    assert alarms >= 1
    assert (found.session.candidates, found.session.alarms) == (len(mine), alarms)
    promised = sum((row.course or {})["account"]["error"] for row in mine)
    assert found.session.promised == pytest.approx(promised)
    interval = binomtest(alarms, len(mine)).proportion_ci(0.95, "exact")
    assert (found.session.low, found.session.high) == pytest.approx((interval.low, interval.high))
    told = section(report(loose), "Calibration")
    assert "at most 49 % of the nights" in told
    assert f"{len(mine)} A/A tests say little" in told
    assert told.count("**false alarm**") == alarms


@pytest.mark.parametrize(("candidates", "alarms"), [(1, 0), (1, 1), (20, 0), (20, 3), (200, 9)])
def test_the_interval_of_a_rate_is_that_of_clopper_and_pearson(candidates: int, alarms: int) -> None:
    found, interval = rate(candidates, alarms), binomtest(alarms, candidates).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_calibration_adds_up_over_all_sessions_of_the_study(tmp_path: Path) -> None:
    for decisions in (3, 2):
        workspace = nights.night(tmp_path, nights.LOOSE, decisions=decisions, world=nights.FLAT, seed=11)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        rows = ledger.decisions("WHERE reason IN ('calibration', 'false_alarm')")
    found = session_figures(record_of(workspace)).calibration
    assert found.study.candidates == len(rows) > found.session.candidates


def test_aa_tests_are_no_changes_no_lane_and_no_proposer(loose: Workspace) -> None:
    found = session_figures(record_of(loose))
    made = [row for row in record_of(loose).decisions if row.turn > 0]
    assert len(found.decisions) + len(found.calibration.candidates) == len(made)
    assert all(decision.lane != "calibration" for decision in found.decisions)
    assert sum(knob.tried for lane in found.searched for knob in lane.knobs) == len(found.decisions)
    assert {item.proposer for item in found.proposers} <= {"optuna"}
    assert "incumbent" not in section(report(loose), "Discarded")


def test_the_error_budget_is_what_each_confirmation_left(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS)
    workspace = nights.night(tmp_path, text, world=nights.SUMMING)
    rows = session_figures(record_of(workspace)).spendings
    assert [(row.status, row.before, row.spent, row.after) for row in rows] == [
        ("KEEP", 0.05, 0.0125, 0.2),
        ("DISCARD", 0.2, 0.05, pytest.approx(0.15)),
    ]
    told = section(report(workspace), "Error budget")
    assert "Left: **0.1500** after 2 confirmations" in told
    assert "error left     0.1500 of 0.2" in status_text(session_status(workspace, None))


def test_an_aa_test_spends_nothing_of_the_night(loose: Workspace) -> None:
    rows = [row for row in session_figures(record_of(loose)).spendings if row.reason in ("calibration", "false_alarm")]
    assert rows
    assert all(row.before == row.after for row in rows)


def test_the_noise_floor_says_what_was_found_chosen_and_why(lying: Workspace) -> None:
    with Ledger(lying.ledger, read_only=True) as ledger:
        [floor] = ledger.checks(record_of(lying).session.id, "floor")
    told = section(report(lying), "Noise floor")
    assert f"a true improvement of **{floor.data['visible']:.2f}** in `lists` has an even chance" in told
    assert "4 answers per prompt: the study's own number of answers." in told
    assert "At most 8 fresh pairs" in told


def test_nothing_is_said_that_is_no_longer_true(lying: Workspace, interacting: Workspace, loose: Workspace) -> None:
    for workspace in (lying, interacting, loose):
        markdown = report(workspace)
        for old in ("optimistic", "expected false", "not corrected for their number", "whole interval above"):
            assert old not in markdown


def test_an_older_ledger_is_reported_by_the_rule_it_was_decided_by(interacting: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(interacting.root, copied.root)
    nights.older(copied)
    markdown = report(copied)
    assert "This session was decided by an older rule" in markdown
    assert "so expect somewhat less" in markdown.split("\n## ")[0]
    for heading in ("Calibration", "Error budget", "Checks at the end"):
        assert f"\n## {heading}\n" not in markdown
    status = session_status(copied, None)
    assert (status["error_left"], status["checks"], status["disguised"]) == (None, {}, 0)


def test_the_recipe_that_stands_is_the_kept_one_whatever_else_its_round_decided(tmp_path: Path) -> None:
    text = nights.governed(nights.KNOBS, round="3", holdout_seeds="0")
    workspace = nights.night(tmp_path, text.replace("learning_rate = 1e-4", "learning_rate = 4e-6"), decisions=3)
    record = record_of(workspace)
    [kept] = [row for row in record.decisions if row.status == "KEEP"]
    assert record.decisions[-1].id != kept.id, "another candidate of the round was decided on after it"
    assert record.incumbent.digest == kept.incumbent
    assert session_status(workspace, None)["incumbent"] == kept.incumbent


def test_a_round_that_was_interrupted_names_all_that_were_in_flight(tmp_path: Path) -> None:
    text = nights.governed(nights.KNOBS, round="3")
    workspace = nights.night(tmp_path, text, decisions=6, stop_after=0)
    record = record_of(workspace)
    assert not record.in_flight
    with Ledger(workspace.ledger) as ledger:
        from dataclasses import replace

        from agent.ledger.tables import ProposalRow

        one = ProposalRow(
            id=f"{record.session.id}-001",
            session=record.session.id,
            turn=1,
            parent=record.start.digest,
            child=record.start.digest,
            lane="hyperparameters",
            knob="beta",
            before=0.1,
            after=0.2,
            hypothesis="more",
            predicted=None,
            proposer="optuna",
            dollars=0.0,
            time=record.session.started,
        )
        ledger.record_proposal(one, record.start)
        ledger.record_proposal(replace(one, id=f"{record.session.id}-002", turn=2, after=0.3), record.start)
    told = status_text(session_status(workspace, None))
    assert told.count("\nin flight ") == 2
    assert "beta 0.1 -> 0.2, beta 0.1 -> 0.3 were proposed and not decided" in report(workspace)


def test_status_counts_retractions_and_aa_tests_apart(lying: Workspace, loose: Workspace) -> None:
    status = session_status(lying, None)
    assert status["decisions"] == {"KEEP": 2, "DISCARD": 1, "CRASH": 0, "RETRACT": 2}
    assert status["incumbent"] == status["start"]
    assert "2 RETRACT" in status_text(status)
    disguised = session_status(loose, None)["disguised"]
    assert f"and {disguised} A/A tests" in status_text(session_status(loose, None))
    assert "RETRACT" not in status_text(session_status(loose, None))
