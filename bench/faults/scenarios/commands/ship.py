"""``nightlane ship`` of a study with a small model, repeated after a kill just before its export."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from bench.faults.scenarios.commands.full_runs import die_at, run_files, write_small_study
from bench.faults.scenarios.commands.material import one_bad_order
from bench.faults.scenarios.nights import ONLY_CURRICULUM, PLAIN, simulated
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed
from bench.faults.scenarios.scenario import Command, Run, Scenario, exit_code_of, nightlane, repeat
from cli.commands.model import ship as shipping


def _write_shipped(root: Path, run: Run) -> None:
    """A night, its full-length run and its promotion; the command was killed when it began to export."""
    write_small_study(root, run, lanes=ONLY_CURRICULUM, policy=PLAIN)
    study = root / "study" / "study.toml"
    study.write_text(study.read_text("utf-8").replace("decisions = 8", "probes = 16"), encoding="utf-8")
    killed = run(_ship(root, die_at("cli.commands.model.ship", "_exported", 1)))
    if killed.code != -signal.SIGKILL:
        raise RuntimeError(f"ship does not reach its export: exit {killed.code}, {killed.stderr[-2000:]}")


def _ship(root: Path, *before: Any) -> Command:
    def replace_parts() -> None:
        shipping.run_step = _forked_step
        for prepare in (simulated(one_bad_order), *before):
            prepare()

    study = root / "study" / "study.toml"
    return nightlane("ship", study, "--steps", 1, "--workspace", root, before=replace_parts)


def _forked_step(arguments: Sequence[str]) -> str:
    """A step in a forked process, because a new interpreter would import all libraries again."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(writing, 1)
            code = exit_code_of(nightlane(*arguments))
            sys.stdout.flush()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        output = stream.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise typer.Exit(code)
    return output


def _observe(root: Path) -> Observed:
    folders = ("runs/finetune-*", "runs/promotion-*", "runs/export-*")
    return {**observe_night(root), **run_files(*folders)(root)}


SHIPS = (Scenario("ship", _write_shipped, _ship, repeat(_ship), _observe, timeout=400.0),)
