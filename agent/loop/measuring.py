"""Runs probes and makes their outcomes durable. Nothing is measured twice, or under a changed study."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from agent.ledger.result_files import ResultFiles
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, SessionRow
from agent.loop.budget import Spent, exhausted, judging_allowance, spent_by
from agent.loop.judge_monitor import JudgeMonitor
from agent.loop.pairwise_choices import Choices
from agent.loop.round import Pair, Wanted
from agent.study.load import Study, reload_study
from agent.study.schema import Budget
from agent.workspace.folder import Workspace, full_disk_is_said, uninterrupted
from common.clock import now
from common.errors import BadInput, BudgetSpent, DiskFull, StudyChanged
from probes.endpoint.spending import Allowance
from probes.result.comparison import Choice
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading
from probes.run.protocol import Progress, Runner
from probes.run.store import ProbeStore

READ_AGAIN_AFTER = (0.1, 0.4, 1.0, 2.0)
"""Seconds to wait before a study that seems changed is read again."""
REMEMBERED = 256
"""Number of readings that are cached in memory, the last ones used."""


class Watcher(Protocol):
    """Shows a running session to a person, as a live table or as plain lines."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


class Noter(Protocol):
    """Notes go to the watcher and to the session's lines of the progress log."""

    @property
    def watcher(self) -> Watcher: ...

    def __call__(self, text: str) -> None: ...


def is_final(outcome: Outcome | None) -> bool:
    """Whether an outcome is a reading or a permanent failure; any other failure is worth another run."""
    return isinstance(outcome, Reading) or (isinstance(outcome, Failure) and outcome.permanent)


