"""The probes of a session: run when they are needed, each once, and durable as soon as they have an outcome."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agent.ledger.results.files import ResultFiles
from agent.ledger.store import Ledger
from agent.ledger.tables import COMPARED, CheckRow, SessionRow
from agent.loop.budget import Spent, exhausted, judging_allowance, kept_back, spent_by, with_overrides
from agent.loop.in_flight import InFlightFile
from agent.loop.judging.judge_monitor import JudgeMonitor
from agent.loop.judging.pairwise_choices import Choices
from agent.loop.session_log import SessionLog
from agent.study.changes import changes_in_words
from agent.study.load import Study, reload_study
from agent.study.schema import Budget
from agent.workspace.choices_file import comparison_name
from agent.workspace.folder import Workspace
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BadInput, BudgetSpent, DiskFull, StudyChanged
from common.interrupts import uninterrupted
from common.systemd import alive
from probes.endpoint.spending import Allowance
from probes.result.comparison import Choice
from probes.result.reading import Failure, Outcome, Pair, Probe, ProbeKey, Reading
from probes.run.protocol import Progress, Runner
from probes.run.store import ProbeStore

READ_AGAIN_AFTER = (0.1, 0.4, 1.0, 2.0)
"""Seconds to wait before a study that seems changed is read again."""
CACHED_READINGS = 256
"""Number of most recently used readings that are kept in memory."""


def is_final(outcome: Outcome | None) -> bool:
    """Whether an outcome is a reading or a permanent failure; a probe with any other failure may run again."""
    return isinstance(outcome, Reading) or (isinstance(outcome, Failure) and outcome.permanent)


@dataclass
class Measurements:
    """The probes of one session, within its budget and under an unchanged study.

    ``key``: the probe key of the deciding split. ``reserve``: probes that are kept back for the checks at the end.
    ``pause``: waits for some seconds. ``before_batch``: called before probes run; it may wait, or raise BudgetSpent.
    ``period``: when this process began or resumed the session, in epoch seconds, for the ledger; ``begun``: the same
    moment by the monotonic clock, for the budget.
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
    log: SessionLog
    reserve: int = 0
    pause: Callable[[float], None] = field(default_factory=lambda: time.sleep)
    before_batch: Callable[[], None] = field(default_factory=lambda: lambda: None)
    period: float = field(init=False)
    begun: float = field(init=False)
    _readings: OrderedDict[Probe, Reading] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.begin_period()
        self.judge_monitor.on_note = self.log_and_publish
        self._result_files = ResultFiles(self.ledger, self.workspace.root)
        self._in_flight = InFlightFile(self.workspace.session(self.row.id), workers=lambda: self.runner.workers)
        self._in_flight.forget()

    def measure_pairs(self, title: str, pairs: Sequence[Pair]) -> None:
        """Measure pairs of probes, and compare their answers if decisions rest on choices. May raise BudgetSpent."""
        chooses = self.judge_monitor.chooses
        uncompared = [pair for pair in pairs if not self.choices.is_made(pair)] if chooses else []
        probes = [probe for pair in pairs for probe in (pair.candidate, pair.baseline)]
        self.measure(title, probes, {probe for pair in uncompared for probe in (pair.candidate, pair.baseline)})
        if chooses:
            with_readings = [pair for pair in pairs if self._has_reading(pair.candidate, pair.baseline)]
            self.choices.make(with_readings, self.judge_monitor)
            self.record_compared(with_readings)

    def measure(self, title: str, probes: Sequence[Probe], with_answers: Collection[Probe] = ()) -> None:
        """Run the probes that have no final outcome yet. Probes that reuse an adapter do not count against the budget.

        ``with_answers``: the probes whose answers are needed; they run again if the answers are gone or damaged.
        """
        missing = []
        for probe in dict.fromkeys(probes):
            outcome = self._stored_outcome(probe)
            if outcome is None or not is_final(outcome):
                missing.append(probe)
                continue
            self._adopt(probe, outcome)
            if probe in with_answers and not self.store.has_answers(outcome):
                missing.append(probe)
        if not missing:
            return
        alive()
        self.before_batch()
        self._require_unchanged()
        self._require_budget(sum(not probe.adapter_of for probe in missing))
        self._run(title, missing)

    def outcome(self, probe: Probe) -> Outcome:
        """The outcome of a measured probe. If its directory is gone or damaged, the probe runs again, even beyond the
        budget: it was paid for once, and the decision that uses it cannot be made without it."""
        if self._stored_outcome(probe) is None:
            self.log(f"probe {probe.id} is gone or damaged in {self.workspace.runs} and is run again")
            self._require_unchanged()
            self._run(f"probe {probe.id} again", [probe])
        outcome = self._stored_outcome(probe)
        if outcome is None:
            raise RuntimeError(f"probe {probe.id} was run and has no outcome")
        return outcome

    def has_outcome(self, probe: Probe) -> bool:
        """Whether a probe was run and its outcome, a reading or a failure, is stored."""
        return self._stored_outcome(probe) is not None

    def is_measured(self, pair: Pair) -> bool:
        """Whether both probes were run, and their answers compared if decisions rest on choices."""
        if not (self.has_outcome(pair.candidate) and self.has_outcome(pair.baseline)):
            return False
        to_compare = self.judge_monitor.chooses and self._has_reading(pair.candidate, pair.baseline)
        return not to_compare or self.choices.is_made(pair)

    def chosen(self, pairs: Sequence[Pair]) -> Sequence[Choice] | Failure | None:
        """The choices between the answers of measured pairs; None if decisions rest on scores."""
        return self.choices.read(pairs) if self.judge_monitor.chooses else None

    @property
    def choices(self) -> Choices:
        return Choices(self.workspace.session(self.row.id), self.store, self.study)

    def record_compared(self, pairs: Sequence[Pair]) -> None:
        """Record in the ledger that these pairs have a file of choices, so that its loss is noticed."""
        names = [comparison_name(pair.candidate.id, pair.baseline.id) for pair in pairs]
        checks = [
            CheckRow(session=self.row.id, kind=COMPARED, subject=name, time=now(), data={})
            for name in names
            if not self.ledger.has_check(self.row.id, COMPARED, name)
        ]
        if checks:
            with uninterrupted(), full_disk_reported(self.workspace):
                self.ledger.record_checks(*checks)

    def _has_reading(self, *probes: Probe) -> bool:
        return all(isinstance(self.outcome(probe), Reading) for probe in probes)

    def _stored_outcome(self, probe: Probe) -> Outcome | None:
        outcome = self._readings.pop(probe, None) or self.store.get(probe)
        if isinstance(outcome, Reading):
            self._readings[probe] = outcome  # now the most recently used one
            if len(self._readings) > CACHED_READINGS:
                self._readings.popitem(last=False)
        return outcome

    # running probes

    def _run(self, title: str, missing: Sequence[Probe]) -> None:
        self.log.watcher.measuring(title, missing)
        with self._in_flight.batch(title, missing, self._readings.values()):
            try:
                self.runner.run(missing, self._on_progress, self._store_outcome, self.allowance())
            except BadInput:  # a worker that started just now may have read a file that was half saved
                self._require_unchanged()
                missing = [probe for probe in missing if not is_final(self._stored_outcome(probe))]
                self.runner.run(missing, self._on_progress, self._store_outcome, self.allowance())
        self._require_unchanged()

    def _on_progress(self, progress: Progress) -> None:
        """Show a worker's progress. After each of its notes, which go to the log, the budget is checked, since the
        worker may wait long for a server."""
        alive()
        self.log.watcher.progress(progress)
        self._in_flight.progress(progress)
        if progress.note:
            self.log_and_publish(progress.note)

    def _store_outcome(self, probe: Probe, outcome: Outcome) -> None:
        """Make an outcome durable at once, so that a kill costs only the probes in flight."""
        if isinstance(outcome, Failure) and outcome.kind == "disk":
            raise DiskFull(f"probe {probe.id} found the disk full; free some space")
        with uninterrupted(), full_disk_reported(self.workspace):
            if not probe.adapter_of:
                self.ledger.record_probe(self.row.id, probe, outcome, now())
            self.store.put(probe, outcome)
        self._in_flight.ended(probe, outcome)
        self._readings.pop(probe, None)

    def _adopt(self, probe: Probe, outcome: Outcome) -> None:
        """Record a stored outcome that the ledger does not have, because an earlier ledger was lost."""
        if not probe.adapter_of and not self.ledger.has_probe(probe.id):
            with uninterrupted(), full_disk_reported(self.workspace):
                self.ledger.record_probe(self.row.id, probe, outcome, now())

    def log_and_publish(self, text: str) -> None:
        self.log(text)
        self.publish()
        self._require_budget()

    def publish(self) -> None:
        """Bring results.tsv and progress.log up to date. A file that cannot be written is logged, and is no error."""
        with uninterrupted(), full_disk_reported(self.workspace):
            for message in self._result_files.publish():
                self.log(message)

    # budget

    def begin_period(self) -> None:
        """Begin to count active time now."""
        self.period, self.begun = self.ledger.unused_period(self.row.id, time.time()), time.monotonic()

    def set_limits(self, limits: Mapping[str, Any]) -> None:
        """Use other limits of the budget, which the ledger has already."""
        self.row = replace(self.row, limits=limits)
        self.budget = with_overrides(self.study.file.budget, limits)

    def mark_alive(self) -> None:
        """Record the active time until now. It is measured by the monotonic clock, which does not change when the clock
        is set, and stands still while the machine is suspended."""
        self.ledger.mark_alive(self.row.id, self.period, self.period + time.monotonic() - self.begun)

    def spent(self) -> Spent:
        self.mark_alive()
        return spent_by(self.ledger, self.row.id, self.budget, self.workspace)

    def over_budget(self) -> str | None:
        """The limit that ends the search, in words, or None; probes kept back for the end count as spent."""
        spent = self.spent()
        reserve = self._kept_back(spent)
        return exhausted(self.budget, spent, reserve, self._expected_hours(reserve))

    def probes_left(self) -> float:
        """How many probes the budget still allows, without those kept back for the end. Infinite if there is no limit
        of probes, and no limit of hours or dollars or no probe that shows how long one takes."""
        spent = self.spent()
        return max(0.0, self._affordable(spent) - self._kept_back(spent))

    def _affordable(self, spent: Spent) -> float:
        """The number of probes that the limits of probes, hours and dollars allow."""
        budget = self.budget
        limits = [] if budget.probes is None else [float(budget.probes - spent.probes)]
        hours = [] if budget.hours is None else [budget.hours - spent.hours]
        if budget.dollars is not None and budget.dollars_per_hour:
            hours.append((budget.dollars - spent.dollars) / budget.dollars_per_hour)
        each = self._expected_hours(1)
        limits += [left / each for left in hours if each > 0]
        return min(limits, default=math.inf)

    def _kept_back(self, spent: Spent) -> int:
        """Probes that the search leaves for the checks at the end."""
        return kept_back(self.reserve, spent.probes + self._affordable(spent))

    def _require_budget(self, more: int = 0) -> None:
        """BudgetSpent if ``more`` probes exceed the budget. The limit of decisions is checked before a proposal."""
        limits = self.budget.model_copy(update={"decisions": None, **({} if more else {"probes": None})})
        spent = self.spent()
        reserve = self._kept_back(spent)
        if over := exhausted(limits, spent, more + reserve, self._expected_hours(reserve)):
            raise BudgetSpent(over)

    def _expected_hours(self, probes: int) -> float:
        """The hours that so many probes take, by the mean of the measured ones and with all workers busy."""
        seconds = self.ledger.totals(self.row.id).mean_seconds
        return probes * seconds / self.runner.width / 3600

    def allowance(self) -> Allowance:
        """What judging may cost from now on."""
        return judging_allowance(self.budget, self.spent(), self.workspace, self.row.id)

    # the study

    def _require_unchanged(self) -> None:
        """StudyChanged if something that decisions depend on changed since the session began (invariant 10,
        docs/architecture.md).

        A file may be empty, cut off or missing while an editor saves it, so a study that seems changed is read again
        before the session ends.
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
            study = reload_study(self.study)
            if study.question != self.row.question:
                return f"the study file ({changes_in_words(self.study, study)})"
            key = replace(study.material.key(self.runner.environment, self.runner.base), samples=self.key.samples)
        except (BadInput, OSError) as error:
            return f"something that cannot be read any more ({error})"
        parts = [name for name, value in asdict(self.key).items() if getattr(key, name) != value]
        if not parts:
            return None
        changed = f"the {parts[0]} of the probe key"
        if parts[0] == "scorer" and self.study.scorer.judge:
            changed += " (the rubric, or the comparison epoch, which another session has ended)"
        return changed
