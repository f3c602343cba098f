"""nightlane explain: the figures of a decision and of a stack, recomputed here, and the thresholds that decided."""

import json
import math
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import nights
import pytest
from scipy.stats import norm, t
from typer.testing import CliRunner

from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, WAVE, CheckRow, DecisionRow, ProbeRow
from agent.policy.alpha_spending import levels
from agent.policy.decision_basis import ConfirmationRecord
from agent.workspace.folder import Workspace
from cli.main import app
from common.errors import BadInput
from probes.inputs import material
from probes.result.reading import Reading
from probes.run.store import ProbeStore
from view.explain.explanation import Explanation, explain, explain_data
from view.explain.stack import StackExplanation
from view.explain.text import explain_text

explained = cache(explain)
"""Of a night that has ended."""


@dataclass(frozen=True)
class Night:
    """A session as its ledger has it; ``rows``: decisions by their short names."""

    workspace: Workspace
    rows: dict[str, DecisionRow]
    checks: list[CheckRow]
    probes: list[ProbeRow]

    def named(self, *reasons: str) -> list[str]:
        found = [name for name, row in self.rows.items() if row.reason in reasons]
        assert found, (reasons, [row.reason for row in self.rows.values()])
        return found

    def row(self, name: str) -> Explanation:
        found = explained(self.workspace, name)
        assert isinstance(found, Explanation)
        return found

    def stack(self, number: int) -> StackExplanation:
        found = explained(self.workspace, f"stack-{number}")
        assert isinstance(found, StackExplanation)
        return found

    def said(self, name: str) -> str:
        return explain_text(explained(self.workspace, name))

    def confirmed(self) -> dict[int, ConfirmationRecord]:
        """The stacks that were decided on, by the ledger."""
        confirmed = [row.basis.stack for row in self.rows.values() if row.basis]
        return {basis.number: basis for basis in confirmed if basis}

    def mean(self, recipe: str, seed: int) -> float:
        """The mean score in the target, from the probe's own file."""
        (row,) = (row for row in self.probes if (row.recipe, row.seed, row.kind) == (recipe, seed, "reading"))
        reading = ProbeStore(self.workspace.runs).read(row.id)
        assert isinstance(reading, Reading)
        return fmean(score.value for score in reading.scores if score.category == "lists")

    def recipes(self, kind: str, number: int) -> list[dict[str, object]]:
        (check,) = (check for check in self.checks if (check.kind, check.subject) == (kind, str(number)))
        return list(check.data["recipes"])


