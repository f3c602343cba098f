"""What a study can see: assumed at first, measured once this workspace has compared under the same probe key."""

from pathlib import Path

import nights
import pytest

from agent.study.load import load_study
from agent.study.power import analyse_power, require_power
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.result.comparison import OVERALL


def must_see(points: str) -> str:
    return nights.STUDY.replace("[policy]", f"[policy]\nmust_see = {points}")


def test_without_a_measurement_the_noise_is_assumed_and_said_to_be(tmp_path: Path) -> None:
    found = analyse_power(nights.study(tmp_path), Workspace(tmp_path / "workspace"))
    assert found.source.startswith("assumed: runs 0.35")
    assert list(found.pairs) == ["arithmetic", "lists", OVERALL]
    assert found.designs["lists"].prompts == 32
    assert found.pairs[OVERALL] < found.pairs["lists"]
    assert found.half_width(OVERALL, 0.95) < found.half_width(OVERALL, 0.99)


@pytest.mark.long
def test_after_a_night_the_noise_is_that_of_its_readings(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS).replace("decisions = 8\n", "probes = 40\n")
    deviations = []
    for noise in (0.1, 0.6):
        folder = tmp_path / str(noise)
        world = nights.MeanWorld(lambda recipe, category, split: 5.0, seed_noise=noise, answer_noise=0.1)
        workspace = nights.night(folder, text, decisions=None, world=world)
        study = load_study(folder / "study" / "study.toml")
        found = analyse_power(study, workspace)
        assert found.measured > 12
        assert found.source == f"measured: {found.measured} readings under this probe key"
        assert list(found.pairs) == ["lists", "arithmetic"]
        deviations.append(found.pairs["lists"])
    assert deviations[0] == pytest.approx(0.1 * 2**0.5, rel=0.5)
    assert deviations[1] == pytest.approx(0.6 * 2**0.5, rel=0.4)
    prompts = study.path.parent / "prompts.jsonl"
    prompts.write_text(prompts.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert analyse_power(load_study(study.path), workspace).measured == 0, "another prompt set is another probe key"


def test_a_night_has_the_probes_of_the_budget_without_those_kept_back(tmp_path: Path) -> None:
    for probes, left in ((48, 48), (200, 194)):  # 6 for the holdout, a tenth at most
        text = nights.variant(probes=str(probes)).replace("decisions = 8\n", "")
        found = analyse_power(nights.study(tmp_path / str(probes), text), Workspace(tmp_path / "workspace"))
        assert found.night.probes == left
    assert analyse_power(nights.study(tmp_path), Workspace(tmp_path / "workspace"), 30.0).night.probes == 30


def test_what_must_be_seen_and_cannot_is_refused_with_what_to_raise(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(
        BadInput,
        match=r"must_see=0\.1 is below .* of 'lists' that has an even chance.* takes confirming_seeds=\d+",
    ):
        require_power(nights.study(tmp_path, must_see("0.1")), workspace)
    require_power(nights.study(tmp_path, must_see("5.0")), workspace)
    require_power(nights.study(tmp_path), workspace)


def test_a_session_is_refused_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="must_see"):
        nights.night(tmp_path, must_see("0.1"))
    assert not (tmp_path / "workspace" / "runs" / "ledger.sqlite").exists()


def test_must_see_is_no_part_of_the_question(tmp_path: Path) -> None:
    plain, asked = nights.study(tmp_path / "a"), nights.study(tmp_path / "b", must_see("5.0"))
    assert plain.question == asked.question
