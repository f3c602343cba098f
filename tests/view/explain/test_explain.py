"""nightlane explain: the figures of a decision, recomputed here, and the thresholds that decided."""

import json
import math
import re
import shutil
import sqlite3
from pathlib import Path
from statistics import fmean

import nights
import pytest
from scipy.stats import t
from typer.testing import CliRunner

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.policy.alpha_spending import levels
from agent.policy.session_statistics import Account, account_from, known
from agent.workspace.folder import Workspace
from cli.main import app
from common.errors import BadInput
from view.data.session_record import load_record
from view.explain.criteria import Criterion
from view.explain.explanation import Explanation, explain, explain_data
from view.explain.text import explain_text

Night = tuple[Workspace, dict[str, DecisionRow]]


def made(folder: Path, *asked: object, **more: object) -> Night:
    workspace = nights.night(folder, *asked, **more)  # type: ignore[arg-type]
    with Ledger(workspace.ledger, read_only=True) as ledger:
        rows = ledger.decisions()
    return workspace, {row.id.removeprefix(f"{row.session}-"): row for row in rows}


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A KEEP, and a change that would sum up with it to more than a guard's margin."""
    return made(tmp_path_factory.mktemp("summing"), nights.governed(nights.TWO_KNOBS), world=nights.SUMMING)


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return made(tmp_path_factory.mktemp("lying"), nights.governed(nights.TWO_KNOBS), world=nights.LYING)


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A/A tests, false alarms among them, all of them confirmed."""
    return made(tmp_path_factory.mktemp("loose"), nights.LOOSE, world=nights.FLAT, seed=11)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Rounds of three."""
    text = nights.governed(nights.KNOBS, round="3").replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    return made(tmp_path_factory.mktemp("crowded"), text, decisions=9)


def figure(said: str, pattern: str) -> float:
    found = re.search(pattern, said)
    assert found, (pattern, said)
    return float(found[1])


def test_the_replicates_are_the_pairs_whose_mean_was_pooled(summing: Night, loose: Night, crowded: Night) -> None:
    for workspace, rows in (summing, loose, crowded):
        for name, row in rows.items():
            if row.turn == 0 or not row.course:
                continue
            found = explain(workspace, name)
            for stage in {look["stage"] for look in found.looks} - {"expectation"}:
                last = [look for look in found.looks if look["stage"] == stage][-1]
                own = [one for one in found.replicates if one.stage == stage]
                assert len(own) == last["pairs"]
                assert fmean(one.difference for one in own if one.difference is not None) == pytest.approx(
                    last["delta"]
                )
            deciding = [one.seed for one in found.replicates if one.stage == found.looks[-1]["stage"]]
            if found.looks[-1]["stage"] == "expectation":
                assert (row.reason, row.comparison, found.replicates) == ("overtaken", None, ())
                continue
            assert row.comparison is not None
            assert sorted(deciding) == list(row.comparison["seeds"])


def test_screening_and_confirmation_share_no_seed_and_an_aa_test_has_its_own(loose: Night) -> None:
    workspace, rows = loose
    aa_tests = [name for name, row in rows.items() if row.reason in ("calibration", "false_alarm")]
    assert aa_tests
    for name in aa_tests:
        found = explain(workspace, name)
        assert found.is_aa_test
        assert all(one.seed != one.candidate_seed for one in found.replicates)
        assert len({one.seed for one in found.replicates}) == len(found.replicates)


def test_a_keep_tells_its_bound_its_budget_and_what_it_was_tested_against(summing: Night) -> None:
    workspace, rows = summing
    row, found = rows["001"], explain(workspace, "1")
    assert row.comparison is not None
    effect, look = row.comparison["differences"]["lists"], found.looks[-1]
    level = levels(0.0125, 8, 2)[look["pairs"] - 2]
    bound = effect["delta"] - t.ppf(1 - level, effect["freedom"]) * effect["standard_error"]
    assert look["bound"] == pytest.approx(bound)
    assert found.spending is not None
    assert (found.spending.before, found.spending.spent, found.spending.after) == (0.05, 0.0125, 0.2)
    said = explain_text(found)
    assert f"001 KEEP improved: {'a confirmation on fresh seeds'}" in said
    assert figure(said, r"lower bound of the target +([+-][\d.]+) +[+]0.00  yes") == pytest.approx(bound, abs=0.006)
    assert found.estimate is not None
    assert found.estimate.shrunk == row.row["shrunk"]
    assert figure(said, r"shrunk +([+-][\d.]+):") == pytest.approx(row.row["shrunk"], abs=0.006)
    assert f"policy {row.policy['digest']}" in said


