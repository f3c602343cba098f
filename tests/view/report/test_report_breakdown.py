"""The failure breakdown in a session's report, from answers that were executed."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nights

from agent.workspace.folder import Workspace
from probes.result.reading import outcome_to_json
from probes.run.store import ProbeStore
from view.data.session_record import load_record
from view.report.report import report_markdown


def judge_again(workspace: Workspace, recipe: str, words: Sequence[str]) -> None:
    """As if the answers of a recipe had been executed and had ended like this, in turn."""
    store = ProbeStore(workspace.runs)
    for reading in load_record(workspace, None).readings(recipe):
        scores = [
            replace(
                score,
                components={"pass": float(words[place % len(words)] == "PASS")},
                outcome=words[place % len(words)],
            )
            for place, score in enumerate(reading.scores)
        ]
        folder = store.directory(reading.probe)
        outcome = outcome_to_json(replace(reading, scores=tuple(scores)))
        (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
        rows = [
            {"prompt": s.prompt, "sample": s.sample, "text": f"answer of {recipe}", "note": "f(3) gave 4"}
            for s in scores
        ]
        (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_executed_answers_are_broken_down_from_the_starting_recipe_to_the_incumbent(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.CLIMBING, per_category=64, probes=12, step=nights.hasty())
    record = load_record(workspace, None)
    judge_again(workspace, record.start.digest, ["NAME_ERROR"])
    judge_again(workspace, record.incumbent.digest, ["PASS"])
    said = report_markdown(load_record(workspace, None))
    assert "From starting recipe to incumbent now" in said
    assert "pass@1 changed by +100.0 points" in said
    assert f"answer of {record.incumbent.digest}" in said
    assert "more in runs/probe-" in said
    assert "Warning" not in said


def test_a_failure_that_spreads_while_the_mean_stands_still_is_in_the_summary(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.CLIMBING, per_category=64, probes=12, step=nights.hasty())
    record = load_record(workspace, None)
    judge_again(workspace, record.start.digest, ["PASS", "ASSERTION_FAIL"])
    judge_again(workspace, record.incumbent.digest, ["PASS", "REFUSAL"])
    said = report_markdown(load_record(workspace, None))
    assert re.search(r"REFUSAL rose from 0 (of \d+ )?to", said.split("\n## ")[0])