def played(folder: Path, text: str, pairs: int = 6, **more: object) -> Night:
    workspace = nights.night(folder, text, 8, step=nights.hasty(pairs=pairs), **more)  # type: ignore[arg-type]
    with Ledger(workspace.ledger, read_only=True) as ledger:
        session = ledger.sessions()[-1]
        rows = {row.id.removeprefix(f"{session}-"): row for row in ledger.decisions()}
        return Night(workspace, rows, ledger.checks(session), ledger.probes(session))


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A stack of two that is kept, A/A tests, changes that do nothing, a learning rate that diverges."""
    text = nights.governed(nights.MANY_KNOBS, disguised="0.4", member_chance="0.8")
    return played(tmp_path_factory.mktemp("helped"), text, world=nights.HELPING, seed=5, probes=70)


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Nothing has an effect: stacks that are not confirmed, and A/A tests, some of which the rule would keep. The
    simulated noise depends on the digests of code and scorer, so that they are fixed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "code_digest", lambda: "fixed")
        patch.setattr(material, "scorer_digest", lambda settings, folder: "fixed")
        return played(tmp_path_factory.mktemp("loose"), nights.LOOSE, 4, world=nights.FLAT, seed=4, probes=90)


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A stack of two that the holdout takes back."""
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    return played(tmp_path_factory.mktemp("lying"), text, world=nights.LYING, probes=40)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Two stacks of one change each, both kept; a change that has to wait for the second."""
    text = nights.governed(nights.TWO_KNOBS, confirm='"single"')
    return played(tmp_path_factory.mktemp("single"), text, world=nights.ADDING, probes=60)


def figure(said: str, pattern: str) -> float:
    found = re.search(pattern, said)
    assert found, (pattern, said)
    return float(found[1])


# a stack


def test_replicates_are_the_pairs_on_disk_and_their_mean_is_what_the_last_look_saw(
    helped: Night, loose: Night, lying: Night, single: Night
) -> None:
    for night in (helped, loose, lying, single):
        for number, confirmed in night.confirmed().items():
            found = night.stack(number)
            mine = [night.mean(found.recipe, one.candidate_seed) for one in found.replicates]
            theirs = [night.mean(found.stood, one.seed) for one in found.replicates]
            assert [one.candidate for one in found.replicates] == pytest.approx(mine)
            assert [one.baseline for one in found.replicates] == pytest.approx(theirs)
            differences = [one - other for one, other in zip(mine, theirs, strict=True)]
            assert [one.difference for one in found.replicates] == pytest.approx(differences)
            for look in found.looks:
                assert look.delta == pytest.approx(fmean(differences[: look.pairs]))
            assert len(found.replicates) == found.pairs == confirmed.looks[-1].pairs
            assert found.effect is not None
            assert found.effect.delta == pytest.approx(fmean(mine) - fmean(theirs))


def test_bounds_are_those_of_student_at_the_level_of_their_look(helped: Night, single: Night) -> None:
    for night in (helped, single):
        for number, confirmed in night.confirmed().items():
            found = night.stack(number)
            spent = levels(confirmed.given.error, confirmed.given.pairs, confirmed.given.first)
            for place, look in enumerate(found.looks):
                alone, known = look.pairs - 1, confirmed.given.spreads["lists"].freedom
                assert look.level == pytest.approx(spent[place])
                bounds = [
                    look.delta - t.ppf(1 - look.level, freedom) * look.standard_error
                    for freedom in (alone, alone + known)
                ]
                assert look.bound in [pytest.approx(bound) for bound in bounds]


def test_a_kept_stack_says_its_members_its_bounds_and_the_budget_that_it_began(helped: Night) -> None:
    kept = helped.named("improved")
    found, said = helped.stack(1), helped.said("stack-1")
    assert [one.id.rpartition("-")[2] for one in found.members] == kept
    assert len(kept) == 2
    assert (found.status, found.reason) == ("KEEP", "improved")
    assert {helped.rows[name].incumbent for name in kept} == {found.recipe}
    assert [one.figure for one in found.criteria] == ["lower bound of the target", "lower bound of guard arithmetic"]
    assert all(one.met for one in found.criteria)
    bound = figure(said, r"lower bound of the target +([+-][\d.]+) +[+]0.00  yes")
    assert bound == pytest.approx(found.looks[-1].bound, abs=0.006)
    assert found.spending is not None
    assert found.spending.before == 0.05
    assert found.spending.spent == found.given.error == pytest.approx(0.025)
    assert found.spending.after == 0.2
    assert "since a KEEP starts a new budget" in said
    for one in found.members:
        assert re.search(rf"{one.id[-3:]}  {one.knob} {one.before} -> {one.after} ", said)


def test_what_was_planned_and_given_is_what_was_recorded_before_the_first_pair(helped: Night, loose: Night) -> None:
    for night in (helped, loose):
        for number in night.confirmed():
            (check,) = (one for one in night.checks if (one.kind, one.subject) == (STACK, str(number)))
            found, data = explain_data(night.stack(number)), check.data
            assert found["given"] == json.loads(json.dumps(data["given"]))
            assert found["plan"] == data.get("plan")
            expected, deviation = data["given"]["expected"]
            said, given = night.said(f"stack-{number}"), data["given"]
            assert f"expected {expected:+.2f}, standard deviation {deviation:.2f}" in said
            looks = (
                f"each from number {given['first']} on" if given["first"] < given["pairs"] else "once, after the last"
            )
            assert f"at most {given['pairs']}, looked at " in said
            assert looks in said
            for name in ("lists", *given["guards"]):
                assert f"by {given['spreads'][name]['variance'] ** 0.5:.2f} (standard deviation, worth" in said


def test_an_unconfirmed_stack_says_the_bound_that_was_too_low(loose: Night) -> None:
    for name in loose.named("unconfirmed"):
        found = loose.row(name)
        bound = found.criteria[0]
        assert (bound.figure, bound.threshold, bound.met) == ("lower bound of the target", 0.0, False)
        assert bound.value == found.stack.looks[-1].bound if found.stack else False
        given_up = [one for one in found.criteria if one.figure == "chance to pass at the last look"]
        assert bool(given_up) == (len(found.stack.replicates) < found.stack.given.pairs if found.stack else False)


def test_after_a_keep_the_bounds_of_all_keeps_count_too(single: Night) -> None:
    first, second = single.confirmed()[1], single.confirmed()[2]
    change, error = first.account.guards["arithmetic"]
    assert second.given.cumulative["arithmetic"] == pytest.approx((change, error))
    sums = [one for one in single.stack(2).criteria if "all KEEPs" in one.figure]
    assert [one.value for one in sums] == [second.looks[-1].cumulative["arithmetic"]]
    assert sums[0].value < second.looks[-1].guards["arithmetic"]
    assert f"all KEEPs before changed guard arithmetic by {change:+.2f}" in single.said("stack-2")
    assert "of all KEEPs and this" in single.said("stack-2")
    assert "of all KEEPs and this" not in single.said("stack-1")


def test_an_aa_test_pairs_other_seeds_and_spends_nothing(helped: Night, loose: Night) -> None:
    for night in (helped, loose):
        for name in night.named("calibration"):
            found, said = night.row(name), night.said(name)
            assert found.is_aa_test
            assert found.own is None
            assert found.stack is not None
            assert found.stack.recipe == found.stack.stood
            assert all(one.seed != one.candidate_seed for one in found.stack.replicates)
            assert found.stack.spending is not None
            assert found.stack.spending.before == found.stack.spending.after
            assert found.stack.spending.spent == 0.0
            assert "an A/A test spends nothing of it" in said


def test_a_false_alarm_is_said_to_be_one(loose: Night) -> None:
    for name in loose.named("false_alarm"):
        found = loose.row(name)
        assert found.status == "DISCARD"
        assert all(one.met for one in found.criteria)
        assert "by chance alone" in found.notes[0]


def test_a_stack_whose_recipe_failed_says_what_it_said(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    night = played(tmp_path, text, world=nights.FRAGILE, probes=30)
    names = night.named("crash:diverged")
    assert len(names) == 2
    for name in (*names, "stack-1"):
        said = night.said(name)
        assert "The recipe itself failed" in said
        assert "It said: loss is nan" in said
        assert not explain(night.workspace, name).criteria
    assert night.stack(1).looks == ()


def test_a_stack_that_is_not_decided_on_says_so(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    whole = played(tmp_path, text, world=nights.ADDING, probes=40)
    with Ledger(whole.workspace.ledger) as ledger:
        ledger._db.execute("DELETE FROM decisions WHERE status = 'KEEP'")
    found, said = whole.stack(1), whole.said("stack-1")
    assert (found.status, found.looks, found.replicates) == (None, (), ())
    assert "It is not decided yet" in said
    assert found.members


# a row


def test_a_changes_own_effect_is_that_of_its_row_with_its_interval_and_chance(helped: Night, single: Night) -> None:
    for night in (helped, single):
        for name, row in night.rows.items():
            own = night.row(name).own
            if own is None:
                assert row.status in ("BASELINE", "CRASH") or row.reason == "calibration"
                continue
            figures = (own.effect.delta, own.effect.low, own.effect.high, own.chance)
            assert figures == tuple(row.row[column] for column in ("delta", "ci_low", "ci_high", "chance"))
            deviation = (own.effect.high - own.effect.delta) / norm.ppf(0.975)
            assert own.effect.low == pytest.approx(own.effect.delta - norm.ppf(0.975) * deviation)
            said = night.said(name)
            assert figure(said, r"effect +([+-][\d.]+) \[") == pytest.approx(own.effect.delta, abs=0.006)
            assert [guard.category for guard in own.guards] == ["arithmetic"]
            assert f"{own.guards[0].expected:+.2f}" in said


def test_a_change_says_the_waves_and_the_number_of_recipes_that_carried_it(lying: Night) -> None:
    (stack,) = lying.recipes(STACK, 1)
    for name in lying.named("improved"):
        found = lying.row(name)
        carried = {one["recipe"] for one in lying.recipes(WAVE, 1) if found.id in one["proposals"]}  # type: ignore[operator]
        assert found.own is not None
        assert found.own.recipes == len(carried | {stack["recipe"]})
        assert found.waves == (1,)
        assert f"by {found.own.recipes} measured recipes, in wave 1" in lying.said(name)


def test_an_unpromising_change_says_its_chance_and_the_one_that_it_needed(helped: Night) -> None:
    for name in helped.named("unpromising"):
        chance = helped.row(name).criteria[-1]
        assert chance.value == helped.rows[name].row["chance"] < chance.threshold == 0.8
        assert not chance.met
        assert helped.row(name).stack is None


def test_a_guard_that_does_not_hold_is_shown_beside_its_margin(tmp_path: Path) -> None:
    night = played(tmp_path, nights.governed(nights.TWO_KNOBS), world=nights.TRAP, probes=30)
    confirmed, expected = list[str](), list[str]()
    for name in night.named("guard:arithmetic"):
        found = night.row(name)
        assert found.own is not None
        figure, value = "expected change of guard arithmetic", found.own.guards[0].expected
        if found.stack is not None:
            figure, value = "lower bound of guard arithmetic", found.stack.looks[-1].guards["arithmetic"]
        assert (figure, value, -1.5) in [
            (one.figure, one.value, one.threshold) for one in found.criteria if not one.met
        ]
        (confirmed if found.stack else expected).append(name)
    assert confirmed
    assert expected


def test_an_overtaken_change_names_what_was_kept(single: Night) -> None:
    (name,) = single.named("overtaken")
    first = single.named("improved")[0]
    found = single.row(name)
    assert all(one.met for one in found.criteria)
    assert f"the stack that was kept ({first})" in found.notes[0]
    assert found.stands == single.rows[first].incumbent != found.stood


def test_a_member_shows_the_stack_that_decided_on_it(helped: Night) -> None:
    for name in helped.named("improved"):
        found, stack = helped.row(name), helped.stack(1)
        assert found.stack == stack
        assert found.criteria == stack.criteria
        assert (found.stood, found.stands) == (stack.stood, stack.recipe)
        assert "STACK 1, in which it was confirmed" in helped.said(name)


def test_a_crash_and_a_baseline_have_an_explanation(helped: Night) -> None:
    for name in helped.named("crash:diverged"):
        assert "The recipe itself failed" in helped.said(name)
        assert "No recipe that carried it has a reading" in helped.said(name)
        assert f"carried   in wave {helped.row(name).waves[0]}" in helped.said(name)
    said = helped.said("baseline")
    assert "has an even chance to be kept" in said
    (floor,) = (check.data for check in helped.checks if check.kind == "floor")
    assert figure(said, r"a true improvement of ([\d.]+) points") == pytest.approx(floor["visible"], abs=0.006)
    assert f"with {floor['probes']} probes" in said


def test_a_retraction_on_the_holdout_says_the_end_of_the_interval(lying: Night) -> None:
    kept = lying.named("improved")
    for name in kept:
        found, row = lying.row(f"{name}-retract"), lying.rows[f"{name}-retract"]
        assert row.comparison is not None
        effect = row.comparison.differences["lists"]
        assert found.reason == "holdout"
        assert f"{effect.delta:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]" in lying.said(f"{name}-retract")
        assert [(one.value, one.threshold, one.met) for one in found.criteria] == [(effect.high, 0.0, False)]
        assert f"see {name}-retract" in lying.said(name)


def test_a_keep_that_was_left_out_says_the_chance_by_its_effect_where_its_re_test_agrees_and_by_the_re_test(
    tmp_path: Path,
) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    night = played(tmp_path, text, world=nights.OVERLAPPING, probes=60)
    (name,) = night.named("leave_one_out")
    kept, again = night.rows[name.removesuffix("-retract")], night.rows[name]
    assert again.comparison is not None
    error = (kept.row["ci_high"] - kept.row["ci_low"]) / 2 / norm.ppf(0.975)
    second = again.comparison.differences["lists"]
    agree = abs(kept.row["delta"] - second.delta) < 2 * math.hypot(error, second.standard_error)
    precision = agree / error**2 + 1 / second.standard_error**2
    together = (agree * kept.row["delta"] / error**2 + second.delta / second.standard_error**2) / precision
    (chance,) = night.row(name).criteria
    assert chance.value == pytest.approx(norm.cdf(together * precision**0.5))
    assert chance.threshold == 0.52
    assert not chance.met
    assert f"Together with its own effect: {together:+.2f}" in night.said(name)
    assert "It does not hold" in night.said(name.removesuffix("-retract"))
    with Ledger(night.workspace.ledger) as ledger:
        ledger._db.execute("UPDATE checks SET data = json_remove(data, '$.chance') WHERE kind = 'leave_one_out'")
    explained.cache_clear()
    assert night.row(name).criteria == ()
    assert night.row(name).notes == ("An older version of nightlane took it back, by another rule.",)


# every row


def test_every_decision_and_stack_has_text_of_readable_lines_and_json(
    helped: Night, loose: Night, lying: Night, single: Night
) -> None:
    for night in (helped, loose, lying, single):
        for name, row in night.rows.items():
            found = night.row(name)
            assert found == explain(night.workspace, row.id)
            assert bool(found.criteria or found.notes) == (row.turn != 0)
            assert found.results is None
            assert _is_plain(found)
        for number in night.confirmed():
            assert _is_plain(night.stack(number))


def _is_plain(found: Explanation | StackExplanation) -> bool:
    data, said = explain_data(found), explain_text(found)
    assert max(map(len, said.splitlines())) <= 120, said
    assert not re.search(r"\bnan\b|\binf\b|None", said.replace("loss is nan", "")), said
    return bool(json.loads(json.dumps(data, allow_nan=False)) == data)


def test_replicates_whose_directories_are_gone_are_said_to_be(lying: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(lying.workspace.root, copied.root)
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    found = explain(copied, "stack-1")
    assert isinstance(found, StackExplanation)
    assert {one.difference for one in found.replicates} == {None}
    assert "gone" in explain_text(found)


def test_a_decision_of_an_older_version_shows_its_row_and_says_that_it_is_one(lying: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(lying.workspace.root, copied.root)
    nights.older(copied)
    found, row = explain(copied, "001"), lying.rows["001"].row
    assert isinstance(found, Explanation)
    assert (found.own, found.stack, found.criteria) == (None, None, ())
    said = explain_text(found)
    assert "An older version of nightlane made this decision" in said
    assert figure(said, r"\nci_low +([-\d.e]+)") == pytest.approx(row["ci_low"], rel=1e-3)
    assert "\nsession   " in said
    assert "\nproposer " not in said
    assert found.results is not None
    assert found.results["delta"] == row["delta"]
    assert _is_plain(found)


# names


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("77", "001"),
        ("001-retrakt", "001-retract"),
        ("basline", "baseline"),
        ("stack-9", "stack-1"),
        ("nothing", "001-retract"),
    ],
)
def test_an_unknown_name_is_one_sentence_with_the_nearest_and_exit_2(lying: Night, asked: str, near: str) -> None:
    with pytest.raises(BadInput, match=f"there is no decision or stack '{asked}'") as refused:
        explain(lying.workspace, asked)
    assert near in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_proposal_without_a_decision_is_said_to_have_none(single: Night, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(single.workspace.root, copied.root)
    (name,) = single.named("overtaken")
    with Ledger(copied.ledger) as ledger:
        ledger._db.execute("DELETE FROM decisions WHERE reason = 'overtaken'")
    with pytest.raises(BadInput, match="the session ended before anything was measured of it"):
        explain(copied, name)
    with Ledger(copied.ledger) as ledger:
        ledger._db.execute("UPDATE sessions SET finished = NULL")
    with pytest.raises(BadInput, match="is not decided yet"):
        explain(copied, name)


def test_a_stack_of_an_earlier_session_has_the_name_of_its_session(lying: Night) -> None:
    found = lying.stack(1)
    assert explain(lying.workspace, f"{found.session}-stack-1") == found


def test_the_command_prints_text_or_json(lying: Night) -> None:
    where = ["--workspace", str(lying.workspace.root)]
    for asked in (["001"], ["stack", "1"], ["stack-1"]):
        said = CliRunner().invoke(app, ["explain", *asked, *where])
        assert said.exit_code == 0, said.output
        assert "WHAT DECIDED" in said.stdout
        data = json.loads(CliRunner().invoke(app, ["explain", *asked, "--json", *where]).stdout)
        assert data["status"] == "KEEP"
