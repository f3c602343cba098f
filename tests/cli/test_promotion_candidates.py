"""Which recipes a promotion compares, after a session and without one."""

from pathlib import Path

import pytest

from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from cli.promotion_candidates import candidates, spread
from cli.recipe_choice import INCUMBENT, recipe_for
from common.errors import BadInput
from lanes.knobs import changed
from testing import simulated_study
from view.report.report import write_report
from view.terminal.live import watching

SEED = 2  # of a session whose first changes are decided on


def test_after_a_session_it_is_its_start_what_it_left_and_recipes_that_it_measured(tmp_path: Path) -> None:
    study, workspace = load_study(simulated_study.write_study(tmp_path / "study")), Workspace(tmp_path)
    with watching() as watcher:
        session = begin(study, workspace, Overrides(decisions=2), watcher, write_report, seed=SEED)
    found = candidates(study, workspace, INCUMBENT, 2)
    assert (found.session, found.start.recipe) == (session, study.start)
    assert found.stands.recipe == recipe_for(study, workspace).recipe != study.start
    assert found.stands.probe_delta is not None
    assert found.stands.probe_delta > 0
    deltas = [one.probe_delta for one in found.others if one.probe_delta is not None]
    assert len(deltas) == 2
    assert deltas == sorted(deltas)
    assert not {study.start, found.stands.recipe} & {one.recipe for one in found.others}
    assert candidates(study, workspace, INCUMBENT, 2) == found


def test_without_a_session_it_is_the_studys_own_and_the_recipe_that_is_named(tmp_path: Path) -> None:
    study = load_study(simulated_study.write_study(tmp_path / "study"))
    named = tmp_path / "recipe.toml"
    named.write_text(changed(study.start, {"learning_rate": 3e-3}).to_toml(), encoding="utf-8")
    found = candidates(study, Workspace(tmp_path), str(named), 3)
    assert (found.session, found.start.recipe, found.others) == ("", study.start, ())
    assert (found.stands.recipe.learning_rate, found.stands.probe_delta) == (3e-3, None)


def test_a_recipe_file_may_name_a_manifest_of_the_study_as_its_mixture(tmp_path: Path) -> None:
    study = load_study(simulated_study.write_study(tmp_path / "study"))
    name, weights = next(iter(study.file.data.manifests.items()))
    named = tmp_path / "recipe.toml"
    named.write_text(f'mixture = "{name}"\nlearning_rate = 3e-3\n', encoding="utf-8")
    assert recipe_for(study, Workspace(tmp_path), str(named)).recipe.mixture == weights
    named.write_text('mixture = "other"\n', encoding="utf-8")
    with pytest.raises(BadInput, match=rf"recipe.toml, mixture='other' is no manifest .*; known: .*{name}"):
        recipe_for(study, Workspace(tmp_path), str(named))


def test_recipes_are_spread_over_the_ranks() -> None:
    ranked = [str(number) for number in range(9)]
    assert spread(ranked, 3) == ["0", "4", "8"]
    assert spread(ranked, 1) == ["0"]
    assert spread(ranked, 0) == []
    assert spread(ranked, 20) == ranked
