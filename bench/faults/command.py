"""nightlane bench faults: the plan, two processes that play it, and the table.

    nightlane bench faults [--quick] [--minutes 30] [--kind kill [--case 17]] [--json] [--output DIR]

The table goes to stdout (JSON with --json), progress to stderr. --output writes faults.md and faults.json too. Exit
status 0: nothing was lost, doubled or different and nothing ended in a traceback, in as many cases as were wanted.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path

from bench.faults.cases import KINDS, Outcome, require_possible, scenario_of
from bench.faults.table import as_data, details, markdown
from common.errors import BadInput

FULL: Mapping[str, int] = {"real": 8, "damaged": 4, "cut": 500, "full": 200, "error": 200, "kill": 5000}
QUICK: Mapping[str, int] = {"cut": 20, "full": 10, "error": 10, "kill": 60}
PROCESSES = 2
ROOT = Path(__file__).parents[2]
BATCH, FEW = 25, 500
Batch = list[tuple[str, int]]
QUICKLY = ("night with a harvest", "pairs vote", "pairs export, then finetune", "labs build", "init")
"""What --quick runs: to prepare all scenarios takes longer than it may."""
ALONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "COLUMNS": "200",
}
"""Of the processes that play: one thread, since they fork, and the same order of sets each time."""


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
        raise BadInput(f"--case {case} is of a kind; name it with --kind, one of {', '.join(KINDS)}")
    require_possible()
    wanted = QUICK if quick and kind not in set(FULL) - set(QUICK) else FULL
    cases = {name: _numbers(name, wanted) for name in wanted if kind in (None, name)}
    if kind is not None and case is not None:
        cases = {kind: [case]}
    begun = time.monotonic()
    ends = begun + 60 * (minutes if minutes is not None else 2 if quick else 30)
    outcomes = list(_played(cases, ends))
    seconds = time.monotonic() - begun
    asked = {name: len(numbers) for name, numbers in cases.items()}
    data = as_data(outcomes, asked, seconds)
    text = markdown(outcomes, asked, seconds) if case is None else details(outcomes)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "faults.md").write_text(text, encoding="utf-8")
        (output / "faults.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(data) if as_json else text)
    return 0 if data["clean"] else 1


def _numbers(kind: str, wanted: Mapping[str, int]) -> list[int]:
    """The first so many of a kind; quickly, those of few scenarios."""
    quick = wanted is QUICK
    return list(islice((n for n in count() if not quick or scenario_of(kind, n).name in QUICKLY), wanted[kind]))


def _played(cases: Mapping[str, Sequence[int]], ends: float) -> Iterator[Outcome]:
    """The outcomes, as they come; cases whose turn comes after the end are not played."""
    waiting, outcomes = _Waiting(_batches(cases)), queue.SimpleQueue[Outcome | None]()
    for number in range(PROCESSES):
        threading.Thread(target=_drive, args=(number, waiting, outcomes, ends), daemon=True).start()
    total, done, bad, running, shown = sum(map(len, cases.values())), 0, 0, PROCESSES, time.monotonic()
    while running:
        if (outcome := outcomes.get()) is None:
            running -= 1
        else:
            done, bad = done + 1, bad + outcome.bad
            yield outcome
        if time.monotonic() - shown > 5 or not running:
            shown = time.monotonic()
            told = f"{done} of {total} cases, {bad} of them wrong, at most {max(0.0, ends - shown):.0f} s left"
            print(f"bench faults: {told} ...", file=sys.stderr, flush=True)


class _Waiting:
    """What is still to be played. A process goes on with the scenarios that it has prepared, and takes another's when
    it has none left."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches, self.owner, self.lock = batches, dict[str, int](), threading.Lock()

    def take(self, process: int) -> Batch | None:
        with self.lock:
            found = next((one for one in self.batches if self._owned(one, process)), None)
            if found is None and self.batches:
                found = self.batches[-1]
            if found is not None:
                self.batches.remove(found)
            return found

    def _owned(self, batch: Batch, process: int) -> bool:
        return self.owner.setdefault(scenario_of(*batch[0]).name, process) == process


def _drive(process: int, waiting: _Waiting, outcomes: "queue.SimpleQueue[Outcome | None]", ends: float) -> None:
    """Have one process play batches until there are none or the time is over. One that dies is an outcome, too."""
    worker: subprocess.Popen[str] | None = None
    try:
        while batch := waiting.take(process):
            for kind, number in batch:
                if time.monotonic() > ends:
                    return
                worker = worker or _worker()
                assert worker.stdin is not None
                assert worker.stdout is not None
                worker.stdin.write(json.dumps([kind, number]) + "\n")
                if line := worker.stdout.readline():
                    outcomes.put(Outcome(**json.loads(line)))
                    continue
                worker.communicate()
                died = (f"the process that played it died, exit {worker.returncode}",)
                outcomes.put(Outcome(kind, number, scenario_of(kind, number).name, "", traceback=died))
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
        env={**os.environ, **ALONE},
    )


def _batches(cases: Mapping[str, Sequence[int]]) -> list[Batch]:
    """Cases of one scenario follow each other, because a process prepares it once. The rarer kinds come first, and
    scenarios take turns, so that an end before all is played leaves none out."""
    if sum(map(len, cases.values())) < FEW:
        return _joined([[(kind, number)] for kind, numbers in cases.items() for number in numbers])
    batches = []
    for kind, numbers in cases.items():
        whole = _joined([[(kind, number)] for number in numbers])
        turns = [(at, mine[at : at + BATCH]) for mine in whole for at in range(0, len(mine), BATCH)]
        batches += [batch for _, batch in sorted(turns, key=lambda turn: turn[0])]
    return batches


def _joined(batches: Sequence[Batch]) -> list[Batch]:
    """One of each scenario."""
    own: dict[str, Batch] = {}
    for batch in batches:
        own.setdefault(scenario_of(*batch[0]).name, []).extend(batch)
    return list(own.values())
