"""What a report says of the session's own checks: retractions, calibration, the night's error, noise floor, holdout."""

import re
import shutil
from pathlib import Path

import nights
import pytest
from scipy.stats import binomtest

from agent.ledger.store import Ledger
from agent.ledger.tables import ProposalRow
from agent.workspace.folder import Workspace
from testing.simulated_runner import World
from view.data.search.stacks import stacks
from view.data.sections.checks import rate
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord, load_record
from view.markdown import chance, count
from view.report.report import report_markdown
from view.terminal.status import session_status, status_text


def played(folder: Path, text: str, world: World, probes: int, seed: int = 0) -> Workspace:
    return nights.night(folder, text, world=world, probes=probes, seed=seed, step=nights.hasty())


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two KEEPs that the holdout contradicts."""
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    return played(tmp_path_factory.mktemp("lying"), text, nights.LYING, 60)


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two KEEPs, of which one is retracted when it is left out."""
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    return played(tmp_path_factory.mktemp("overlapping"), text, nights.OVERLAPPING, 60)


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return played(tmp_path_factory.mktemp("loose"), nights.LOOSE, nights.FLAT, 80, seed=6)


def record_of(workspace: Workspace) -> SessionRecord:
    return load_record(workspace, None)


def report(workspace: Workspace) -> str:
    return report_markdown(record_of(workspace))


def section(markdown: str, heading: str) -> str:
    return re.split(r"\n## ", markdown.partition(f"\n## {heading}\n")[2])[0]


def test_what_was_retracted_is_said_before_all_else(lying: Workspace, overlapping: Workspace) -> None:
    for workspace, number in ((lying, 2), (overlapping, 1)):
        title, _, first, *_ = report(workspace).splitlines()
        assert title.endswith(f"{number} retracted")
        assert first.startswith(f"**Retracted: {number} KEEP")
    assert "none of 2 changes kept" in report(lying)
    assert "**Nothing that was kept holds: a negative result.**" in report(lying)
    [gone] = session_figures(record_of(overlapping)).retractions
    summary = report(overlapping).split("\n## ")[0]
    assert f"{gone.turn:03d} `{gone.knob}` `{gone.before}` -> `{gone.after}`: left out of the recipe" in summary


def test_a_retracted_keep_is_shown_as_such_and_no_longer_counts(overlapping: Workspace) -> None:
    record, found = record_of(overlapping), session_figures(record_of(overlapping))
    [gone], [stands] = found.retractions, found.kept
    assert gone.kept != stands.id
    [stack] = found.standing_stacks
    assert stack.standing == (stands,)
    assert len(stack.members) == 2
    told = section(report(overlapping), "Kept")
    assert f"`{gone.before}` -> `{gone.after}` **(retracted)**" in told
    assert f"{gone.turn:03d} was **retracted at the end:**" in told
    assert "2 changes together, of which these stand, are worth" in report(overlapping).split("\n## ")[0]
    assert [item.knob for item in found.differences] == [stands.knob]
    assert getattr(record.incumbent, gone.knob) == getattr(record.start, gone.knob)


def test_each_keep_left_out_is_a_row_with_its_figures(overlapping: Workspace) -> None:
    with Ledger(overlapping.ledger, read_only=True) as ledger:
        checks = ledger.checks(record_of(overlapping).session.id, "leave_one_out")
    told = section(report(overlapping), "Checks at the end")
    assert sorted(check.data["verdict"] for check in checks) in (["holds", "retracted"], ["retracted", "superseded"])
    for check in checks:
        row = next(line for line in told.splitlines() if line.startswith(f"| {check.subject[-3:]} "))
        assert check.data["verdict"] in row
        if "comparison" in check.data:
            effect = check.data["comparison"]["differences"]["lists"]
            assert f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]" in row
            assert f"{check.data['effect']:+.2f}" in row
            assert chance(check.data["chance"]) in row


def test_the_total_is_the_holdouts(overlapping: Workspace) -> None:
    with Ledger(overlapping.ledger, read_only=True) as ledger:
        [check] = ledger.checks(record_of(overlapping).session.id, "holdout")
    effect = check.data["comparison"]["differences"]["lists"]
    summary, told = report(overlapping).split("\n## ")[0], section(report(overlapping), "Checks at the end")
    figure = f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]"
    went = f"went {effect['baseline']:.2f} -> {effect['candidate']:.2f} on the holdout prompts"
    assert f"{went}, which no decision used: **{figure}** over 3 fresh pairs" in summary
    assert "**Holdout: holds.**" in told
    assert figure in told


def test_without_a_holdout_the_total_is_what_was_confirmed(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, holdout_seeds="0", member_chance="0.52")
    workspace = played(tmp_path, text, nights.LYING, 60)
    stacks = session_figures(record_of(workspace)).standing_stacks
    summary = report(workspace).split("\n## ")[0]
    if len(stacks) > 1:
        total = sum(stack.effect.delta for stack in stacks if stack.effect)
        assert f"The confirmed effects add up to **{total:+.2f}** in `lists`; the holdout was not measured" in summary
    else:
        assert "This is the total; the holdout was not measured" in summary
    assert "None was made" in section(report(workspace), "Checks at the end")


@pytest.mark.long
def test_calibration_counts_aa_tests_and_their_false_alarms_with_the_exact_interval(loose: Workspace) -> None:
    found = session_figures(record_of(loose)).calibration
    with Ledger(loose.ledger, read_only=True) as ledger:
        rows = ledger.decisions("WHERE turn > 0")
    mine = [row for row in rows if row.reason in ("calibration", "false_alarm")]
    alarms = sum(row.reason == "false_alarm" for row in mine)
    assert alarms >= 1
    assert (found.session.candidates, found.session.alarms) == (len(mine), alarms)
    promised = sum(row.basis.stack.given.error for row in mine if row.basis and row.basis.stack)
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


