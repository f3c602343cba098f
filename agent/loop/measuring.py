"""Has probes run and makes what they give durable; nothing is measured twice, and nothing under a changed study."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from agent.ledger.result_files import ResultFiles
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, SessionRow
from agent.loop.budget import Spent, exhausted, for_judging, spent_by
from agent.loop.judge_monitor import Examiner
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
"""Seconds between looks at a study that seems changed."""
REMEMBERED = 256
"""Readings that are not read from the disk again, the last that were asked for."""


class Watcher(Protocol):
    """Whoever looks at a running session: a live table, or plain lines."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


class Noter(Protocol):
    """Notes go to the watcher and to the session's lines of the progress log."""

    @property
    def watcher(self) -> Watcher: ...

    def __call__(self, text: str) -> None: ...


def settled(outcome: Outcome | None) -> bool:
    """A reading is, and a failure that the recipe alone explains; any other failure is worth another run."""
    return isinstance(outcome, Reading) or (isinstance(outcome, Failure) and outcome.permanent)


@dataclass
class Measuring:
    """Of one session. ``key``: the probe key of the split that decides. ``period``: when this process took the session
    up, for the ledger (epoch seconds); ``begun``: the same by the clock that budgets go by (monotonic). ``reserve``:
    probes that are kept back for the session's end."""

    row: SessionRow
    study: Study
    budget: Budget
    key: ProbeKey
    workspace: Workspace
    ledger: Ledger
    runner: Runner
    store: ProbeStore
    examiner: Examiner
    note: Noter
    period: float = field(init=False)
    begun: float = field(init=False)
    reserve: int = 0
    pause: Callable[[float], None] = field(default_factory=lambda: time.sleep)
    _readings: OrderedDict[Probe, Reading] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.period, self.begun = self.ledger.unused_period(self.row.id, time.time()), time.monotonic()
        self.examiner.heard = self.told
        self._followers = ResultFiles(self.ledger, self.workspace.root)

    def obtain(self, wanted: Wanted, title: str) -> None:
        """Measure pairs, and choose between their answers where that decides. BudgetSpent where the budget ends."""
        probes = [probe for pair in wanted for probe in (pair.candidate, pair.baseline)]
        self.measure(title, probes, self._to_compare(wanted))
        self._choose(wanted)

    def measure(self, title: str, probes: Sequence[Probe], read: Collection[Probe] = ()) -> None:
        """Run those that are in no probe directory. What answers with an adapter that is there is no probe more.
        ``read``: those whose answers are needed, and which are run again when these are gone or damaged."""
        missing = [
            probe
            for probe in dict.fromkeys(probes)
            if not settled(found := self._found(probe)) or (probe in read and not self.store.has_answers(found))
        ]
        if not missing:
            return
        self._require_unchanged()
        self._require_budget(sum(not probe.adapter_of for probe in missing))
        self._run(title, missing)

    def _run(self, title: str, missing: Sequence[Probe]) -> None:
        self.note.watcher.measuring(title, missing)
        try:
            self.runner.run(missing, self._heard, self._keep, self.allowance())
        except BadInput:  # a worker that started just then may have read a file that was half saved
            self._require_unchanged()
            missing = [probe for probe in missing if not settled(self._found(probe))]
            self.runner.run(missing, self._heard, self._keep, self.allowance())
        self._require_unchanged()

    def outcome(self, probe: Probe) -> Outcome:
        """Of a probe that was measured. One whose directory is gone or damaged since is run again, whatever the
        budget: it was paid for, and without it nothing that rests on it can be decided, in any resume."""
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
        return self.choices.made(pairs) if self.examiner.chooses else None

    def _to_compare(self, wanted: Wanted) -> set[Probe]:
        """The probes whose answers are still to be chosen between."""
        fresh = [pair for pair in wanted if not self.choices.there(pair)] if self.examiner.chooses else []
        return {probe for pair in fresh for probe in (pair.candidate, pair.baseline)}

    def _choose(self, wanted: Wanted) -> None:
        if self.examiner.chooses:
            whole = [pair for pair in wanted if self._read(pair.candidate) and self._read(pair.baseline)]
            self.choices.make(whole, self.examiner)

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
        """The limit that ends the search, in words, or None: with what is kept back for the end."""
        return exhausted(self.budget, self.spent(), self.reserve, self._hours(self.reserve))

    def _require_budget(self, more: int = 0) -> None:
        """BudgetSpent when so many more probes pass the budget. Decisions are counted before one is proposed, and
        probes only where there are more."""
        limits = self.budget.model_copy(update={"decisions": None, **({} if more else {"probes": None})})
        if over := exhausted(limits, self.spent(), more + self.reserve, self._hours(self.reserve)):
            raise BudgetSpent(over)

    def _hours(self, probes: int) -> float:
        """What so many probes will take, by those that were measured."""
        seconds = self.ledger.totals(self.row.id).mean_seconds
        return probes * seconds / self.runner.width / 3600

    def allowance(self) -> Allowance:
        """What judging may cost from now on."""
        return for_judging(self.budget, self.spent(), self.workspace, self.row.id)

    # what is heard and kept while probes run

    def told(self, note: str) -> None:
        self.note(note)
        self.publish()
        self._require_budget()

    def publish(self) -> None:
        """Bring results.tsv and progress.log in step; a file that cannot be written is told, and ends nothing."""
        with uninterrupted(), full_disk_is_said(self.workspace):
            for told in self._followers.publish():
                self.note(told)

    def _heard(self, progress: Progress) -> None:
        """What a worker says. A note is for the log, too: who waits for a server may wait beyond the budget."""
        self.note.watcher.progress(progress)
        if progress.note:
            self.told(progress.note)

    def _keep(self, probe: Probe, outcome: Outcome) -> None:
        """Make an outcome durable as soon as it is there, so that a kill costs only the probes in flight."""
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
        """What decides is as it was when the session began (law 10). A file that an editor or a copy is just writing is
        empty, cut off or gone for a moment, so what seems changed is read again before that is believed."""
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
        """What is not as it was, in words."""
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
