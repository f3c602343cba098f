"""Figures that the page asked for: progress, categories, phases, what it takes to reproduce a row."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import nights
import pytest

from agent.workspace.folder import Workspace
from probes.result.reading import Reading, Timing
from view.data.changes import Change, reach
from view.data.search.incumbents import added
from view.data.sections.cost import session_cost
from view.data.session_figures import session_figures
from view.data.session_record import load_record
from view.report.report import report_markdown


@pytest.fixture(scope="module")
def climbing(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Several stacks are kept, one after the other."""
    return nights.night(tmp_path_factory.mktemp("climbing"), nights.CLIMBING, probes=40, step=nights.hasty())


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """What is kept is retracted at the end."""
    text, folder = nights.governed(nights.TWO_KNOBS), tmp_path_factory.mktemp("lying")
    return nights.night(folder, text, world=nights.LYING, probes=40, step=nights.hasty())


def test_the_incumbents_gain_adds_up_with_the_errors_of_its_confirmations(climbing: Workspace) -> None:
    found = session_figures(load_record(climbing, None))
    kept = [stack.effect for stack in found.stacks if stack.status == "KEEP" and stack.effect]
    points = [point.gain for point in found.progress if point.event == "KEEP"]
    assert len(kept) == len(points) >= 2
    assert points[0] == kept[0]
    assert points[-1].delta == pytest.approx(sum(effect.delta for effect in kept))
    assert points[-1].delta - points[-1].low == pytest.approx(math.hypot(*(one.delta - one.low for one in kept)))
    assert found.progress[0].event == "start"
    assert found.progress[-1].gain == points[-1]
    times = [point.time for point in found.progress]
    assert times == sorted(times)


def test_what_was_retracted_is_no_gain_any_more(lying: Workspace) -> None:
    found = session_figures(load_record(lying, None))
    assert found.retractions
    assert [point.event for point in found.progress][-2:] == ["RETRACT", "end"]
    assert found.progress[-1].gain == Change(0.0, 0.0, 0.0)
    assert "| retracted " in report_markdown(load_record(lying, None))


def test_the_sum_of_two_changes_has_the_errors_of_both() -> None:
    found = added(Change(1.0, 0.7, 1.3), Change(2.0, 1.6, 2.4))
    assert (found.delta, found.low, found.high) == pytest.approx((3.0, 2.5, 3.5))


def test_categories_are_the_means_of_readings_that_selected_nothing(climbing: Workspace) -> None:
    record = load_record(climbing, None)
    found = session_figures(record).categories
    assert [(row.category, row.role) for row in found] == [
        ("lists", "target"),
        ("arithmetic", "guard"),
        ("overall", ""),
    ]
    for row in found:
        assert row.before == pytest.approx(fmean(r.mean(row.category) for r in record.readings(record.session.start)))
        assert row.after is not None
        assert row.after > row.before


def test_a_starting_recipe_that_stands_has_no_after(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=3)
    assert [row.after for row in session_figures(load_record(workspace, None)).categories] == [None] * 3


def test_the_phases_of_the_cost_add_up(climbing: Workspace) -> None:
    cost = session_figures(load_record(climbing, None)).cost
    seconds = {phase.name: phase.seconds or 0.0 for phase in cost.phases}
    assert seconds["the machine"] == cost.active
    assert sum(phase.seconds or 0.0 for phase in cost.phases if phase.of_probes) == pytest.approx(cost.total)


def test_the_machine_is_paid_by_phase_and_tokens_are_those_of_readings_and_proposals(climbing: Workspace) -> None:
    record = load_record(climbing, None)
    budget = record.budget.model_copy(update={"dollars_per_hour": 3600.0})
    outcomes = {
        row.id: replace(reading, timing=Timing(2.0, 1.0, 0.5, 4.0), tokens=100, answer_tokens=30)
        for row in record.probes
        if isinstance(reading := record.outcomes.get(row.id), Reading)
    }
    proposals = {
        name: replace(row, prompt_tokens=50, completion_tokens=7 if place else None, dollars=0.25)
        for place, (name, row) in enumerate(record.proposals.items())
    }
    active, number = 4.0 * len(outcomes), len(outcomes)
    spent = replace(record.spent, hours=active / 3600)
    session = replace(record.session, limits={**record.session.limits, "workers": 2})
    changed = replace(
        record,
        budget=budget,
        outcomes=outcomes,
        proposals=proposals,
        spent=spent,
        session=session,
        active_seconds=active,
    )
    phases = {one.name: one for one in session_cost(changed).phases}
    dollars = {name: one.dollars for name, one in phases.items()}
    assert dollars.pop("the proposer") == pytest.approx(0.25 * len(proposals))
    assert dollars.pop("the machine") == pytest.approx(active)
    assert dollars == pytest.approx(
        {
            "training": number,
            "generation": 0.5 * number,
            "scoring": 0.25 * number,
            "outside these three": 0.25 * number,
            "waiting": 2.0 * number,  # one of the two workers had nothing to do
        }
    )
    assert (phases["training"].tokens_in, phases["generation"].tokens_out) == (100 * number, 30 * number)
    proposer = phases["the proposer"]
    assert (proposer.tokens_in, proposer.tokens_out) == (50 * len(proposals), 7 * (len(proposals) - 1))


def test_the_probes_behind_a_stack_are_named_and_are_there(climbing: Workspace) -> None:
    record = load_record(climbing, None)
    found = session_figures(record).reproduction
    assert len(found.stacks) == len(record.stacks)
    for stack, recorded in zip(found.stacks, record.stacks, strict=True):
        assert stack.recipe == recorded.recipe.digest
        for pair in stack.pairs:
            assert record.outcomes[str(pair.candidate)].seed == pair.seed
            assert record.outcomes[str(pair.incumbent)].seed == pair.seed
    assert found.command == f"nightlane run {record.session.study_path} --workspace again --seed 0"
    assert found.key["steps"] == str(record.study.file.probe.steps)


def test_the_whole_search_is_run_again_with_the_limits_of_the_command_line(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.CLIMBING, decisions=1)
    command = session_figures(load_record(workspace, None)).reproduction.command
    assert command is not None
    assert command.endswith("--workspace again --seed 0 --decisions 1")


def test_a_picture_reaches_to_the_farthest_end_but_not_to_a_far_wider_one() -> None:
    near = [Change(0.0, -0.5, 0.4), Change(0.1, -0.2, 1.0), Change(0.2, -0.6, 0.6)]
    assert reach(near) == 1.0
    assert reach([*near, Change(0.0, -50.0, 50.0), Change(0.0, -0.6, 0.6)]) == pytest.approx(1.8)
    assert reach([]) == 1.0
