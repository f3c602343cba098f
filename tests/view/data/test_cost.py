"""nightlane check: counts from the files, times only when they were measured here."""

import re
from pathlib import Path

import nights

from agent.policy.night import FEWEST_PAIRS
from agent.policy.night_power import in_words
from agent.study.load import load_study
from agent.study.power import analyse_power
from agent.workspace.folder import Workspace
from view.data.session_record import load_record
from view.data.study_cost import cost_text, probe_history

SHORT = nights.STUDY.replace("decisions = 8", "probes = 20")


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
    assert rows["at first"] == "3 probes of the starting recipe"
    assert (
        rows["waves"]
        == f"10 recipes in the first (7 knobs + 3), then {policy.wave}; a few more where they fill the workers"
    )
    assert rows["confirmation"].startswith(
        f"{2 * FEWEST_PAIRS} to {2 * policy.confirming_seeds} probes, in pairs on fresh seeds"
    )
    assert rows["at the end"].startswith("6 probes on the holdout")
    assert rows["probe time"] == "not yet measured in this workspace"
    assert rows["to find out"].endswith("--hours 0.1")
    assert not (tmp_path / "workspace").exists()


def held_out(folder: Path, seeds: int, *left_out: str) -> str:
    """What check says of the holdout; without these holdout prompts, by the beginning of their ids."""
    text = nights.STUDY.replace("[policy]\n", f"[policy]\nholdout_seeds = {seeds}\n")
    nights.study(folder, text)
    prompts = folder / "study" / "prompts.jsonl"
    rows = [
        line for line in prompts.read_text(encoding="utf-8").splitlines() if not any(one in line for one in left_out)
    ]
    prompts.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return cost_text(load_study(folder / "study" / "study.toml"), Workspace(folder / "workspace"))


def test_what_the_holdout_can_show_follows_from_its_pairs_and_from_what_is_known_of_its_noise(tmp_path: Path) -> None:
    def shown(said: str) -> float:
        (points,) = re.findall(r"pairs on the holdout can show a change of lists by (\d+\.\d\d) points", said)
        return float(points)

    known = held_out(tmp_path / "known", 2)
    assert "with the noise known from the search." in known
    alone = held_out(tmp_path / "alone", 2, "holdout-lists-1")
    assert "since its noise is estimated from these pairs alone; holdout_seeds = 4 or as many holdout prompts" in alone
    assert shown(alone) > 4 * shown(known), "two pairs have one degree of freedom"
    assert shown(held_out(tmp_path / "more", 4, "holdout-lists-1")) < shown(alone) / 3
    none = held_out(tmp_path / "none", 2, '"holdout"')
    assert "on the holdout can show" not in none
    assert lines(none)["at the end"].startswith("no holdout prompts, and up to 4 for each KEEP")


def test_whether_probes_are_kept_back_for_the_end_is_said(tmp_path: Path) -> None:
    for probes, said in ((200, "6 probes are kept back for them"), (30, "none are kept back, since 6 are more than a")):
        text = nights.STUDY.replace("decisions = 8", f"probes = {probes}")
        study = nights.study(tmp_path / str(probes), text)
        assert said in lines(cost_text(study, Workspace(tmp_path / "workspace")))["at the end"]


def test_legal_moves_are_counted_per_lane(tmp_path: Path) -> None:
    study = nights.study(tmp_path)
    number = sum(map(len, study.lanes.moves(study.start, "curriculum").values()))
    assert f"curriculum {number}" in lines(cost_text(study, Workspace(tmp_path)))["legal moves"]


def test_what_the_probes_of_a_night_are_for_is_what_the_night_then_does(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS).replace("decisions = 8", "probes = 40")
    rows = lines(cost_text(nights.study(tmp_path, text), Workspace(tmp_path / "elsewhere")))
    workspace = nights.night(tmp_path, text, decisions=None, world=nights.ADDING)
    record = load_record(workspace, None)
    at_first = int(rows["at first"].split()[0])
    assert len([row for row in record.probes if row.recipe == record.session.start][:at_first]) == at_first == 2
    first = record.waves[0].recipes
    assert len(first) <= int(rows["waves"].split()[0]) == 5
    assert all(2 * FEWEST_PAIRS <= 2 * stack.given.pairs <= 16 for stack in record.stacks)
    assert rows["confirmation"].startswith(f"{2 * FEWEST_PAIRS} to 16 probes")


def test_a_measured_study_gets_the_median_its_number_and_what_fits_in_the_hours(tmp_path: Path) -> None:
    text = nights.variant(hours="1", dollars="9", dollars_per_hour="2")
    workspace = nights.night(tmp_path, text, probes=20)
    study = nights.study(tmp_path, text)
    said, measured = cost_text(study, workspace), probe_history(study, workspace)
    rows, number = lines(said), len(list(workspace.runs.glob("probe-*")))
    assert measured.seconds == (0.01,) * number
    assert measured.pace is not None
    assert rows["probe time"] == f"0.0 s (median of {number} measured here)"
    assert rows["budget"] == f"1 hours: about {int(3600 / measured.pace)} probes at this pace"
    assert "$2 per active hour" in rows["dollars"]
    assert f"about {int(9 / (measured.pace / 3600 * 2))} probes" in rows["dollars"]
    assert "with 240 probes" in said, "more than a stack is planned with"


def test_the_cut_answers_that_were_measured_here_are_counted_with_the_remedy(tmp_path: Path) -> None:
    workspace = nights.cutting(tmp_path)
    found = probe_history(load_record(workspace, None).study, workspace).cut
    assert found is not None
    assert 0 < found.cut < found.answers
    told = lines(cost_text(load_record(workspace, None).study, workspace))["cut answers"]
    assert told.startswith(f"{found.cut} of {found.answers} answers (")
    assert told.endswith("reached max_new_tokens = 256: their ends are missing, raise max_new_tokens under [probe]")


def test_probes_of_another_question_are_no_measure_of_this_one(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=5)
    other = nights.study(tmp_path / "other", nights.STUDY.replace("steps = 20", "steps = 40"))
    assert probe_history(other, workspace).seconds == ()
    assert "not yet measured" in cost_text(other, workspace)


def test_what_a_night_can_show_is_said_with_where_the_noise_comes_from(tmp_path: Path) -> None:
    study = nights.study(tmp_path)
    said, found = cost_text(study, Workspace(tmp_path / "workspace")), analyse_power(study, Workspace(tmp_path))
    assert "What a night can show (noise assumed: runs 0.35" in said
    for line in in_words(found.night):
        assert f"- {line}." in said
    assert f"worth {found.night.visible:.2f} points of lists" in said
    for name, role in (("arithmetic", "guard, may lose 1.5"), ("lists", "target")):
        assert re.search(rf"^{name} +32 +0\.\d\d +\d\.\d\d +{role}$", said, re.MULTILINE)
    assert re.search(r"^overall +64 ", said, re.MULTILINE)
    assert "so narrow a margin" not in said


def test_a_guard_that_a_confirmation_can_hardly_show_to_hold_is_named(tmp_path: Path) -> None:
    narrow = nights.study(tmp_path, nights.STUDY.replace("arithmetic = 1.5", "arithmetic = 0.1"))
    assert re.search(r"measured change is above: arithmetic \+\d\.\d\d\.$", cost_text(narrow, Workspace(tmp_path)))


def test_after_a_night_the_noise_is_measured(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=20)
    assert re.search(
        r"noise measured: \d+ readings under this probe key", cost_text(nights.study(tmp_path, SHORT), workspace)
    )
