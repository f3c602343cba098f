"""Which recipe a full-length run trains."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow
from agent.loop.nodes import BASELINE_FAILED
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from cli.recipe_choice import recipe_for
from common.errors import BadInput
from lanes import Recipe
from lanes.knobs import changed
from testing import simulated_study
from view.report.report import write_report
from view.terminal.live import watching

ORIGIN = "the incumbent of session {}"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(simulated_study.write_study(tmp_path / "study"))


def other(study: Study, rate: float) -> Recipe:
    return changed(study.start, {"learning_rate": rate})


def session(
    study: Study, workspace: Workspace, name: str, *decided: tuple[str, Recipe], finished: str = "budget", **more: Any
) -> None:
    """A session in the ledger with these statuses and the incumbent after each."""
    with Ledger(workspace.ledger) as ledger:
        values = {
            "id": name,
            "study": study.name,
            "study_path": "study.toml",
            "question": study.question,
            "study_text": "",
            "key": "k",
            "start": study.start.digest,
            "seed": 0,
            "limits": {},
            "started": f"2026-11-{name}",
            **more,
        }
        ledger.begin(SessionRow(**values), study.start)
        rows = []
        for turn, (status, incumbent) in enumerate(decided, start=1):
            ledger.record_recipe(incumbent)
            row = DecisionRow(
                id=f"{name}-{turn:03d}",
                session=name,
                turn=turn,
                status=status,
                reason="",
                incumbent=incumbent.digest,
                comparison=None,
                policy={},
                row={},
                time="t",
            )
            rows.append((row, "line"))
        ledger.record_decisions(rows)
        if finished:
            ledger.finish(name, "t", finished)


@pytest.mark.long
def test_after_a_session_it_is_the_recipe_in_the_sessions_folder(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    study, workspace = load_study(simulated_study.write_study(tmp_path / "study", text)), Workspace(tmp_path)
    with watching() as watcher:
        name = begin(study, workspace, Overrides(probes=40), watcher, write_report)
    found = recipe_for(study, workspace)
    assert found.recipe != study.start, "raising a learning rate that is far too low is found"
    assert found.recipe == Recipe.from_toml((workspace.session(name) / "recipe.toml").read_text(encoding="utf-8"))
    assert found.origin == ORIGIN.format(name)


def test_without_a_session_it_is_the_studys_own_and_said_to_be(study: Study, tmp_path: Path) -> None:
    found = recipe_for(study, Workspace(tmp_path))
    assert found.recipe == study.start
    assert found.origin == f"the study's own, since {tmp_path} has no finished session under its question"
    assert not (tmp_path / "runs").exists()


def test_it_is_what_the_last_finished_session_left(study: Study, tmp_path: Path) -> None:
    workspace, one, two = Workspace(tmp_path), other(study, 1e-3), other(study, 2e-3)
    session(study, workspace, "21", ("KEEP", one), ("DISCARD", study.start))
    assert recipe_for(study, workspace).recipe == one
    session(study, workspace, "22", ("KEEP", two), ("KEEP", one), ("RETRACT", two))
    assert (recipe_for(study, workspace).recipe, recipe_for(study, workspace).origin) == (two, ORIGIN.format(22))
    session(study, workspace, "23")
    assert recipe_for(study, workspace).recipe == study.start


def test_sessions_that_are_open_ask_something_else_or_measured_nothing_do_not_count(
    study: Study, tmp_path: Path
) -> None:
    workspace, one, two = Workspace(tmp_path), other(study, 1e-3), other(study, 2e-3)
    session(study, workspace, "21", ("KEEP", one))
    session(study, workspace, "22", ("KEEP", two), finished="")
    session(study, workspace, "23", ("KEEP", two), question="another")
    session(study, workspace, "24", finished=f"{BASELINE_FAILED}: diverged")
    assert (recipe_for(study, workspace).recipe, recipe_for(study, workspace).origin) == (one, ORIGIN.format(21))


def test_a_session_or_a_row_is_named_by_its_id(study: Study, tmp_path: Path) -> None:
    workspace, one, two, tried = Workspace(tmp_path), other(study, 1e-3), other(study, 2e-3), other(study, 4e-3)
    session(study, workspace, "21", ("KEEP", one), ("KEEP", two), ("DISCARD", two))
    session(study, workspace, "22")
    with Ledger(workspace.ledger) as ledger:
        proposal = ProposalRow(
            id="21-003",
            session="21",
            turn=3,
            parent=two.digest,
            child=tried.digest,
            lane="hyperparameters",
            knob="learning_rate",
            before=2e-3,
            after=4e-3,
            hypothesis="",
            predicted=None,
            proposer="optuna",
            dollars=0.0,
            time="t",
        )
        ledger.record_proposal(proposal, tried)
    for named, recipe, origin in (
        ("21", two, ORIGIN.format(21)),
        ("22", study.start, ORIGIN.format(22)),
        ("21-001", one, "the recipe that stood after 21-001 (KEEP)"),
        ("21-003", tried, "the recipe that 21-003 tried (DISCARD)"),
    ):
        found = recipe_for(study, workspace, named)
        assert (found.recipe, found.origin) == (recipe, origin)
    with pytest.raises(BadInput, match="no session or row of the workspace has that id"):
        recipe_for(study, workspace, "23")


def test_a_recipe_of_another_study_is_refused(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    session(study, workspace, "21", ("KEEP", other(study, 1e-3)), question="another")
    renamed = replace(study, file=study.file.model_copy(update={"name": "elsewhere"}))
    for named in ("21", "21-001"):
        with pytest.raises(BadInput, match="belongs to the study 'simulated' and not to 'elsewhere'"):
            recipe_for(renamed, workspace, named)


def test_a_file_that_is_named_comes_first(study: Study, tmp_path: Path) -> None:
    workspace, named = Workspace(tmp_path), other(study, 3e-3)
    session(study, workspace, "21", ("KEEP", other(study, 1e-3)))
    path = tmp_path / "recipe.toml"
    path.write_text(named.to_toml(), encoding="utf-8")
    found = recipe_for(study, workspace, str(path))
    assert (found.recipe, found.origin) == (named, str(path))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("learning_rate = ", "learning_rat = ", "has no key 'learning_rat'; did you mean 'learning_rate'"),
        ("learning_rate = 0.0001", "learning_rate = 3.0", "learning_rate=3.0 is refused"),
        ("learning_rate = 0.0001", 'learning_rate = "1e-4"', "learning_rate='1e-4' is refused"),
        ("learning_rate = 0.0001", "learning_rate = 2026-11-21", "learning_rate='2026-11-21' is refused"),
        ("learning_rate = 0.0001", f"lora_rank = {'9' * 5000}", "an endless number"),
        ("[mixture]", "[mixture", "is not TOML"),
        ("good = 1.0", "goood = 1.0", "the mixture weighs 'goood'; did you mean 'good'?"),
        ('"all-linear"', '"lm_head"', "take it out"),
    ],
)
def test_a_file_that_holds_no_recipe_of_the_study_is_refused(
    study: Study, tmp_path: Path, before: str, after: str, told: str
) -> None:
    path, text = tmp_path / "recipe.toml", study.start.to_toml()
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        recipe_for(study, Workspace(tmp_path), str(path))
    assert str(error.value).startswith(str(path))
    assert told in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", "odd.toml", "."):
        with pytest.raises(BadInput, match="cannot be read as a recipe"):
            recipe_for(study, Workspace(tmp_path), str(tmp_path / name))
