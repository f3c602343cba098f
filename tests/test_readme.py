"""The README is true: its commands run, and what it names is there."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.ledger.columns import COLUMNS
from cli.exit_codes import EPILOG
from labs.microcoder import build
from probes.inputs.settings import ServingSettings
from probes.scoring import scorer_settings
from probes.scoring.judge.settings import JudgeSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(start: str) -> list[str]:
    """The lines of the first fenced block that begins with this text."""
    found = re.search(rf"```[a-z]*\n({re.escape(start)}.*?)```", README, re.DOTALL)
    assert found, f"the README has no block that begins with {start!r}"
    return found[1].splitlines()


def test_the_two_commands_are_the_first_that_a_reader_meets() -> None:
    assert [line.split("  ")[0] for line in block("make run")] == ["make run", "make test"]
    assert README.index("make run") < README.index("## ")


@pytest.mark.slow
def test_make_run_trains_decides_and_prints_where_the_report_is(tmp_path: Path) -> None:
    """With one decision, which this seed lets end in screening, in the environment that runs the tests, in a workspace
    of its own."""
    prefix = sys.prefix
    command = [
        "make",
        "--no-print-directory",
        "run",
        f"VENV={prefix}",
        "-o",
        f"{prefix}/.installed",
        f"WORKSPACE={tmp_path}",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [*command, "ARGUMENTS=--decisions 1 --seed 1"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.strip().splitlines()[-1])
    text = report.read_text(encoding="utf-8")
    assert "microcoder" in text
    share = re.search(r"outside these three +\| .*\(([0-9.]+)% of probe time\)", text)
    assert share
    assert 0 < float(share[1]) < 100
    rows = (tmp_path / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[1].split("\t")[3] == "BASELINE"
    assert len(rows) == 3
    assert (tmp_path / "runs" / "progress.log").exists()
    for folder in (tmp_path / "runs").glob("probe-*"):
        for name in ("recipe.toml", "probe.json", "train.jsonl", "answers.jsonl", "outcome.json", "adapter"):
            assert (folder / name).exists()


def test_the_commands_of_your_own_study_run_as_written(tmp_path: Path) -> None:
    lines = [line.split("#")[0].strip() for line in block(".venv/bin/nightlane doctor")]
    words = [shlex.split(line.removeprefix(".venv/bin/")) for line in lines]
    assert [word[1] for word in words] == ["doctor", "init", "check", "run", "status", "resume", "report", "explain"]
    for word in words:
        offline = word[1] in ("doctor", "init", "check")  # the others need the hub's model, or a session
        arguments = word[1:] if offline else [word[1], "--help"]
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for option in (one for one in word if one.startswith("--") and not offline):
            assert option in done.stdout


@pytest.mark.slow
def test_the_bundled_problems_are_evaluated_as_written(tmp_path: Path) -> None:
    build(ROOT / "labs" / "microcoder" / "build", lambda stage, share: None)
    line = " ".join(part.rstrip("\\").strip() for part in block(".venv/bin/nightlane evaluate --problems labs/"))
    words = [*shlex.split(line)[1:], "--seeds", "42", "--workspace", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == len(found["results"]) == 144
    assert found["refused"] == []
    assert 0.3 < found["pass_at_k"]["1"]["mean"] < 0.8


def test_every_other_way_to_evaluate_is_an_option_of_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "evaluate", "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = block(".venv/bin/nightlane evaluate --problems HumanEval")
    assert len(lines) == 3
    for option in re.findall(r"--[a-z]+", " ".join(lines)):
        assert option in done.stdout


def test_the_commands_of_a_full_length_run_are_ones_that_are_taken() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "finetune", "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = block(".venv/bin/nightlane finetune")
    assert len(lines) == 3
    for option in re.findall(r"--[a-z]+", " ".join(lines)):
        assert option in done.stdout


def test_the_exit_codes_are_those_of_the_command() -> None:
    codes = re.findall(r"\b(\d+) [a-z]", EPILOG)
    told = re.search(r"Exit codes: (.*?)\.\n", README, re.DOTALL)
    assert told
    assert re.findall(r"\b(\d+) [a-z]", told[1]) == codes


def test_the_tree_names_what_is_there() -> None:
    for line in block("lanes/  "):
        assert (ROOT / line.split()[0]).exists(), line


def test_the_excerpt_has_the_columns_of_results_tsv() -> None:
    command, header, *rows = block("$ cut")
    assert set(header.split()) <= set(COLUMNS)
    told = subprocess.run(
        ["bash", "-c", command.removeprefix("$ ")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == [header, *rows]


def test_links_and_pictures_of_the_readme_are_in_the_repository() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_recorded_session_is_in_the_repository() -> None:
    rows = [row.split("\t") for row in (ROOT / "results.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == list(COLUMNS)
    recorded = [row for row in rows[1:] if (ROOT / "runs" / f"session-{row[1]}" / "report.md").exists()]
    assert {row[4] for row in recorded} >= {"hyperparameters", "mixture", "curriculum"}
    assert len([row for row in recorded if row[3] != "BASELINE"]) >= 8


def test_the_scorer_tables_of_the_readme_are_ones_that_are_taken() -> None:
    tables = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", README, re.DOTALL)]
    found = {name: table for one in tables for name, table in one.items()}
    assert scorer_settings(found["scorer"]).kind == "judge"
    assert ServingSettings.model_validate(found["serving"]).kind == "endpoint"
    for key in found["scorer"]:
        assert key in JudgeSettings.model_fields
