"""Rows that are left out of a night are named before it, in its log and in its report."""

import json
from pathlib import Path

import nights
import pytest

from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from testing.simulated_study import STUDY, write_study
from view.data.study_cost import cost_text
from view.report.report import write_report


def asked(folder: Path, bad_rows: str) -> Path:
    path = write_study(folder, STUDY.replace("[data.sources]", f'[data]\nbad_rows = "{bad_rows}"\n[data.sources]'))
    with (folder / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{}\n")
    return path


def test_check_the_log_and_the_report_say_which_rows_are_left_out(tmp_path: Path) -> None:
    study, workspace = load_study(asked(tmp_path / "study", "leave_out")), Workspace(tmp_path / "workspace")
    told = "source good: 1 of 33 rows left out (line 33: the first has no column 'chosen'"
    assert told in cost_text(study, workspace)
    name = begin(study, workspace, Overrides(hours=1e-9), nights.Silent(), write_report)
    assert told in (workspace.runs / "progress.log").read_text(encoding="utf-8")
    assert "source good: 1 of 33 rows left out" in (workspace.session(name) / "report.md").read_text(encoding="utf-8")


def test_check_and_the_log_name_the_columns_of_a_source_that_mean_nothing(tmp_path: Path) -> None:
    path, workspace = asked(tmp_path / "study", "leave_out"), Workspace(tmp_path / "workspace")
    assert "ignored columns" not in cost_text(load_study(path), workspace)
    with (tmp_path / "study" / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(
            '{"prompt": "How is tea?", "chosen": "a", "rejected": "b", "rating": 3, "model": null, "system": ""}\n'
        )
    told, study = "source good: ignored columns: rating, model", load_study(path)
    assert told in cost_text(study, workspace)
    begin(study, workspace, Overrides(hours=1e-9), nights.Silent(), write_report)
    assert told in (workspace.runs / "progress.log").read_text(encoding="utf-8")


def test_check_and_the_log_say_that_prompts_are_taken_off_answers(tmp_path: Path) -> None:
    path, workspace = asked(tmp_path / "study", "leave_out"), Workspace(tmp_path / "workspace")
    prompt = "\n\nHuman: How is tea?\n\nAssistant:"
    row = {"prompt": prompt, "chosen": f"{prompt} Hot.", "rejected": f"{prompt} Cold."}
    (tmp_path / "study" / "good.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    told, study = "source good: the prompt is taken off the answers of 1 of 1 rows", load_study(path)
    assert told in cost_text(study, workspace)
    begin(study, workspace, Overrides(hours=1e-9), nights.Silent(), write_report)
    assert told in (workspace.runs / "progress.log").read_text(encoding="utf-8")


def test_a_night_on_a_bad_row_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 33 has no column 'chosen'"):
        load_study(asked(tmp_path, "refuse")).check_material()
