"""Measures whether a long night slows down, and whether commands in a large workspace are slower than in a new one.

    nightlane bench soak [--quick] [--json]

First part: plays sessions with the simulated runner in one process until 300 waves are measured, and compares the
processor time of a wave, memory, descriptors and threads at the beginning and at the end. Second part: fills the ledger
of another workspace with 10,000 decisions of the same study, times status, report and the start of a run there, and
compares a run there with one in a new workspace. Exit status 1: a limit is exceeded, or a command leaves a process
behind.
"""

import contextlib
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path

from agent.ledger.results.files import publish
from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, DecisionRow, ProposalRow
from agent.loop.search.evidence import RECENT
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.decision_basis import DecisionBasis
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from probes.result.reading import Probe, Reading
from probes.run.protocol import Progress
from probes.run.store import ProbeStore
from testing.simulated_study import study_text, write_study
from view.data.session_record import load_record
from view.markdown import table
from view.report.report import report_markdown, write_report
from view.terminal.status import session_status

COMMAND = [sys.executable, "-m", "cli.main"]
SESSION_DECISIONS = 100
"""Decisions per session when a ledger is filled."""
LANES = """\
[lanes.hyperparameters]
share = 4.0
learning_rate = { low = 1e-6, high = 0.1, factor = 1.1, reach = 60 }
beta = { low = 0.01, high = 2.0, step = 0.01, reach = 60 }
warmup = { low = 0.0, high = 0.5, step = 0.005, reach = 60 }
lora_dropout = { low = 0.0, high = 0.5, step = 0.005, reach = 60 }
weight_decay = { low = 0.0, high = 0.3, step = 0.003, reach = 60 }
[lanes.mixture]
[lanes.curriculum]
"""
STUDY = study_text(
    probe="steps = 20\nseeds = [42, 123, 7]\nsamples = 2\n",
    lanes=LANES,
    policy="holdout_seeds = 0\n",
).replace("decisions = 8\n", "")


@dataclass(frozen=True)
class SoakSize:
    """``waves``: of the long night; ``filled``: decisions of the large workspace; ``timed``: probes of a run there."""

    waves: int
    filled: int
    timed: int


FULL = SoakSize(300, 10_000, 60)
QUICK = SoakSize(60, 400, 24)