def test_what_the_rule_was_given_is_stored_and_is_what_the_decisions_before_teach(summing: Night, loose: Night) -> None:
    for workspace, _ in (summing, loose):
        record, accounts = load_record(workspace, None), list[Account]()
        for decision in (row for row in record.decisions if row.turn > 0 and row.course):
            taught = known(accounts, {}, "lists", record.study.file.policy, record.study.guards)
            found = explain(workspace, decision.id)
            assert found.given is not None
            given = found.given["screening"]
            assert given["error_left"] == pytest.approx(taught.error_left)
            assert given["effect_deviation"] == pytest.approx(taught.effect_variance**0.5)
            sums = {name: taught.cumulative[name][0] for name in given["guards"]}
            assert {name: change for name, (change, _) in given["guards"].items()} == pytest.approx(sums)
            if found.spending is not None:
                confirmed = found.given["confirmation"]
                assert (confirmed["error_left"], confirmed["error"]) == (found.spending.before, found.spending.spent)
            assert f"error left {given['error_left']:.4g}, of which a confirmation spends" in explain_text(found)
            accounts.append(account_from((decision.course or {})["account"]))
        assert accounts


def test_a_ledger_that_did_not_store_what_the_rule_was_given_says_so(summing: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(summing[0].root, copied.root)
    database = sqlite3.connect(copied.ledger)
    with database:
        database.execute("DROP TABLE row_digests")
        database.execute("UPDATE decisions SET course = json_remove(course, '$.given') WHERE course IS NOT NULL")
    database.close()
    found = explain(copied, "001")
    assert found.given is None
    assert found.criteria == explain(summing[0], "001").criteria
    assert "Not stored: an older version" in explain_text(found)


def test_a_sum_over_keeps_is_told_beside_the_margin_that_it_went_past(summing: Night) -> None:
    workspace, rows = summing
    assert rows["002"].reason == "cumulative:arithmetic"
    first, second = (rows[name].course or {} for name in ("001", "002"))
    kept = first["account"]["confirmation"]["arithmetic"]
    own = second["account"]["confirmation"]["arithmetic"]
    error = math.hypot(kept["standard_error"], own["standard_error"])
    level = levels(0.05, 8, 2)[second["account"]["confirming_seeds"] - 2]
    bound = kept["delta"] + own["delta"] - t.ppf(1 - level, own["freedom"]) * error
    failed = [one for one in explain(workspace, "002").criteria if not one.met and one.unit == "points"]
    assert [one.figure for one in failed] == ["the same of all KEEPs and this, guard arithmetic"]
    assert failed[0].value == pytest.approx(bound)
    assert failed[0].threshold == -1.5


def test_a_guard_that_ends_a_candidate_in_screening_leaves_it_too_small_a_chance(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.governed(nights.TWO_KNOBS), decisions=1, world=nights.TRAP)
    assert rows["001"].reason == "guard:arithmetic"
    found = explain(workspace, "001")
    chance = Criterion("chance to be kept in the end", found.looks[-1]["chance"], 0.25, "chance")
    assert found.criteria == (chance,)
    assert not chance.met
    assert not found.guards[0].holds


def test_an_unpromising_candidate_says_its_chance_and_the_one_it_needed(crowded: Night) -> None:
    workspace = crowded[0]
    asked = [row for row in load_record(workspace, None).decisions_on_changes if row.reason == "unpromising"]
    assert asked
    for row in asked:
        (chance,) = explain(workspace, row.id).criteria
        assert chance.value < chance.threshold == 0.25
        assert not chance.met


def test_an_unconfirmed_candidate_says_the_bound_that_was_too_low(loose: Night) -> None:
    workspace, rows = loose
    name = next(name for name, row in rows.items() if row.reason in ("unconfirmed", "calibration"))
    row, found = rows[name], explain(workspace, name)
    effect, look = (row.comparison or {})["differences"]["lists"], found.looks[-1]
    quantile = t.ppf(1 - look["level"], effect["freedom"])
    bound = found.criteria[0]
    assert bound.figure == "lower bound of the target"
    assert bound.value == pytest.approx(effect["delta"] - quantile * effect["standard_error"])
    assert not bound.met


def test_an_overtaken_candidate_names_the_one_that_came_first_and_what_became_of_it(crowded: Night) -> None:
    workspace, rows = crowded
    overtaken = [name for name, row in rows.items() if row.reason == "overtaken"]
    kept = [name for name, row in rows.items() if row.status == "KEEP"]
    assert overtaken
    again = load_record(workspace, None).proposals.values()
    for name in overtaken:
        first, second = explain(workspace, name).notes
        assert figure(first, r"(\d{3}) of the same round") in [float(one) for one in kept]
        asked = [row.id[-3:] for row in again if row.proposer == f"retest of {name}"]
        assert ("not proposed again" in second) != bool(asked)
        assert all(f"as {number}:" in second for number in asked)


def test_a_false_alarm_is_said_to_be_one(loose: Night) -> None:
    workspace, rows = loose
    name = next(name for name, row in rows.items() if row.reason == "false_alarm")
    found = explain(workspace, name)
    assert found.status == "DISCARD"
    assert "by chance alone" in found.notes[0]
    assert "an A/A test spends nothing of it" in explain_text(found)


def test_a_retraction_on_the_holdout_says_the_end_of_the_interval(lying: Night) -> None:
    workspace, rows = lying
    found = explain(workspace, "001-retract")
    effect = (rows["001-retract"].comparison or {})["differences"]["lists"]
    assert found.reason == "holdout"
    assert f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]" in explain_text(found)
    assert [(one.value, one.threshold, one.met) for one in found.criteria] == [(effect["high"], 0.0, False)]


