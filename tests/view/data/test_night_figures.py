"""The figures of a night, from its record: stacks, what they spent, A/A tests, checks at the end, what selected a
recipe."""

from pathlib import Path

import nights
import pytest

from agent.ledger.store import Ledger
from lanes import Knob
from view.data.changes import Change
from view.data.decisions import crash_of, decision_figures, proposer_counts
from view.data.search.alpha_spending import spendings
from view.data.search.knobs import Edge, KnobPlace, edge_of
from view.data.search.replicates import selecting_seeds
from view.data.search.stacks import stacks
from view.data.sections.checks import calibration, floor, holdout, left_out, rate, retractions
from view.data.sections.measurements import unselected_readings
from view.data.session_record import SessionRecord, load_record


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> SessionRecord:
    """A kept stack of two, A/A tests after it, and a learning rate that diverges."""
    text = nights.governed(nights.MANY_KNOBS, disguised="0.4", member_chance="0.8")
    folder = tmp_path_factory.mktemp("helped")
    workspace = nights.night(folder, text, 8, world=nights.HELPING, seed=5, probes=70, step=nights.hasty())
    return load_record(workspace, None)


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> SessionRecord:
    """A stack of two that the holdout takes back. Its only wave had the recipe of the stack."""
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    folder = tmp_path_factory.mktemp("lying")
    workspace = nights.night(folder, text, 8, world=nights.LYING, probes=40, step=nights.hasty())
    return load_record(workspace, None)


def test_every_confirmation_begins_with_what_the_one_before_left(helped: SessionRecord) -> None:
    found, left = spendings(helped), 0.05
    assert [one.is_aa_test for one in found] == [stack.is_aa_test for stack in stacks(helped) if stack.decisions]
    assert {one.status for one in found} == {"KEEP", "DISCARD"}
    for one in found:
        assert one.before == pytest.approx(left)
        left = one.before if one.is_aa_test else 0.2 if one.status == "KEEP" else one.before - one.level
        assert one.after == pytest.approx(left)
        assert one.spent == (0.0 if one.is_aa_test else one.level)


def test_a_stack_has_its_members_in_order_with_one_decision_each(helped: SessionRecord) -> None:
    for stack in stacks(helped):
        assert [row.id for row in stack.decisions] == [row.id for row in stack.members]
        assert {row.status for row in stack.decisions} == {stack.decisions[0].status}
        assert (stack.recipe == stack.incumbent) == stack.is_aa_test
        assert stack.looks[-1].pairs == len(stack.confirmed.seeds) if stack.confirmed else False


def test_the_rate_of_false_alarms_counts_the_aa_tests_and_sums_up_their_levels(helped: SessionRecord) -> None:
    found, tests = calibration(helped), [stack for stack in stacks(helped) if stack.is_aa_test and stack.decisions]
    assert len(tests) == found.session.candidates == found.study.candidates == len(found.candidates) > 0
    assert found.session.promised == pytest.approx(sum(stack.given.error for stack in tests))
    alarms = sum(row.reason == "false_alarm" for row in helped.aa_tests)
    assert found.session == rate(len(tests), alarms, found.session.promised)
    for one, stack in zip(found.candidates, tests, strict=True):
        assert one.level == stack.given.error
        assert one.pairs == stack.looks[-1].pairs


def test_a_decision_has_its_own_effect_and_that_of_its_stack(helped: SessionRecord) -> None:
    figures = [decision_figures(helped, decision) for decision in helped.decisions_on_changes]
    kept = [one for one in figures if one.status == "KEEP"]
    assert len(kept) == 2
    assert {one.stack for one in kept} == {1}
    assert kept[0].target == kept[1].target
    assert kept[0].own != kept[1].own
    for one, decision in zip(figures, helped.decisions_on_changes, strict=True):
        if one.status == "CRASH":
            assert one.effect is None
        else:
            assert one.effect is not None
            assert one.effect.delta == decision.row["delta"]
        if one.stack is None:
            assert (one.target, one.pairs, one.guards) == (None, 0, ())


def test_a_crash_is_that_of_a_recipe_that_carried_the_change(helped: SessionRecord) -> None:
    crashed = [row for row in helped.decisions if row.status == "CRASH"]
    assert crashed
    for row in crashed:
        failed = {(probe.recipe, probe.seed) for probe in helped.probes if probe.kind == "diverged"}
        own = {seed for recipe, seed in failed if recipe in helped.carriers[row.id]}
        found = crash_of(helped, row)
        assert (found.kind, set(found.seeds)) == ("diverged", own)
        assert "nan" in found.message


