"""nightlane check: counts from the files, times only when they were measured here."""

import re
from pathlib import Path

import nights

from agent.workspace.folder import Workspace
from view.data.cost import cost_text, probe_history


def lines(text: str) -> dict[str, str]:
    return {name: value for name, value in re.findall(r"^(\S+(?: \S+)*?)  +(.*)$", text, re.MULTILINE)}


def test_an_unmeasured_study_gets_counts_and_no_invented_time(tmp_path: Path) -> None:
    study = nights.study(tmp_path)
    said = cost_text(study, Workspace(tmp_path / "workspace"))
    rows, policy = lines(said), study.file.policy
    assert said.startswith(f"{study.path} is valid")
    assert rows["probe prompts"] == "arithmetic 32, lists 32"
    assert rows["pairs"] == "good 32, broken 32"
    assert rows["one probe"].startswith("20 steps x 4 = 80 pairs trained on, then 64 prompts x 4 = 256 answers")
    assert rows["one decision"].startswith(f"{policy.first_seeds} to {policy.screening_seeds} probes for screening")
    assert f"up to {2 * policy.confirming_seeds} fresh ones for a confirmation" in rows["one decision"]
    assert rows["beside those"].startswith("3 probes of the starting recipe at first; at the end 6 on the holdout")
    assert rows["probe time"] == "not yet measured in this workspace"
    assert rows["to find out"].endswith("--decisions 1")
    assert not (tmp_path / "workspace").exists()


def test_legal_moves_are_counted_per_lane(tmp_path: Path) -> None:
    study = nights.study(tmp_path)
    number = sum(map(len, study.lanes.moves(study.start, "curriculum").values()))
    assert f"curriculum {number}" in lines(cost_text(study, Workspace(tmp_path)))["legal moves"]


def test_a_measured_study_gets_the_median_its_number_and_what_fits_in_the_hours(tmp_path: Path) -> None:
    text = nights.variant(hours="1", dollars="9", dollars_per_hour="2")
    workspace = nights.night(tmp_path, text, decisions=2)
    study = nights.study(tmp_path, text)
    rows, measured = lines(cost_text(study, workspace)), probe_history(study, workspace)
    number = len(list(workspace.runs.glob("probe-*")))
    assert measured.seconds == (0.01,) * number
    assert measured.pace is not None
    assert measured.probes_per_decision == number / 2
    assert rows["probe time"] == f"0.0 s (median of {number} measured here)"
    fit = int(3600 / measured.pace / measured.probes_per_decision)
    assert f"about {fit} decisions" in cost_text(study, workspace)
    assert "$2 per active hour" in rows["dollars"]


def test_probes_of_another_question_are_no_measure_of_this_one(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, decisions=1)
    other = nights.study(tmp_path / "other", nights.STUDY.replace("steps = 20", "steps = 40"))
    assert probe_history(other, workspace).seconds == ()
    assert "not yet measured" in cost_text(other, workspace)


def test_what_can_be_seen_is_said_per_category_with_where_the_noise_comes_from(tmp_path: Path) -> None:
    study = nights.study(tmp_path)
    said = cost_text(study, Workspace(tmp_path / "workspace"))
    assert "What can be seen (noise assumed: runs 0.35" in said
    for name, role in (("arithmetic", "guard, may lose 1.5"), ("lists", "target")):
        assert re.search(rf"^{name} +32 +0\.\d\d +\d\.\d\d +\d\.\d\d +{role}$", said, re.MULTILINE)
    assert re.search(r"^overall +64 ", said, re.MULTILINE)
    assert "To see smaller effects in lists: raise confirming_seeds to 40 (" in said
    assert "so narrow a margin" not in said
    narrow = nights.study(tmp_path / "b", nights.STUDY.replace("arithmetic = 1.5", "arithmetic = 0.1"))
    assert re.search(r"measured as much better as: arithmetic \+\d\.\d\d\.$", cost_text(narrow, Workspace(tmp_path)))
    workspace = nights.night(tmp_path / "c", decisions=4)
    assert "noise measured: pooled over" in cost_text(nights.study(tmp_path / "c"), workspace)
