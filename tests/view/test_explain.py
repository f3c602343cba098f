"""nightlane explain: the figures of a decision, recomputed here, and what would have changed it."""

import json
import math
import re
import shutil
from pathlib import Path
from statistics import fmean

import nights
import pytest
from scipy.stats import t
from typer.testing import CliRunner

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.policy.alpha_spending import levels
from agent.workspace.folder import Workspace
from cli.main import app
from common.errors import BadInput
from view.data.session_record import load_record
from view.explain.counterfactuals import least
from view.explain.decision_inputs import case_of, hope
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
    """Candidates in disguise, false alarms among them, all of them confirmed."""
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


def test_screening_and_confirmation_share_no_seed_and_a_disguise_has_its_own(loose: Night) -> None:
    workspace, rows = loose
    disguised = [name for name, row in rows.items() if row.reason in ("calibration", "false_alarm")]
    assert disguised
    for name in disguised:
        found = explain(workspace, name)
        assert found.disguised
        assert all(one.seed != one.candidate_seed for one in found.replicates)
        assert len({one.seed for one in found.replicates}) == len(found.replicates)


def test_a_keep_tells_its_bound_its_budget_and_how_much_it_had_to_spare(summing: Night) -> None:
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
    assert figure(said, r"The target had ([\d.]+) points to spare") == pytest.approx(bound, abs=0.006)
    assert found.estimate is not None
    assert found.estimate.shrunk == row.row["shrunk"]
    assert figure(said, r"shrunk +([+-][\d.]+):") == pytest.approx(row.row["shrunk"], abs=0.006)
    assert f"policy {row.policy['digest']}" in said


def test_less_error_of_the_night_than_a_keep_needed_would_not_have_shown_it(summing: Night) -> None:
    workspace, rows = summing
    row, found = rows["001"], explain(workspace, "001")
    said = next(text for text in found.otherwise if "error of the night below" in text)
    night = figure(said, r"below ([\d.e-]+) instead")
    effect = (row.comparison or {})["differences"]["lists"]
    for times, shown in ((0.5, False), (2.0, True)):
        level = levels(night * times * 0.25, 8, 2)[found.looks[-1]["pairs"] - 2]
        assert (effect["delta"] > t.ppf(1 - level, effect["freedom"]) * effect["standard_error"]) == shown


def test_a_sum_over_keeps_says_what_the_guard_lacked_and_the_margin_that_would_do(summing: Night) -> None:
    workspace, rows = summing
    assert rows["002"].reason == "cumulative:arithmetic"
    first, second = (rows[name].course or {} for name in ("001", "002"))
    kept = first["account"]["confirmation"]["arithmetic"]
    own = second["account"]["confirmation"]["arithmetic"]
    error = math.hypot(kept["standard_error"], own["standard_error"])
    level = levels(0.05, 8, 2)[second["account"]["confirming_seeds"] - 2]
    bound = kept["delta"] + own["delta"] - t.ppf(1 - level, own["freedom"]) * error
    said = " ".join(explain(workspace, "002").otherwise)
    assert figure(said, r"lacked ([\d.]+) points in the bound of the sum") == pytest.approx(-1.5 - bound, abs=0.006)
    assert figure(said, r"a margin above ([\d.]+) instead of 1.5") == pytest.approx(-bound, abs=0.006)


def test_a_guard_that_ends_a_candidate_is_named_first_with_the_change_that_would_have_gone_on(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.governed(nights.TWO_KNOBS), decisions=1, world=nights.TRAP)
    assert rows["001"].reason == "guard:arithmetic"
    told = explain(workspace, "001").otherwise[0]
    assert told.startswith("It would have gone on with `arithmetic` changed by")
    record = load_record(workspace, None)
    case = case_of(record, record.decided[0])
    assert case is not None
    assert hope(case) == pytest.approx(case.chance, abs=1e-9)
    needed = figure(told, r"changed by ([+-][\d.]+) instead")
    assert hope(case, "arithmetic", needed + 0.01) >= 0.25 > hope(case, "arithmetic", needed - 0.01)


def test_an_unpromising_candidate_says_the_effect_that_would_have_gone_on(crowded: Night) -> None:
    workspace = crowded[0]
    record = load_record(workspace, None)
    asked = [row for row in record.decided if row.reason == "unpromising"]
    assert asked
    for row in asked:
        case = case_of(record, row)
        assert case is not None
        assert hope(case) == pytest.approx(case.chance, abs=1e-9), "what the rule foresaw is foreseen again"
        said = explain(workspace, row.id).otherwise[0]
        needed = figure(said, r"an effect of ([+-][\d.]+) instead of")
        assert hope(case, "lists", needed + 0.01) >= 0.25 > hope(case, "lists", needed - 0.01)


def test_an_unconfirmed_candidate_says_the_effect_and_the_error_that_would_have_done(loose: Night) -> None:
    workspace, rows = loose
    name = next(name for name, row in rows.items() if row.reason in ("unconfirmed", "calibration"))
    row, found = rows[name], explain(workspace, name)
    effect, look = (row.comparison or {})["differences"]["lists"], found.looks[-1]
    said = " ".join(found.otherwise)
    needed = figure(said, r"with an effect of ([+-][\d.]+) instead of")
    quantile = t.ppf(1 - look["level"], effect["freedom"])
    assert needed == pytest.approx(quantile * effect["standard_error"], abs=0.006)
    assert "error of the night" in said