@pytest.mark.long
def test_calibration_adds_up_over_all_sessions_of_the_study(tmp_path: Path) -> None:
    for _ in range(2):
        workspace = played(tmp_path, nights.LOOSE, nights.FLAT, 60, seed=6)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        rows = ledger.decisions("WHERE reason IN ('calibration', 'false_alarm')")
    found = session_figures(record_of(workspace)).calibration
    assert found.study.candidates == len(rows) > found.session.candidates > 0


def test_aa_tests_are_no_changes_no_lane_and_no_proposer(loose: Workspace) -> None:
    record = record_of(loose)
    found, made = session_figures(record), [row for row in record.decisions if row.turn > 0]
    assert len(found.decisions) + len(found.calibration.candidates) == len(made)
    assert all(decision.lane != "calibration" for decision in found.decisions)
    changed = [row for row in made if row.reason not in ("calibration", "false_alarm")]
    recipes = {(record.proposals[row.id].knob, record.proposals[row.id].child) for row in changed}
    assert sum(knob.tried for lane in found.searched for knob in lane.knobs) == len(recipes)
    assert {item.proposer for item in found.proposers} <= {"optuna", "factorial", "thompson"}
    assert "`incumbent`" not in section(report(loose), "Tried and not kept")
    assert not any(
        one.number == stack.number for one in found.stacks for stack in stacks(record_of(loose)) if stack.is_aa_test
    )


def test_the_error_budget_is_what_each_confirmation_left(lying: Workspace, loose: Workspace) -> None:
    for workspace in (lying, loose):
        rows = session_figures(record_of(workspace)).spendings
        told = section(report(workspace), "Error budget")
        assert rows
        for row in rows:
            assert row.after == (0.2 if row.status == "KEEP" else pytest.approx(row.before - row.spent))
            assert f" {row.before:.4f} |" in told
        confirmed = len([row for row in rows if not row.is_aa_test])
        assert f"Left: **{rows[-1].after:.4f}** after {count(confirmed, 'confirmation')}" in told
        assert f"error left     {rows[-1].after:.4f} of " in status_text(session_status(workspace, None))


def test_an_aa_test_spends_nothing_of_the_night(loose: Workspace) -> None:
    rows = [row for row in session_figures(record_of(loose)).spendings if row.is_aa_test]
    assert rows
    assert all((row.before, row.spent) == (row.after, 0.0) for row in rows)
    assert section(report(loose), "Error budget").count(" A/A test |") == len(rows)


def test_the_noise_floor_says_what_was_found_chosen_and_why(lying: Workspace) -> None:
    with Ledger(lying.ledger, read_only=True) as ledger:
        [floor] = ledger.checks(record_of(lying).session.id, "floor")
    told = section(report(lying), "Noise floor")
    assert f"worth **{floor.data['visible']:.2f}** in `lists` have a chance of 50 %" in told
    assert "4 answers per prompt: the study's own number of answers." in told


def test_nothing_is_said_that_is_no_longer_true(lying: Workspace, overlapping: Workspace, loose: Workspace) -> None:
    for workspace in (lying, overlapping, loose):
        markdown = report(workspace)
        for old in ("screening", "Survey", "candidate of its round", "after shrinking", "whole interval above"):
            assert old not in markdown


def test_an_older_ledger_is_reported_by_the_rule_it_was_decided_by(overlapping: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(overlapping.root, copied.root)
    nights.older(copied)
    markdown = report(copied)
    assert "This session was decided by an older rule" in markdown
    assert "so expect somewhat less" in markdown.split("\n## ")[0]
    for heading in ("Calibration", "Error budget", "Checks at the end"):
        assert f"\n## {heading}\n" not in markdown
    status = session_status(copied, None)
    assert (status["error_left"], status["checks"], status["disguised"]) == (None, {}, 0)


def test_what_was_proposed_and_never_measured_is_named(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.governed(nights.TWO_KNOBS), probes=40, stop_after=0)
    record = record_of(workspace)
    with Ledger(workspace.ledger) as ledger:
        for turn in range(1, 9):
            value = round(0.1 + turn / 10, 1)
            ledger.record_proposal(_proposal(record, turn, value), record.start)
    told = report(workspace)
    assert "beta 0.1 -> 0.2, beta 0.1 -> 0.3" in told
    assert "and 3 more were proposed and not decided" in told
    assert "8 changes not decided yet" in status_text(session_status(workspace, None))


def _proposal(record: SessionRecord, turn: int, value: float) -> ProposalRow:
    return ProposalRow(
        id=f"{record.session.id}-{turn:03d}",
        session=record.session.id,
        turn=turn,
        parent=record.start.digest,
        child=record.start.digest,
        lane="hyperparameters",
        knob="beta",
        before=0.1,
        after=value,
        hypothesis="more",
        predicted=None,
        proposer="optuna",
        dollars=0.0,
        time=record.session.started,
    )


def test_status_counts_retractions_and_aa_tests_apart(lying: Workspace, loose: Workspace) -> None:
    status = session_status(lying, None)
    assert status["decisions"] == {"KEEP": 2, "DISCARD": 0, "CRASH": 0, "RETRACT": 2}
    assert status["incumbent"] == status["start"]
    assert "2 RETRACT" in status_text(status)
    disguised = session_status(loose, None)["disguised"]
    assert f"and {disguised} A/A tests" in status_text(session_status(loose, None))
    assert "RETRACT" not in status_text(session_status(loose, None))
