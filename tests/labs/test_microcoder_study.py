"""The bundled study file is one that the product accepts, and says what its README says."""

import tomllib
from pathlib import Path

from agent.study.load import load_study
from labs.microcoder.corpus import MISTAKE_SHARE
from labs.microcoder.material import LAB as MATERIAL
from labs.microcoder.tasks import CATEGORIES

LAB = Path(__file__).parents[2] / "labs" / "microcoder"
STUDY = LAB / "study.toml"


def test_the_study_is_valid_and_can_move_in_every_lane() -> None:
    study = load_study(STUDY)
    for lane in ("hyperparameters", "mixture", "curriculum"):
        assert study.lanes.moves(study.start, lane), lane


def test_target_and_guards_are_the_categories() -> None:
    study = load_study(STUDY)
    assert {study.target, *study.guards} == set(CATEGORIES)


def test_the_study_reads_the_files_that_the_lab_makes() -> None:
    text = tomllib.loads(STUDY.read_text(encoding="utf-8"))
    paths = [text["model"]["path"], text["prompts"]["file"], *text["data"]["sources"].values()]
    for_commands = ["build/problems.jsonl", "build/contracts.jsonl"]  # evaluate, pairs certify
    assert sorted([*paths, *for_commands]) == sorted(f"build/{name}" for name in MATERIAL.made)


def test_the_program_for_the_proposer_is_there_and_short() -> None:
    assert 200 < len(load_study(STUDY).program) < 4000


def test_the_target_has_the_largest_share_of_mistakes() -> None:
    assert max(MISTAKE_SHARE, key=lambda category: MISTAKE_SHARE[category]) == load_study(STUDY).target