@dataclass
class Measuring:
    """The probes of one session.

    ``key``: the probe key of the deciding split. ``period``: when this process began or resumed the session, in epoch
    seconds, for the ledger; ``begun``: the same by the monotonic clock, for the budget. ``reserve``: probes that are
    kept back for the checks at the end.
    """

    row: SessionRow
    study: Study
    budget: Budget
    key: ProbeKey
    workspace: Workspace
    ledger: Ledger
    runner: Runner
    store: ProbeStore
    judge_monitor: JudgeMonitor
    note: Noter
    period: float = field(init=False)
    begun: float = field(init=False)
    reserve: int = 0
    pause: Callable[[float], None] = field(default_factory=lambda: time.sleep)
    _readings: OrderedDict[Probe, Reading] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.period, self.begun = self.ledger.unused_period(self.row.id, time.time()), time.monotonic()
        self.judge_monitor.on_note = self.note_and_publish
        self._result_files = ResultFiles(self.ledger, self.workspace.root)

    def obtain(self, wanted: Wanted, title: str) -> None:
        """Measure pairs of probes, and compare their answers if decisions rest on choices. May raise BudgetSpent."""
        probes = [probe for pair in wanted for probe in (pair.candidate, pair.baseline)]
        self.measure(title, probes, self._to_compare(wanted))
        self._choose(wanted)

    def measure(self, title: str, probes: Sequence[Probe], read: Collection[Probe] = ()) -> None:
        """Run the probes that have no outcome yet. Probes that reuse an adapter do not count against the budget.

        ``read``: the probes whose answers are needed; they run again if the answers are gone or damaged.
        """
        missing = [
            probe
            for probe in dict.fromkeys(probes)
            if not is_final(found := self._found(probe)) or (probe in read and not self.store.has_answers(found))
        ]
        if not missing:
            return
        self._require_unchanged()
        self._require_budget(sum(not probe.adapter_of for probe in missing))
        self._run(title, missing)

    def _run(self, title: str, missing: Sequence[Probe]) -> None:
        self.note.watcher.measuring(title, missing)
        try:
            self.runner.run(missing, self._on_progress, self._store_outcome, self.allowance())
        except BadInput:  # a worker that started just then may have read a file that was half saved
            self._require_unchanged()
            missing = [probe for probe in missing if not is_final(self._found(probe))]
            self.runner.run(missing, self._on_progress, self._store_outcome, self.allowance())
        self._require_unchanged()

    def outcome(self, probe: Probe) -> Outcome:
        """The outcome of a measured probe. If its directory is gone or damaged, it runs again whatever the budget says:
        it was paid for, and nothing that rests on it can be decided without it."""
        if self._found(probe) is None:
            self.note(f"probe {probe.id} is gone or damaged in {self.workspace.runs} and is run again")
            self._require_unchanged()
            self._run(f"probe {probe.id} again", [probe])
        found = self._found(probe)
        if found is None:
            raise RuntimeError(f"probe {probe.id} was run and left nothing")
        return found

    def _found(self, probe: Probe) -> Outcome | None:
        found = self._readings.pop(probe, None) or self.store.get(probe)
        if isinstance(found, Reading):
            self._readings[probe] = found  # the last one asked for
            if len(self._readings) > REMEMBERED:
                self._readings.popitem(last=False)
        return found

    # choices between answers, where they decide

    def chosen(self, pairs: Sequence[Pair]) -> Sequence[Choice] | Failure | None:
        return self.choices.read(pairs) if self.judge_monitor.chooses else None

    def _to_compare(self, wanted: Wanted) -> set[Probe]:
        """The probes whose answers are not compared yet."""
        fresh = [pair for pair in wanted if not self.choices.is_made(pair)] if self.judge_monitor.chooses else []
        return {probe for pair in fresh for probe in (pair.candidate, pair.baseline)}

    def _choose(self, wanted: Wanted) -> None:
        if self.judge_monitor.chooses:
            whole = [pair for pair in wanted if self._read(pair.candidate) and self._read(pair.baseline)]
            self.choices.make(whole, self.judge_monitor)

    def _read(self, probe: Probe) -> bool:
        return isinstance(self.outcome(probe), Reading)

    @property
    def choices(self) -> Choices:
        return Choices(self.workspace.session(self.row.id), self.store, self.study)

    # budget

    def spent(self) -> Spent:
        # Active hours are those that the machine ran: the clock may be set, and a suspended machine costs no hour.
        self.ledger.mark_alive(self.row.id, self.period, self.period + time.monotonic() - self.begun)
        return spent_by(self.ledger, self.row.id, self.budget, self.workspace)

    def over_budget(self) -> str | None:
        """The limit that ends the search, in words, or None; probes kept back for the end count as spent."""
        return exhausted(self.budget, self.spent(), self.reserve, self._hours(self.reserve))

    def _require_budget(self, more: int = 0) -> None:
        """BudgetSpent if ``more`` probes exceed the budget. The limit of decisions is checked before a proposal."""
        limits = self.budget.model_copy(update={"decisions": None, **({} if more else {"probes": None})})
        if over := exhausted(limits, self.spent(), more + self.reserve, self._hours(self.reserve)):
            raise BudgetSpent(over)

    def _hours(self, probes: int) -> float:
        """The expected hours of so many probes, by the mean of those measured."""
        seconds = self.ledger.totals(self.row.id).mean_seconds
        return probes * seconds / self.runner.width / 3600

    def allowance(self) -> Allowance:
        """What judging may cost from now on."""
        return judging_allowance(self.budget, self.spent(), self.workspace, self.row.id)

    # while probes run

    def note_and_publish(self, note: str) -> None:
        self.note(note)
        self.publish()
        self._require_budget()

    def publish(self) -> None:
        """Bring results.tsv and progress.log in step. A file that cannot be written is noted and ends nothing."""
        with uninterrupted(), full_disk_is_said(self.workspace):
            for message in self._result_files.publish():
                self.note(message)

    def _on_progress(self, progress: Progress) -> None:
        """Show a worker's progress. Its notes go to the log, and check the budget: it may wait long for a server."""
        self.note.watcher.progress(progress)
        if progress.note:
            self.note_and_publish(progress.note)

    def _store_outcome(self, probe: Probe, outcome: Outcome) -> None:
        """Make an outcome durable at once, so that a kill costs only the probes in flight."""
        if isinstance(outcome, Failure) and outcome.kind == "disk":
            raise DiskFull(
                f"probe {probe.id} found the disk full; free some space, then: {self.workspace.resume_command}"
            )
        with uninterrupted(), full_disk_is_said(self.workspace):
            if not probe.adapter_of:
                self.ledger.record_probe(self.row.id, probe, outcome, now())
            self.store.put(probe, outcome)
        self._readings.pop(probe, None)

    def _require_unchanged(self) -> None:
        """StudyChanged if what decisions depend on changed since the session began (law 10).

        A file that an editor is just saving is empty, cut off or gone for a moment, so a change is read again before it
        is believed.
        """
        changed = self._changed()
        for seconds in READ_AGAIN_AFTER:
            if changed is None:
                return
            self.pause(seconds)
            changed = self._changed()
        if changed:
            raise StudyChanged(
                f"what decides may not change under a session and {changed} is not what session {self.row.id} began "
                "with; put it back and resume, or begin a new session with nightlane run"
            )

    def _changed(self) -> str | None:
        """What changed, in words, or None."""
        try:
            again = reload_study(self.study)
            changed = "the study file" if again.question != self.row.question else None
            if changed is None:
                now_key = again.material.key(self.runner.environment, self.runner.base)
                now_key = replace(now_key, samples=self.key.samples)
                parts = [name for name, value in asdict(self.key).items() if getattr(now_key, name) != value]
                changed = f"the {parts[0]} of the probe key" if parts else None
                if changed and parts[0] == "scorer" and self.study.scorer.judge:
                    changed += " (the rubric, or the comparison epoch, which another session has ended)"
        except (BadInput, OSError) as error:
            changed = f"something that cannot be read any more ({error})"
        return changed
