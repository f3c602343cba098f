"""The scenarios of init, prompts, service, report, doctor --repair, and the build of a lab."""

import contextlib
import shutil
import sqlite3
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.ledger.results.files import publish
from agent.ledger.store import Ledger
from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.commands.material import run_night, write_stores
from bench.faults.scenarios.commands.recovery import files, nothing, repeat_in_empty_folder
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed, read_tables
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane, repeat
from cli import machine
from cli import main as command_line
from probes.scoring.benchmarks import scorer as benchmarks
from probes.scoring.benchmarks.task import TaskSample
from testing.simulated_study import write_study


def _report(root: Path) -> Command:
    return nightlane("report", "--workspace", root)


def _init(root: Path) -> Command:
    return nightlane("init", root / "out")


def _write_study_without_prompts(root: Path, run: Run) -> None:
    (write_study(root / "study").parent / "prompts.jsonl").unlink()


def _prompts(root: Path, *more: str) -> Command:
    """The prompts of a task; a stub takes the place of the package that has tasks."""

    def replace_task() -> None:
        words = ("lamp", "harbour", "storm", "keeper", "anchor", "gull", "rope", "tide", "bell", "mast")
        asked = [f"What did the {word} do on the {number}th night?" for number, word in enumerate(words)]
        samples = {name: TaskSample(name, "lists", name, None, "1") for name in asked}
        task = types.SimpleNamespace(name="night", samples=samples)
        benchmarks.prompts_task = lambda settings, folder: task

    return nightlane("prompts", root / "study" / "study.toml", *more, before=replace_task)


def _write_prompts_again(root: Path, run: Run) -> Sequence[ProcessResult]:
    """A person who finds the file, and does not know whether it is whole, writes over it."""
    results = [run(_prompts(root))]
    return [*results, run(_prompts(root, "--force"))] if results[0].code == 2 else results


def _write_study(root: Path, run: Run) -> None:
    write_study(root / "study")


def service(root: Path) -> Command:
    return nightlane("service", root / "study" / "study.toml", "--output", root / "units", "--workspace", root)


def _build_lab(root: Path) -> Command:
    """Build a lab of tiny files; a stub writes the base model instead of training it."""

    def build(**_: object) -> None:
        from labs._build.files import replace_folder
        from labs._build.files import write_rows as rows
        from labs.persona import material

        def two_files(folder: Path) -> None:
            for name in "ab":
                (folder / name).write_text(name * 999)

        def make(directory: Path, size: object, progress: object) -> tuple[dict[str, Any], dict[str, float]]:
            for name in ("plain", "ornate"):
                rows(directory / f"{name}.jsonl", ({"prompt": str(n), "style": name} for n in range(40)))
            replace_folder(directory / "base", two_files)
            return {}, {}

        stages: Any = types.ModuleType("labs.persona.stages")
        stages.make = make
        sys.modules["labs.persona.stages"] = stages
        material.build(root / "build", lambda stage, share: None)

    return nightlane(before=lambda: setattr(command_line, "app", build))


def _damage(root: Path, run: Run) -> None:
    """A night and stores with a damaged row each. The ledger's last events are only in its write-ahead log."""
    write_stores(root, run)
    run_night(root, run)
    with (root / "runs" / "rl_data" / "dpo.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"torn": tru\n')
    path = root / "runs" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE proposals SET hypothesis = 'changed' WHERE rowid = 1")
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(path) as ledger:
            for number in range(20):
                session = ledger.sessions()[0]
                ledger.record_event(f"event {number}", session, "2026-01-01T00:00:00Z", f"event {number}")
            publish(ledger, root)
            shutil.copytree(path.parent, folder, dirs_exist_ok=True)
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            shutil.copy(Path(folder) / name, path.parent)


def _repair(root: Path) -> Command:
    def leave_machine_out() -> None:
        machine.examine = lambda *_: ([], True)

    return nightlane("doctor", "--repair", "--workspace", root, before=leave_machine_out)


def _repaired(root: Path) -> Observed:
    """What a night and the stores left, and the events of the ledger."""
    events = read_tables(root / "runs" / "ledger.sqlite", ["events"]).get("events", [])
    return {**observe_night(root), "events": sorted(str(event["text"]) for event in events)}


OTHERS = (
    Scenario("init", nothing, _init, repeat_in_empty_folder(_init), files("out"), weight=5),
    Scenario("prompts", _write_study_without_prompts, _prompts, _write_prompts_again, files("study")),
    Scenario("service", _write_study, service, repeat(service), files("units")),
    Scenario("report", run_night, _report, repeat(_report), observe_night, weight=5),
    Scenario("doctor --repair", _damage, _repair, repeat(_repair), _repaired, weight=8),
    Scenario("labs build", nothing, _build_lab, repeat(_build_lab), files("build"), weight=8),
)
