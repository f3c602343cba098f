"""Does a night stay as quick as it began, and a workspace as quick as when it was new?

    nightlane bench soak [--quick] [--json]

Plays sessions with the simulated runner in one process until 2,000 decisions are made: milliseconds of the
processor per decision, memory, descriptors and threads at the beginning and at the end. Then fills another
workspace's ledger with 10,000 real rows, and times status, report and the start of a run there, and a run there
against one in a new workspace. Exit status 1: a limit is missed, or a process that has ended left another behind.
"""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from agent.ledger.result_files import publish
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.start import Overrides, begin
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from probes.result.reading import Probe, Reading
from probes.run.protocol import Progress
from probes.run.store import ProbeStore
from view.data.session_record import load_record
from view.report.markdown import table
from view.report.report import report_markdown, write_report
from view.terminal.status import session_status

COMMAND = [sys.executable, "-m", "cli.main"]
NIGHT = 100
"""Decisions of each session that a ledger is filled with."""
SAME = 10
"""Of so many of these sessions one has the question of the run that is timed."""
SETTLED = 0.3
"""Of the decisions: from then on the model of responses is as large as it gets, and the limits hold."""
STUDY = """
name = "soak"
[model]
path = "none"
[recipe]
learning_rate = 1e-4
mixture = "even"
[data.sources]
good = "good.jsonl"
other = "other.jsonl"
[data.manifests.even]
good = 1.0
other = 1.0
[data.manifests.good_only]
good = 1.0
[prompts]
file = "prompts.jsonl"
[target]
category = "lists"
[guards]
strings = 1.5
[probe]
steps = 20
seeds = [42, 123, 7]
samples = 2
[lanes.hyperparameters]
share = 4.0
learning_rate = { low = 1e-6, high = 0.1, factor = 1.1, reach = 60 }
beta = { low = 0.01, high = 2.0, step = 0.01, reach = 60 }
warmup = { low = 0.0, high = 0.5, step = 0.005, reach = 60 }
lora_dropout = { low = 0.0, high = 0.5, step = 0.005, reach = 60 }
weight_decay = { low = 0.0, high = 0.3, step = 0.003, reach = 60 }
[lanes.mixture]
[lanes.curriculum]
[policy]
survey = 0
holdout_seeds = 0
plateau = 1000000
[budget]
disk_gb = 0
[runner]
kind = "simulated"
"""


@dataclass(frozen=True)
class Size:
    decisions: int
    filled: int
    timed: int


FULL = Size(2000, 10_000, 20)
QUICK = Size(60, 400, 6)


@dataclass(frozen=True)
class Figure:
    """One measured value; ``limit``: what it may be at most, None of one that only informs."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def missed(self) -> bool:
        return self.limit is not None and self.value > self.limit


def main(quick: bool = False, as_json: bool = False) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), QUICK if quick else FULL)
    missed = [one for one in found if one.missed]
    if as_json:
        print(json.dumps([{**vars(one), "missed": one.missed} for one in found], indent=1))
    else:
        rows = [
            (
                one.name,
                f"{one.value:.3g} {one.unit}".strip(),
                "" if one.limit is None else f"{one.limit:g}",
                "missed" if one.missed else "",
            )
            for one in found
        ]
        print("\n".join(table(("figure", "measured", "at most", ""), rows, right=(1, 2))))
    return 1 if missed else 0


def _written(folder: Path) -> Path:
    """The study with a few rows and prompts, of which the simulated runner only counts."""
    folder.mkdir(parents=True)
    pairs = [{"prompt": f"# task {n}\n", "chosen": f"x = {n}\n", "rejected": f"y = {n}\n"} for n in range(8)]
    prompts = [
        {
            "id": f"{split}-{category}-{n}",
            "split": split,
            "category": category,
            "difficulty": 1,
            "prompt": f"# {split} {category} {n}\n",
            "checks": {"entry_point": "f", "cases": [{"args": [n], "expected": n}]},
        }
        for split in ("probe", "harvest", "holdout")
        for category in ("lists", "strings")
        for n in range(4)
    ]
    for name, rows in (("good", pairs), ("other", pairs), ("prompts", prompts)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


def measure(folder: Path, size: Size) -> list[Figure]:
    study = load_study(_written(folder / "study"))
    return [*soaked(study, folder / "long", size), *grown(study, folder, size)]


# one long night


class Pulse:
    """A watcher that notes what the process has used at each decision."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, int, int, int]] = []

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn > 0:
            self.taken.append((time.process_time(), *_used()))


def soaked(study: Study, root: Path, size: Size) -> list[Figure]:
    pulse = Pulse()
    for seed in count():
        left = size.decisions - len(pulse.taken)
        if left <= 0:
            break
        begin(study, Workspace(root), Overrides(decisions=left), pulse, write_report, seed=seed)
    taken, tenth = pulse.taken, size.decisions // 10
    settled = int(SETTLED * size.decisions)
    began, middle, ended = (
        1000 * (taken[start + tenth][0] - taken[start][0]) / tenth for start in (0, settled, len(taken) - tenth - 1)
    )
    memory, handles, threads = (taken[-1][place] - taken[settled][place] for place in (1, 2, 3))
    return [
        Figure("sessions", seed, ""),
        Figure("a decision, the first tenth", began, "ms"),
        Figure(f"a decision, from {settled}", middle, "ms"),
        Figure("a decision, the last tenth", ended, "ms"),
        Figure(f"the last tenth to that from {settled}", ended / middle, "", 1.5),
        Figure("memory, growth", memory / 1e6, "MB", 50.0),
        Figure("descriptors, growth", handles, "", 0.0),
        Figure("threads, growth", threads, "", 0.0),
    ]


