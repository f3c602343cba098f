"""What a study can see: assumed at first, measured once this workspace has compared under the same probe key."""

from pathlib import Path

import nights
import pytest

from agent.ledger.store import Ledger
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
    assert list(found.resolutions) == ["arithmetic", "lists", OVERALL]
    assert found.designs["lists"].prompts == 32
    assert found.resolutions[OVERALL].standard_error < found.resolutions["lists"].standard_error


def test_after_a_session_the_noise_is_that_of_its_comparisons(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, decisions=3)
    study = load_study(tmp_path / "study" / "study.toml")
    found = analyse_power(study, workspace)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        compared = [row.comparison for row in ledger.decisions("WHERE turn > 0") if row.comparison]
    assert found.measured == len(compared) > 0
    parts = [(one["differences"]["lists"]["variance"], len(one["seeds"]) - 1) for one in compared]
    parts = [(variance, freedom) for variance, freedom in parts if variance > 0]
    pooled = sum(variance * freedom for variance, freedom in parts) / sum(freedom for _, freedom in parts)
    assert found.resolutions["lists"].standard_error == pytest.approx(
        (pooled / study.file.policy.confirming_seeds) ** 0.5
    )
    prompts = tmp_path / "study" / "prompts.jsonl"
    prompts.write_text(prompts.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert analyse_power(load_study(study.path), workspace).measured == 0, "another prompt set is another probe key"


def test_what_must_be_seen_and_cannot_is_refused_with_what_to_raise(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(
        BadInput, match=r"must_see=0\.1 is below .* visible in 'lists' \(assumed.*raise confirming_seeds to 40 \("
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
