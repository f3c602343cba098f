"""A session of the study's own budget on a real small model, from its weights to the report: make test-real."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from agent.study.load import load_study
from labs._build.command import PrintedProgress
from labs.smollm import build
from probes.model.load import load_renderer

LAB = Path(__file__).parents[2] / "labs" / "smollm"
OWN = ("delta", "ci_low", "ci_high")
STACK = ("target", "baseline", "overall", "overall_delta", "worst_guard_delta", "stack_delta", "stack_ci_low")
ENDED = 0.3  # at least this share of all answers ends by itself


@pytest.mark.real
def test_a_session_on_a_real_small_model(tmp_path: Path) -> None:
    build(LAB / "build", PrintedProgress())
    study = LAB / "study.toml"
    command = [sys.executable, "-m", "cli.main", "run", str(study), "--workspace", str(tmp_path)]
    done = subprocess.run(
        [*command, "--seed", "1"],
        cwd=LAB.parents[1],
        stdout=subprocess.PIPE,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0
    table = (tmp_path / "results.tsv").read_text(encoding="utf-8")
    print(table)
    rows = list(csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    decisions = [row for row in rows if row["status"] in ("KEEP", "DISCARD")]
    assert decisions
    assert {row["status"] for row in rows} <= {"BASELINE", "KEEP", "DISCARD", "RETRACT"}
    for row in decisions:
        figures = OWN + STACK if row["stack"] else OWN
        assert all(math.isfinite(float(row[name])) for name in figures), row
        assert all(0 <= float(row[name]) <= 10 for name in figures if name in ("target", "baseline", "overall")), row
    assert share_ended(tmp_path / "runs") >= ENDED
    report = Path(done.stdout.strip().splitlines()[-1]).read_text(encoding="utf-8")
    assert "smollm" in report
    assert all(row["knob"] in report for row in decisions)


def share_ended(runs: Path) -> float:
    """Of all answers, those with fewer tokens than they may have."""
    study = load_study(LAB / "study.toml")
    tokenizer = load_renderer(study.file.model, LAB).tokenizer
    lines = [line for path in runs.glob("probe-*/answers.jsonl") for line in path.read_text("utf-8").splitlines()]
    lengths = [len(tokenizer(json.loads(line)["text"])["input_ids"]) for line in lines]
    ended = sum(length < study.file.probe.max_new_tokens for length in lengths) / len(lengths)
    print(f"{len(lines)} answers, {ended:.0%} ended by themselves")
    return ended
