"""nightlane bench faults: plans the cases, has two processes play them, and prints the table.

    nightlane bench faults [--quick] [--minutes 30] [--kind kill [--case 17]] [--json] [--output DIR]

The table goes to stdout (JSON with --json), progress to stderr. --output also writes faults.md and faults.json. Exit
status 0: all planned cases were played; nothing was lost, doubled or different, and nothing ended in a traceback. If
the machine is too slow for a scenario, the scenario is not played, and the table says so.
"""

import json
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path

from bench.faults.cases import require_possible, scenario_of
from bench.faults.outcome import KINDS, Outcome
from bench.faults.table import Used, as_data, details, markdown
from common.errors import BadInput

FULL: Mapping[str, int] = {
    "real": 8,
    "damaged": 4,
    "cut": 500,
    "full": 200,
    "error": 200,
    "kill": 500,
    "state": 4500,
}
QUICK: Mapping[str, int] = {"cut": 20, "full": 10, "error": 10, "kill": 20, "state": 100}
PROCESSES = 2
ROOT = Path(__file__).parents[2]
BATCH = 25
FEW = 500
"""Fewer cases than this are not divided into batches."""
Batch = list[tuple[str, int]]
QUICK_SCENARIOS = (
    "night with a harvest",
    "pairs vote",
    "pairs export, then finetune",
    "doctor --repair",
    "labs build",
    "init",
)
"""The scenarios of --quick, because preparing all of them takes too long."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "COLUMNS": "200",
}
"""Environment variables of the processes that play: one thread, because they fork, and a fixed hash seed."""


def main(
    quick: bool = False,
    minutes: float | None = None,
    kind: str | None = None,
    case: int | None = None,
    as_json: bool = False,
    output: Path | None = None,
) -> int:
    if kind is not None and kind not in KINDS:
        raise BadInput(f"--kind {kind!r} is not known; use one of {', '.join(KINDS)}")
    if case is not None and kind is None:
        raise BadInput(f"--case {case} needs the kind of the case; add --kind, one of {', '.join(KINDS)}")
    require_possible()
    wanted = QUICK if quick and kind not in set(FULL) - set(QUICK) else FULL
    cases = {name: _numbers(name, wanted) for name in wanted if kind in (None, name)}
    if kind is not None and case is not None:
        cases = {kind: [case]}
    started = time.monotonic()
    deadline = started + 60 * (minutes if minutes is not None else 2 if quick else 30)
    outcomes = list(_play_all(cases, deadline))
    seconds, usage = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = Used(seconds, usage.ru_utime + usage.ru_stime)
    planned = {name: len(numbers) for name, numbers in cases.items()}
    data = as_data(outcomes, planned, used)
    text = markdown(outcomes, planned, used) if case is None else details(outcomes)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "faults.md").write_text(text, encoding="utf-8")
        (output / "faults.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(data) if as_json else text)
    return 0 if data["clean"] else 1


def _numbers(kind: str, wanted: Mapping[str, int]) -> list[int]:
    """The first numbers of a kind; with --quick, only those of a few scenarios."""
    quick = wanted is QUICK
    return list(islice((n for n in count() if not quick or scenario_of(kind, n).name in QUICK_SCENARIOS), wanted[kind]))


def _play_all(cases: Mapping[str, Sequence[int]], deadline: float) -> Iterator[Outcome]:
    """The outcomes as they arrive; no case starts after the deadline."""
    waiting, outcomes = _Queue(_batches(cases)), queue.SimpleQueue[Outcome | None]()
    for number in range(PROCESSES):
        threading.Thread(target=_drive, args=(number, waiting, outcomes, deadline), daemon=True).start()
    total, done, bad, running, shown = sum(map(len, cases.values())), 0, 0, PROCESSES, time.monotonic()
    while running:
        if (outcome := outcomes.get()) is None:
            running -= 1
        else:
            done, bad = done + 1, bad + outcome.bad
            yield outcome
        if time.monotonic() - shown > 5 or not running:
            shown = time.monotonic()
            progress = f"{done} of {total} cases, {bad} of them wrong, at most {max(0.0, deadline - shown):.0f} s left"
            print(f"bench faults: {progress} ...", file=sys.stderr, flush=True)


class _Queue:
    """The batches that nobody has played yet. A process prefers the scenarios that it has prepared."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches, self.owner, self.lock = batches, dict[str, int](), threading.Lock()

    def take(self, process: int) -> Batch | None:
        with self.lock:
            batch = next((batch for batch in self.batches if self._is_owner(process, batch)), None)
            if batch is None and self.batches:
                batch = self.batches[-1]
            if batch is not None:
                self.batches.remove(batch)
            return batch

    def _is_owner(self, process: int, batch: Batch) -> bool:
        return self.owner.setdefault(scenario_of(*batch[0]).name, process) == process


def _drive(process: int, waiting: _Queue, outcomes: "queue.SimpleQueue[Outcome | None]", deadline: float) -> None:
    """Have one process play batches until none is left or the time is over. Its death is an outcome, too."""
    worker: subprocess.Popen[str] | None = None
    try:
        while batch := waiting.take(process):
            for kind, number in batch:
                if time.monotonic() > deadline:
                    return
                worker = worker or _worker()
                assert worker.stdin is not None
                assert worker.stdout is not None
                worker.stdin.write(json.dumps([kind, number]) + "\n")
                if line := worker.stdout.readline():
                    outcomes.put(Outcome(**json.loads(line)))
                    continue
                worker.communicate()
                death = (f"the process that played it died, exit {worker.returncode}",)
                outcomes.put(Outcome(kind, number, scenario_of(kind, number).name, "", traceback=death))
                worker = None
    finally:
        if worker is not None:
            worker.communicate()
        outcomes.put(None)


def _worker() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.faults.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
    )


def _batches(cases: Mapping[str, Sequence[int]]) -> list[Batch]:
    """The cases in batches of one scenario each, because a process prepares a scenario once.

    Rare kinds come first, and scenarios take turns, so that a deadline leaves out no kind and no scenario.
    """
    if sum(map(len, cases.values())) < FEW:
        return _by_scenario([[(kind, number)] for kind, numbers in cases.items() for number in numbers])
    batches = []
    for kind, numbers in cases.items():
        scenarios = _by_scenario([[(kind, number)] for number in numbers])
        turns = [(start, own[start : start + BATCH]) for own in scenarios for start in range(0, len(own), BATCH)]
        batches += [batch for _, batch in sorted(turns, key=lambda turn: turn[0])]
    return batches


def _by_scenario(batches: Sequence[Batch]) -> list[Batch]:
    """One batch for each scenario."""
    merged: dict[str, Batch] = {}
    for batch in batches:
        merged.setdefault(scenario_of(*batch[0]).name, []).extend(batch)
    return list(merged.values())
