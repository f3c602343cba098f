"""A person steers a session that was interrupted: the requests that they make, and the session that takes them."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.commands.recovery import require_success
from bench.faults.scenarios.nights import by_order, night, observe, simulated
from bench.faults.scenarios.observe import read_tables
from bench.faults.scenarios.scenario import Command, Run, Scenario, exit_code_of, nightlane
from probes.result.reading import Outcome, Probe
from probes.run.protocol import Listener
from testing.simulated_runner import SimulatedRunner

PROBES = 12
"""The session is killed after so many probes, in a wave whose proposals are not decided yet."""
NIGHT = night("interrupted night", by_order, probes=30)


class KilledRunner(SimulatedRunner):
    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        if len(list(self.store.runs.glob("probe-*"))) >= PROBES:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._run_one(probe, listener)


def _write_interrupted_night(root: Path, run: Run) -> None:
    NIGHT.prepare(root, run)
    study = root / "study" / "study.toml"
    killed = run(nightlane("run", study, "--workspace", root, before=simulated(by_order, runner=KilledRunner)))
    if killed.code != -signal.SIGKILL:
        raise RuntimeError(f"a night ends before {PROBES} probes: exit {killed.code}, {killed.stderr[-2000:]}")


def _requests(root: Path) -> list[tuple[str, ...]]:
    """One of each kind, as a person would type it."""
    tables = read_tables(root / "runs" / "ledger.sqlite", ["proposals", "decisions"])
    decided = {row["id"] for row in tables["decisions"]}
    proposal = next(str(row["id"]) for row in tables["proposals"] if row["id"] not in decided)
    return [
        ("note", "prefer easy rows first"),
        ("propose", "curriculum=hard_first", "--why", "to see"),
        ("skip", proposal),
        ("budget", "--probes", "28"),
        ("pause",),
        ("continue",),
        ("stop", "--after-round"),
    ]


def _ask(root: Path) -> Command:
    """The requests that the ledger does not have yet, one command after the other: a person who was interrupted sees in
    nightlane status which were made."""

    def ask() -> int:
        made = len(_stored(root))
        for request in _requests(root)[made:]:
            if code := exit_code_of(nightlane(*request, "--workspace", root)):
                return code
            made += 1
            print(f"request {made} is made", file=sys.stderr)
        return 0

    return ask


def _stored(root: Path) -> set[str]:
    checks = read_tables(root / "runs" / "ledger.sqlite", ["checks"]).get("checks", [])
    return {f"request {row['subject']}" for row in checks if "what" in json.loads(str(row["data"]))}


def _reported(stderr: str) -> set[str]:
    return {line.removesuffix(" is made") for line in stderr.splitlines() if line.endswith(" is made")}


def _write_requests(root: Path, run: Run) -> None:
    _write_interrupted_night(root, run)
    require_success(run(_ask(root)))


def _resume(root: Path) -> Command:
    return nightlane("resume", "--workspace", root, before=simulated(by_order))


def _ask_rest(root: Path, run: Run) -> Sequence[ProcessResult]:
    return [run(_ask(root))]


STEERING = (
    Scenario(
        "requests to a session",
        _write_interrupted_night,
        _ask,
        _ask_rest,
        observe,
        _reported,
        _stored,
        weight=5,
    ),
    replace(NIGHT, name="resume with requests", prepare=_write_requests, command=_resume, weight=3),
)