def test_an_overtaken_candidate_names_the_one_that_came_first_and_what_became_of_it(crowded: Night) -> None:
    workspace, rows = crowded
    overtaken = [name for name, row in rows.items() if row.reason == "overtaken"]
    kept = [name for name, row in rows.items() if row.status == "KEEP"]
    assert overtaken
    again = load_record(workspace, None).proposals.values()
    for name in overtaken:
        first, second = explain(workspace, name).otherwise
        assert figure(first, r"had (\d{3}) not been kept first") in [float(one) for one in kept]
        asked = [row.id[-3:] for row in again if row.proposer == f"retest of {name}"]
        assert ("not proposed again" in second) != bool(asked)
        assert all(f"as {number}:" in second for number in asked)


def test_a_false_alarm_is_said_to_be_one(loose: Night) -> None:
    workspace, rows = loose
    name = next(name for name, row in rows.items() if row.reason == "false_alarm")
    found = explain(workspace, name)
    assert found.status == "DISCARD"
    assert "by chance alone" in found.otherwise[0]
    assert "a candidate in disguise spends nothing of it" in explain_text(found)


def test_a_retraction_on_the_holdout_says_by_how_much(lying: Night) -> None:
    workspace, rows = lying
    found = explain(workspace, "001-retract")
    effect = (rows["001-retract"].comparison or {})["differences"]["lists"]
    assert found.reason == "holdout"
    assert f"{effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]" in explain_text(found)
    needed = figure(found.otherwise[0], r"an effect above ([+-][\d.]+) instead of")
    assert needed - effect["delta"] == pytest.approx(-effect["high"], abs=0.006)


def test_a_keep_that_was_left_out_says_what_re_test_would_have_held(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.governed(nights.TWO_KNOBS), decisions=2, world=nights.INTERACTING)
    assert rows["001-retract"].reason == "leave_one_out"
    confirmed = (rows["001"].course or {})["account"]["confirmation"]["lists"]
    pairs = (rows["001"].course or {})["account"]["confirming_seeds"]
    again = (rows["001-retract"].comparison or {})["differences"]["lists"]
    found = explain(workspace, "001-retract")
    needed = figure(found.otherwise[0], r"an effect above ([+-][\d.]+) instead of")
    error = math.hypot(confirmed["standard_error"] * pairs, again["standard_error"] * 3)
    bound = confirmed["delta"] * pairs + needed * 3 - t.ppf(0.975, again["freedom"]) * error
    assert bound / (pairs + 3) == pytest.approx(0, abs=0.01)
    assert "what stood with it against the same without it" in explain_text(found)


def test_a_crash_and_a_baseline_have_an_explanation(tmp_path: Path) -> None:
    workspace, rows = made(tmp_path, nights.CRASHING)
    crash = next(name for name, row in rows.items() if row.status == "CRASH")
    assert "the recipe itself failed" in explain_text(explain(workspace, crash))
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
    older(copied)
    found = explain(copied, "001")
    assert (found.looks, found.replicates, found.spending) == ((), (), None)
    row = summing[1]["001"].row
    assert f"which it had by {row['ci_low']:.2f} points" in found.otherwise[0]


def older(workspace: Workspace) -> None:
    """A ledger from before decisions had a course, sessions checks, and rows checksums."""
    import sqlite3

    database = sqlite3.connect(workspace.ledger)
    with database:
        database.execute("DROP TABLE row_digests")
        database.execute("ALTER TABLE decisions DROP COLUMN course")
        database.execute("DROP TABLE checks")
        policy = json.dumps(
            {"confidence": 0.95, "smallest_effect": 0.0, "target": "lists", "guards": {"arithmetic": 1.5}}
        )
        database.execute("UPDATE decisions SET policy = ?", (policy,))
        database.execute("DELETE FROM decisions WHERE status = 'RETRACT'")
    database.close()


def test_every_decision_of_every_night_has_text_of_readable_lines_and_json(
    summing: Night, lying: Night, loose: Night, crowded: Night
) -> None:
    for workspace, rows in (summing, lying, loose, crowded):
        for name, row in rows.items():
            found: Explanation = explain(workspace, row.id)
            assert found == explain(workspace, name)
            assert max(map(len, explain_text(found).splitlines())) <= 120
            assert bool(found.otherwise) == (row.turn != 0)
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
    assert "WHAT WOULD HAVE CHANGED IT" in said.stdout
    data = json.loads(CliRunner().invoke(app, ["explain", "001", "--json", *where]).stdout)
    assert data["status"] == "KEEP"


def test_the_least_value_that_passes_is_found_or_none() -> None:
    assert least(lambda value: value > 0.3, 0, 1) == pytest.approx(0.3)
    assert least(lambda value: value > 2, 0, 1) is None
