"""README and docs are true: their commands are ones that are taken or run, and what they name is there."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import browsing
import pytest
import typer
from commands import nightlane
from playwright.sync_api import sync_playwright

from agent.ledger.results.columns import COLUMNS
from agent.policy.settings import PolicySettings
from agent.workspace.folder import Workspace
from cli.example_studies import KINDS
from cli.exit_codes import EXIT_CODES
from cli.main import app
from labs.microcoder import build
from probes.inputs.settings import ServingSettings
from probes.scoring import scorer_settings
from probes.scoring.judge.settings import JudgeSettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
COMMAND = re.compile(r"^(?:\.venv/bin/)?nightlane .*", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def block(start: str, text: str = README) -> list[str]:
    """The lines of the first fenced block that begins with this text."""
    found = re.search(rf"```[a-z]*\n({re.escape(start)}.*?)```", text, re.DOTALL)
    assert found, f"there is no block that begins with {start!r}"
    return found[1].splitlines()


def commands(path: Path) -> list[str]:
    """Every nightlane command of a page's fenced blocks."""
    fenced = re.findall(r"^```\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for text in fenced for line in COMMAND.findall(text.replace("\\\n", " "))]


def test_the_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 150


def test_the_two_commands_are_the_first_that_a_reader_meets() -> None:
    assert [line.split("  ")[0] for line in block("make run")] == ["make run", "make test"]
    assert README.index("make run") < README.index("## ")


@pytest.mark.parametrize("path", [one for one in PAGES if commands(one)], ids=lambda path: path.name)
def test_the_command_line_accepts_every_command_of_a_page(path: Path) -> None:
    for line in commands(path):
        words = shlex.split(line, comments=True)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            name, *words = words
            command = command.commands[name]
        assert command.make_context(name, words).command is command


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert heading in slugs, target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_and_modules_that_a_page_names_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    roots = "agent|bench|cli|common|docs|evaluation|finetune|labs|lanes|preferences|probes|sandbox|testing|tests|view"
    for name in re.findall(rf"`((?:{roots})/[\w/.-]*)`", text):
        assert (ROOT / name).exists() or "build" in name, name
    for module in re.findall(r"python -m ((?:bench|testing|labs|cli)[\w.]*)", text):
        folder = ROOT / module.replace(".", "/")
        assert folder.with_suffix(".py").exists() or (folder / "__main__.py").exists(), module
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", README))
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.make_run
def test_make_run_trains_decides_and_prints_where_the_report_is(tmp_path: Path) -> None:
    """With few probes, in the environment that runs the tests, in a workspace of its own."""
    prefix = sys.prefix
    command = [
        "make",
        "--no-print-directory",
        "run",
        f"VENV={prefix}",
        "-o",
        f"{prefix}/.installed",
        f"WORKSPACE={tmp_path}",
        "ARGUMENTS=--probes 12 --seed 1",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.strip().splitlines()[-1])
    text = report.read_text(encoding="utf-8")
    assert "microcoder" in text
    share = re.search(r"outside these three +\|[^|]+\| +([0-9.]+)%", text)
    assert share
    assert 0 < float(share[1]) < 100
    rows = (tmp_path / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[1].split("\t")[3] == "BASELINE"
    assert len(rows) > 3
    assert (tmp_path / "runs" / "progress.log").exists()
    for folder in (tmp_path / "runs").glob("probe-*"):
        for name in ("recipe.toml", "probe.json", "train.jsonl", "answers.jsonl", "outcome.json", "adapter"):
            assert (folder / name).exists()
    look_at_every_page(Workspace(tmp_path))


def look_at_every_page(workspace: Workspace) -> None:
    """Of a session that trained, in a browser; where there is none, what the server answers."""
    if browsing.CHROMIUM is None:
        with browsing.served(workspace) as at:
            for path in browsing.pages_of(workspace):
                asked = Request(f"{at.root}{path}", headers={"Authorization": f"Bearer {browsing.TOKEN}"})
                assert urlopen(asked, timeout=60).status == 200
        return
    with sync_playwright() as playwright, browsing.watched(browsing.chromium(playwright), workspace) as watched:
        for path in browsing.pages_of(workspace):
            watched.go(path)
            assert not watched.is_too_wide, path
            assert watched.serious_findings() == [], path
            if "/decisions/" in path and "baseline" not in path:
                assert watched.page.locator(".plot .scatterlayer .trace").count() > 1
                assert watched.page.locator(".side pre").count() > 1


def test_the_first_commands_of_your_own_study_run_as_written(tmp_path: Path) -> None:
    lines = [shlex.split(line, comments=True) for line in block(".venv/bin/nightlane doctor")]
    names = ["doctor", "init", "check", "run", "status", "watch", "resume", "report", "explain", "finetune"]
    names += ["promote", "evaluate", "export", "ship"]
    assert [words[1] for words in lines] == names
    for words in lines[:3]:  # the others need the hub's model, or a session
        done = nightlane(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_the_first_commands_of_the_quickstart_run_as_written(tmp_path: Path) -> None:
    text = page("docs/quickstart.md")
    for start in ("nightlane init", "sed "):
        for line in block(start, text):
            if line.startswith("sed "):
                subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
                continue
            done = nightlane(*shlex.split(line, comments=True)[1:], cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    kinds = re.findall(r"^\| `(\w+)`[^|]*\|", text, re.MULTILINE)
    assert kinds == [one.kind for one in KINDS]


@pytest.mark.make_run
def test_the_bundled_problems_are_evaluated_as_written(tmp_path: Path) -> None:
    build(ROOT / "labs" / "microcoder" / "build", lambda stage, share: None)
    lines = block("nightlane evaluate --problems labs/", page("docs/evaluation.md"))
    line = " ".join(part.rstrip("\\").strip() for part in lines)
    words = [*shlex.split(line)[1:], "--seeds", "42", "--workspace", str(tmp_path), "--json"]
    done = nightlane(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == len(found["results"]) == 144
    assert found["refused"] == []
    assert 0.3 < found["pass_at_k"]["1"]["mean"] < 0.8


def test_the_exit_codes_are_those_of_the_command() -> None:
    text = page("docs/troubleshooting.md")
    listed = ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    assert f"Exit codes: {listed}." in " ".join(text.split())
    headings = re.findall(r"^## (\d+):", text, re.MULTILINE)
    assert [int(code) for code in headings] == [code for code in EXIT_CODES if code]


def test_the_rooms_are_the_folders() -> None:
    rooms = re.findall(r"^\| `(\w+)/` \|", page("docs/architecture.md"), re.MULTILINE)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(rooms) == packages | {"tests"}


def test_the_policy_names_of_the_method_are_keys() -> None:
    text = page("docs/decisions.md")
    told = ("smallest_effect", "night_error", "later_error", "spend", "guard_error", "wave", "member_chance")
    for name in (*told, "confirming_seeds", "disguised", "holdout_seeds"):
        assert f"`{name}`" in text
        assert name in PolicySettings.model_fields


def test_the_excerpt_has_the_columns_of_results_tsv() -> None:
    command, header, *rows = block("$ cut")
    assert set(header.split()) <= set(COLUMNS)
    assert len(rows) == 6
    done = subprocess.run(
        ["bash", "-c", command.removeprefix("$ ")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [header, *rows]


def test_the_recorded_session_is_in_the_repository() -> None:
    rows = [row.split("\t") for row in (ROOT / "results.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == list(COLUMNS)
    recorded = [row for row in rows[1:] if (ROOT / "runs" / f"session-{row[1]}" / "report.md").exists()]
    assert {row[4] for row in recorded} >= {"hyperparameters", "mixture", "curriculum"}
    assert len([row for row in recorded if row[3] != "BASELINE"]) >= 8


def test_the_tables_of_a_judge_and_a_server_are_ones_that_are_taken() -> None:
    scorer = tomllib.loads("\n".join(block("[scorer]", page("docs/judges.md"))))["scorer"]
    assert scorer_settings(scorer).kind == "judge"
    assert set(scorer) <= set(JudgeSettings.model_fields)
    serving = tomllib.loads("\n".join(block("[serving]", page("docs/serving.md"))))["serving"]
    assert ServingSettings.model_validate(serving).kind == "endpoint"