@dataclass(frozen=True)
class Figure:
    """One measured value; ``limit`` is its maximum, None if it has none."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def missed(self) -> bool:
        return self.limit is not None and self.value > self.limit


def main(quick: bool = False, as_json: bool = False) -> int:
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), QUICK if quick else FULL)
    missed = [figure for figure in figures if figure.missed]
    if as_json:
        print(json.dumps([{**vars(figure), "missed": figure.missed} for figure in figures], indent=1))
    else:
        rows = [
            (
                figure.name,
                f"{figure.value:.3g} {figure.unit}".strip(),
                "" if figure.limit is None else f"{figure.limit:g}",
                "missed" if figure.missed else "",
            )
            for figure in figures
        ]
        print("\n".join(table(("figure", "measured", "at most", ""), rows, right=(1, 2))))
    return 1 if missed else 0


def measure(folder: Path, size: SoakSize) -> list[Figure]:
    long = load_study(write_study(folder / "long study", STUDY))
    short = load_study(write_study(folder / "study", limited(size.timed)))
    return [*measure_long_night(long, folder / "long", size), *measure_large_workspace(short, folder, size)]


def limited(probes: int) -> str:
    """The study for sessions of so many probes."""
    return STUDY.replace("[budget]\n", f"[budget]\nprobes = {probes}\n")


# one long night


class Enough(Exception):
    """Enough waves are measured."""


@dataclass
class UsageWatcher:
    """Notes the resources of the process before each wave, until ``waves`` waves are noted. ``last``: processor time
    when the last probes began; ``probes``: how many were measured before."""

    waves: int = sys.maxsize
    probes: int = 0
    last: float = field(default_factory=time.process_time)
    usage: list[tuple[int, float, int, int, int]] = field(default_factory=list)

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def examining(self, done: int, total: int) -> None:
        """Nothing is examined."""

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        if title.startswith("wave "):
            self.usage.append((self.probes, time.process_time() - self.last, *_used()))
        if len(self.usage) >= self.waves:
            raise Enough
        self.probes += len(probes)
        self.last = time.process_time()

    def decided(self, decision: DecisionRow) -> None: ...


def measure_long_night(study: Study, root: Path, size: SoakSize) -> list[Figure]:
    watcher, seeds = UsageWatcher(size.waves), count()
    with contextlib.suppress(Enough):
        for seed in seeds:
            before = len(watcher.usage)
            begin(study, Workspace(root), Overrides(), watcher, write_report, seed=seed)
            if len(watcher.usage) == before:
                raise SystemExit("a session measured no wave; widen the lanes of this benchmark")
    usage, tenth = watcher.usage, max(1, size.waves // 10)
    settled = next((place for place, (probes, *_) in enumerate(usage) if probes >= RECENT), len(usage) - tenth)
    first, middle, last = (
        1000 * statistics.median(seconds for _, seconds, *_ in usage[start : start + tenth])
        for start in (1, settled, len(usage) - tenth)
    )
    memory, descriptors = (usage[-1][column] - usage[0][column] for column in (2, 3))
    half = len(usage) // 2  # a session's thread pool starts its threads when it needs them
    threads = max(row[4] for row in usage[half:]) - max(row[4] for row in usage[: half + 1])
    return [
        Figure("sessions", next(seeds), ""),
        Figure("a wave, the first tenth", first, "ms"),
        Figure(f"a wave, from {settled}", middle, "ms"),
        Figure("a wave, the last tenth", last, "ms"),
        Figure(f"the last tenth relative to that from {settled}", last / middle, "", 1.5),
        Figure("memory, growth", memory / 1e6, "MB", 50.0),
        Figure("descriptors, growth", descriptors, "", 0.0),
        Figure("threads, growth", threads, "", 0.0),
    ]


def _used() -> tuple[int, int, int]:
    """Bytes of memory, descriptors, threads."""
    gc.collect(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return (pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")))


# a large workspace


def measure_large_workspace(study: Study, folder: Path, size: SoakSize) -> list[Figure]:
    new, large = folder / "new", folder / "large"
    fresh = Timed.run("run", study.path, "--workspace", new)
    fill(new, large, size.filled)
    for root in (new, large):  # the first round imports modules, and only the second counts
        status_seconds = _seconds(partial(session_status, Workspace(root), None))
        report_seconds = _seconds(partial(_report, Workspace(root)))
    start_seconds = _start_seconds(study, large)
    status = Timed.run("status", "--workspace", large)
    new_status = Timed.run("status", "--workspace", new)
    in_large = Timed.run("run", study.path, "--workspace", large)
    commands = (fresh, in_large, status, new_status, run_and_kill(study, large))
    return [
        Figure(f"status at {size.filled}", status_seconds, "s", 1.0),
        Figure("the status command, with imports", status.processor, "s"),
        Figure("the same in a new workspace", new_status.processor, "s"),
        Figure(f"report at {size.filled}", report_seconds, "s", 1.0),
        Figure(f"start of a run at {size.filled}", start_seconds, "s", 1.0),
        Figure(f"a run of {size.timed} probes in a new workspace", fresh.processor, "s"),
        Figure(f"a run at {size.filled}, time relative to that", in_large.processor / fresh.processor, "", 1.2),
        Figure(f"a run at {size.filled}, memory relative to that", in_large.memory / fresh.memory, "", 1.2),
        Figure("processes left behind", sum(command.left_behind for command in commands), "", 0.0),
    ]


@dataclass(frozen=True)
class Timed:
    """A nightlane process that has ended. ``left_behind``: whether another process of its group still runs."""

    seconds: float
    processor: float
    memory: float
    left_behind: bool

    @classmethod
    def run(cls, *words: object) -> "Timed":
        return cls.of(_process(*words))

    @classmethod
    def of(cls, process: subprocess.Popen[bytes]) -> "Timed":
        start = time.perf_counter()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 130, -signal.SIGKILL):
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        try:
            os.killpg(process.pid, 0)
            left_behind = True
        except ProcessLookupError:
            left_behind = False
        seconds = time.perf_counter() - start
        return cls(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024.0, left_behind)


def _process(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )


def run_and_kill(study: Study, root: Path) -> Timed:
    """A run that is killed once its session has begun."""
    process = _process("run", study.path, "--workspace", root)
    with Ledger(root / "runs" / "ledger.sqlite", read_only=True) as ledger:
        before = len(ledger.sessions())
        while process.poll() is None and len(ledger.sessions()) == before:
            time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    return Timed.of(process)


def _report(workspace: Workspace) -> str:
    return report_markdown(load_record(workspace, None))


def _start_seconds(study: Study, root: Path) -> float:
    """Seconds until the session starts its first probe."""

    class Begun(Exception):
        pass

    class FirstProbe(UsageWatcher):
        def measuring(self, title: str, probes: Sequence[Probe]) -> None:
            raise Begun

    def started() -> None:
        with contextlib.suppress(Begun):
            begin(study, Workspace(root), Overrides(decisions=1), FirstProbe(), write_report)

    return _seconds(started)


def _seconds(action: Callable[[], object]) -> float:
    """Processor time, so that a busy machine does not matter."""
    start = time.process_time()
    action()
    return time.process_time() - start


def fill(source: Path, target: Path, number: int) -> None:
    """Write a workspace with ``number`` decisions: copies of the source's rows in sessions of SESSION_DECISIONS, with
    the source's readings and waves. Each candidate that was not kept gets a recipe of its own."""
    with (
        Ledger(source / "runs" / "ledger.sqlite", read_only=True) as ledger,
        Ledger(target / "runs" / "ledger.sqlite") as filled,
    ):
        session = ledger.session()
        if session is None:
            raise SystemExit(f"{source} holds no session")
        proposals = {row.id: row for row in ledger.proposals("WHERE session = ?", (session.id,))}
        decisions = ledger.decisions("WHERE session = ? AND turn > 0", (session.id,))
        pairs = [(proposals[decision.id], decision) for decision in decisions if decision.id in proposals]
        checks = [check for check in ledger.checks(session.id) if check.kind != STACK]
        probes = _copied_probes(ledger, session.id, source, target)
        for night in range(number // SESSION_DECISIONS):
            name = f"20250101-{night:06d}"
            started = f"2025-01-01T00:{night // 60:02d}:{night % 60:02d}Z"
            filled.begin(replace(session, id=name, started=started), ledger.recipe(session.start))
            for check in checks:
                recipes = [ledger.recipe(made["recipe"]) for made in check.data.get("recipes", ())]
                filled.record_design(replace(check, session=name), recipes)
            rows = []
            for turn in range(1, SESSION_DECISIONS + 1):
                proposal, decision = pairs[turn % len(pairs)]
                child = ledger.recipe(proposal.child)
                filled.record_recipe(child)
                if decision.status != "KEEP":  # what was kept is the parent of later candidates
                    norm = child.max_grad_norm + (night * SESSION_DECISIONS + turn) / 1e6
                    child = child.model_copy(update={"max_grad_norm": norm})
                proposal = replace(proposal, id=f"{name}-{turn:03d}", session=name, turn=turn, child=child.digest)
                filled.record_proposal(proposal, child)
                measured = probes[(night * SESSION_DECISIONS + turn) % len(probes)]
                filled.record_probe(name, *measured, proposal.time)
                row = {**decision.row, "session": name, "id": proposal.id}
                basis = _alone(decision.basis, proposal)
                copied = replace(decision, id=proposal.id, session=name, turn=turn, row=row, basis=basis)
                rows.append((copied, f"line {turn}"))
            filled.record_decisions(rows)
            filled.finish(name, "2025-01-02T00:00:00Z", "filled")
        publish(filled, target)


def _copied_probes(ledger: Ledger, session: str, source: Path, target: Path) -> list[tuple[Probe, Reading]]:
    """Write as many readings into the target's runs as a session reads: those of one session, copied repeatedly under
    new seeds."""
    readings = [
        reading
        for row in ledger.probes(session)
        if isinstance(reading := ProbeStore(source / "runs").read(row.id), Reading)
    ]
    probes = []
    for number in range(RECENT):
        reading = readings[number % len(readings)]
        probe = Probe(ledger.recipe(reading.recipe), reading.key, reading.seed + number // len(readings))
        copied = replace(reading, probe=probe.id, seed=probe.seed)
        ProbeStore(target / "runs").put(probe, copied)
        probes.append((probe, copied))
    return probes


def _alone(basis: DecisionBasis | None, proposal: ProposalRow) -> DecisionBasis | None:
    """The basis of a copied decision, as if its change had been confirmed alone."""
    if basis is None or basis.stack is None:
        return basis
    return replace(basis, stack=replace(basis.stack, number=proposal.turn, members=(proposal.id,)))