def _used() -> tuple[int, int, int]:
    """Bytes of memory, descriptors, threads."""
    gc.collect(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return (pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")))


# a workspace that has grown


def grown(study: Study, folder: Path, size: Size) -> list[Figure]:
    new, old, same = folder / "new", folder / "old", folder / "same"
    fresh = Timed.run("run", study.path, "--workspace", new, "--decisions", size.timed)
    fill(new, old, size.filled, 0)
    fill(new, same, size.filled, SAME)
    for root in (new, old):  # what is imported when it is used first is no work of ours
        looked = _seconds(partial(session_status, Workspace(root), None))
        reported = _seconds(partial(_reported, Workspace(root)))
    start = _start(study, old)
    status = Timed.run("status", "--workspace", old)
    small = Timed.run("status", "--workspace", new)
    there, alike = (
        Timed.run("run", study.path, "--workspace", root, "--decisions", size.timed) for root in (old, same)
    )
    ended = (fresh, there, alike, status, small, killed(study, old))
    return [
        Figure(f"status at {size.filled}", looked, "s", 1.0),
        Figure("the command, with its imports, by the clock", status.seconds, "s"),
        Figure("the same in a new workspace", small.seconds, "s"),
        Figure(f"report at {size.filled}", reported, "s", 1.0),
        Figure(f"start of a run at {size.filled}", start, "s", 1.0),
        Figure(f"a run at {size.filled} to a fresh one, time", there.processor / fresh.processor, "", 1.2),
        Figure(f"a run at {size.filled} to a fresh one, memory", there.memory / fresh.memory, "", 1.2),
        Figure(f"the same, a {SAME}th under its question, time", alike.processor / fresh.processor, ""),
        Figure(f"the same, a {SAME}th under its question, memory", alike.memory / fresh.memory, ""),
        Figure("processes left behind", sum(one.left for one in ended), "", 0.0),
    ]


@dataclass(frozen=True)
class Timed:
    """A nightlane process that has ended. ``left``: whether another of its group lives on."""

    seconds: float
    processor: float
    memory: float
    left: bool

    @classmethod
    def run(cls, *words: object) -> "Timed":
        return cls.of(_process(*words))

    @classmethod
    def of(cls, process: subprocess.Popen[bytes]) -> "Timed":
        begun = time.perf_counter()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 130, -signal.SIGKILL):
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        try:
            os.killpg(process.pid, 0)
            left = True
        except ProcessLookupError:
            left = False
        seconds = time.perf_counter() - begun
        return cls(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0, left)


def _process(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )


def killed(study: Study, root: Path) -> Timed:
    """A run that is killed once it measures."""
    process = _process("run", study.path, "--workspace", root)
    with Ledger(root / "runs" / "ledger.sqlite", read_only=True) as ledger:
        before = len(ledger.sessions())
        while process.poll() is None and len(ledger.sessions()) == before:
            time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    return Timed.of(process)


def _reported(workspace: Workspace) -> str:
    return report_markdown(load_record(workspace, None))


def _start(study: Study, root: Path) -> float:
    """Until the first probe is asked for."""

    class Begun(Exception):
        pass

    class First(Pulse):
        def measuring(self, title: str, probes: Sequence[Probe]) -> None:
            raise Begun

    def started() -> None:
        with contextlib.suppress(Begun):
            begin(study, Workspace(root), Overrides(decisions=1), First(), write_report)

    return _seconds(started)


def _seconds(action: Callable[[], object]) -> float:
    """Of the processor, so that a busy machine does not count."""
    begun = time.process_time()
    action()
    return time.process_time() - begun


def fill(source: Path, target: Path, number: int, same: int) -> None:
    """A workspace with so many decisions: the rows of the source's session, again and again, as sessions of NIGHT
    decisions under other questions; one of ``same`` under its own."""
    with (
        Ledger(source / "runs" / "ledger.sqlite", read_only=True) as ledger,
        Ledger(target / "runs" / "ledger.sqlite") as filled,
    ):
        session = ledger.session()
        if session is None:
            raise SystemExit(f"{source} holds no session")
        pairs = [(proposal, decision) for _, proposal, decision in ledger.history(session.question, session.key)]
        readings = (ProbeStore(source / "runs").read(row.id) for row in ledger.probes(session.id))
        probes = [
            (Probe(ledger.recipe(one.recipe), one.key, one.seed), one) for one in readings if isinstance(one, Reading)
        ]
        for night in range(number // NIGHT):
            name = f"20250101-{night:06d}"
            own = same and night % same == 0
            asked = session.question if own else f"{night % 7} {session.question}"
            filled.begin(
                replace(session, id=name, question=asked, started=f"2025-01-01T00:{night // 60:02d}:{night % 60:02d}Z"),
                ledger.recipe(session.start),
            )
            rows = []
            for turn in range(1, NIGHT + 1):
                proposal, decision = pairs[turn % len(pairs)]
                proposal = replace(proposal, id=f"{name}-{turn:03d}", session=name, turn=turn)
                filled.record_proposal(proposal, ledger.recipe(proposal.child))
                filled.record_probe(name, *probes[turn % len(probes)], proposal.time)
                row = {**decision.row, "session": name, "id": proposal.id}
                rows.append((replace(decision, id=proposal.id, session=name, turn=turn, row=row), f"line {turn}"))
            filled.record_decisions(rows)
            filled.finish(name, "2025-01-02T00:00:00Z", "filled")
        publish(filled, target)