def test_what_is_carried_is_what_the_waves_say(helped: SessionRecord) -> None:
    for wave in helped.waves:
        for made in wave.recipes:
            for proposal in made.proposals:
                assert made.digest in helped.carriers[proposal]
    unmeasured = [row.id for row in helped.in_flight]
    assert set(helped.carriers) <= {row.id for row in helped.decisions} | set(unmeasured)


def test_every_decision_counts_for_its_proposer(helped: SessionRecord) -> None:
    counts = proposer_counts(helped)
    assert sum(one.proposed for one in counts) == len(helped.decisions_on_changes)
    assert sum(one.kept for one in counts) == 2
    assert all(one.proposed == one.kept + one.discarded + one.crashed for one in counts)


def test_the_wave_that_selected_a_kept_recipe_does_not_say_how_good_it_is(lying: SessionRecord) -> None:
    (stack,), wave = stacks(lying), lying.waves[0]
    assert stack.recipe in {made.digest for made in wave.recipes}
    assert selecting_seeds(lying, stack.recipe) == {wave.seed}
    assert selecting_seeds(lying, stack.incumbent) == set()
    everything = {reading.seed for reading in lying.readings(stack.recipe)}
    unselected = {reading.seed for reading in unselected_readings(lying, stack.recipe)}
    assert unselected == everything - {wave.seed}
    assert {seed for seed, _ in stack.confirmed.seeds} <= unselected if stack.confirmed else False


def test_the_checks_at_the_end_have_their_figures(lying: SessionRecord) -> None:
    found, held = left_out(lying), holdout(lying)
    assert [one.verdict for one in found] == ["holds", "holds"]
    assert all(one.chance is not None and one.chance > 0.52 for one in found)
    assert held is not None
    assert held.verdict == "retracted"
    assert held.target is not None
    assert held.target.delta == pytest.approx((held.end or 0) - (held.start or 0))
    assert held.target.high < 0
    taken = retractions(lying)
    assert [one.kept for one in taken] == [one.kept for one in found]
    assert {one.change for one in taken} == {held.target}


def test_the_noise_floor_says_what_the_night_could_show(lying: SessionRecord) -> None:
    found = floor(lying)
    assert found is not None
    assert [worth for worth, _ in found.chances] == sorted(worth for worth, _ in found.chances)
    assert [chance for _, chance in found.chances] == sorted(chance for _, chance in found.chances)
    assert found.probes
    assert found.pairs >= 2


def test_an_older_sessions_rows_have_no_stacks_and_keep_their_figures(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    workspace = nights.night(tmp_path, text, 8, world=nights.ADDING, probes=30, step=nights.hasty())
    nights.older(workspace)
    record = load_record(workspace, None)
    assert (stacks(record), spendings(record), calibration(record).candidates) == ((), (), ())
    with Ledger(workspace.ledger, read_only=True) as ledger:
        kept = ledger.decisions("WHERE status = 'KEEP'")
    figures = [decision_figures(record, decision) for decision in kept]
    assert figures
    for one, decision in zip(figures, kept, strict=True):
        assert (one.own, one.stack) == (None, None)
        assert decision.comparison is not None
        assert one.effect is not None
        assert one.effect.delta == decision.comparison.differences["lists"].delta


@pytest.mark.parametrize(
    ("values", "edge"), [((0.1, 0.2, 0.3), "bounds"), ((0.0, 0.1, 0.2), None), ((0.05, 0.1, 0.2, 0.3), "reach")]
)
def test_bounds_that_end_at_0_are_not_to_be_widened(values: tuple[float, ...], edge: Edge | None) -> None:
    """The lowest of the last three values is best, and cannot be reached from further down."""
    places = [
        KnobPlace(
            value=f"{value:g}",
            effect=Change(delta, delta - 0.1, delta + 0.1),
            chance=0.99 if delta > 0 else 0.5,
            readings=1,
            is_start=False,
            is_incumbent=delta == 0,
        )
        for value, delta in zip(values[-3:], (0.5, 0.0, -0.2), strict=True)
    ]
    assert edge_of(Knob("warmup", "hyperparameters", values, ordered=True), places) == edge
