"""Benchmark tasks for Inspect and lm-evaluation-harness; a row has a question, an answer and a level."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from probes.scoring import scorer_settings
from probes.scoring.benchmarks.prompts import prompt_rows
from probes.scoring.benchmarks.scorer import prompts_task
from testing.simulated_study import write_jsonl

Rows = Sequence[dict[str, Any]]
INSPECT = """\
import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def ours() -> Task:
    rows = map(json.loads, Path(__file__).with_name("rows.jsonl").read_text(encoding="utf-8").splitlines())
    samples = [
        Sample(id=row["question"], input=row["question"], target=row["answer"], metadata={"level": row["level"]})
        for row in rows
    ]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""
HARNESS = """\
task: our_sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: ROWS
test_split: test
output_type: generate_until
description: "Add. "
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["\\n"]
filter_list:
  - name: number
    filter:
      - function: regex
        regex_pattern: "(-?[0-9]+)"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""
PACKAGES = {"inspect": "inspect_ai", "lm_eval": "lm_eval"}
TASKS = {"inspect": "ours.py@ours", "lm_eval": "sums.yaml"}


def write_task(folder: Path, kind: str, rows: Rows) -> None:
    """Write the task (a file of TASKS) and its rows (``rows.jsonl``). Skips the test if the package is not
    installed."""
    pytest.importorskip(PACKAGES[kind])
    folder.mkdir(exist_ok=True)
    write_jsonl(folder / "rows.jsonl", list(rows))
    text = INSPECT if kind == "inspect" else HARNESS.replace("ROWS", str(folder / "rows.jsonl"))
    (folder / TASKS[kind].partition("@")[0]).write_text(text, encoding="utf-8")


def task_prompts(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The prompts of the task in ``folder``, a third of them in each split."""
    settings = scorer_settings({"kind": kind, "task": TASKS[kind], "category": "level"})
    return list(prompt_rows(prompts_task(settings, folder), harvest=1 / 3, holdout=1 / 3))