def test_a_keep_that_was_left_out_says_the_bound_of_both_tests_together(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.governed(nights.TWO_KNOBS), decisions=2, world=nights.INTERACTING)
    assert rows["001-retract"].reason == "leave_one_out"
    confirmed = (rows["001"].course or {})["account"]["confirmation"]["lists"]
    pairs = (rows["001"].course or {})["account"]["confirming_seeds"]
    again = (rows["001-retract"].comparison or {})["differences"]["lists"]
    found = explain(workspace, "001-retract")
    error = math.hypot(confirmed["standard_error"] * pairs, again["standard_error"] * 3)
    bound = confirmed["delta"] * pairs + again["delta"] * 3 - t.ppf(0.975, again["freedom"]) * error
    assert found.criteria[0].value == pytest.approx(bound / (pairs + 3))
    assert not found.criteria[0].met
    assert "the incumbent with this KEEP against the same recipe without it" in explain_text(found)


def test_a_crash_and_a_baseline_have_an_explanation(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.CRASHING)
    crash = next(name for name, row in rows.items() if row.status == "CRASH")
    assert "The recipe itself failed" in explain_text(explain(workspace, crash))
    assert "has an even chance to be confirmed" in explain_text(explain(workspace, "baseline"))


def test_replicates_whose_directories_are_gone_are_said_to_be(summing: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(summing[0].root, copied.root)
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    found = explain(copied, "001")
    assert {one.difference for one in found.replicates} == {None}
    assert "gone" in explain_text(found)


def test_an_older_ledgers_decision_is_explained_by_its_interval(summing: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(summing[0].root, copied.root)
    nights.older(copied)
    found = explain(copied, "001")
    assert (found.looks, found.replicates, found.spending) == ((), (), None)
    row = summing[1]["001"].row
    assert (found.criteria[0].value, found.criteria[0].threshold) == (row["ci_low"], 0.0)


def test_every_decision_of_every_night_has_text_of_readable_lines_and_json(
    summing: Night, lying: Night, loose: Night, crowded: Night
) -> None:
    for workspace, rows in (summing, lying, loose, crowded):
        for name, row in rows.items():
            found: Explanation = explain(workspace, row.id)
            assert found == explain(workspace, name)
            assert max(map(len, explain_text(found).splitlines())) <= 120
            assert bool(found.criteria or found.notes) == (row.turn != 0)
            data = explain_data(found)
            assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.parametrize(
    ("asked", "near"), [("77", "001"), ("001-retrakt", "001-retract"), ("basline", "baseline"), ("nothing", "002")]
)
def test_an_unknown_id_is_one_sentence_with_the_nearest_and_exit_2(lying: Night, asked: str, near: str) -> None:
    with pytest.raises(BadInput, match=f"there is no decision '{asked}'") as refused:
        explain(lying[0], asked)
    assert near in str(refused.value)
    assert refused.value.exit_code == 2


def test_the_command_prints_text_or_json(summing: Night) -> None:
    where = ["--workspace", str(summing[0].root)]
    said = CliRunner().invoke(app, ["explain", "001", *where])
    assert said.exit_code == 0
    assert "WHAT DECIDED" in said.stdout
    data = json.loads(CliRunner().invoke(app, ["explain", "001", "--json", *where]).stdout)
    assert data["status"] == "KEEP"
