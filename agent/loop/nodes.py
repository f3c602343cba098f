"""What the nodes of the graph do: propose, measure, decide, record. The loop itself is in agent/loop/graph.py.

Every method may be called again after a kill: side effects are keyed, so what was done is not repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent.ledger.result_rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow
from agent.loop.baseline import Baseline
from agent.loop.decisions import Decisions
from agent.loop.final_checks import FinalChecks
from agent.loop.harvest import Harvest
from agent.loop.judge_monitor import JudgeMonitor, examine_at_end
from agent.loop.measurements import Measurements
from agent.loop.proposals import Proposals
from agent.loop.round import Candidate, Conclusion, Round
from agent.loop.seeds import Seeds
from agent.loop.survey import Survey
from agent.proposers import Chain
from agent.proposers.context import CALIBRATION
from agent.proposers.dead_ends import is_machine_fault
from agent.study.load import Study
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BudgetSpent, MissingRequirement
from common.files import describe_file_error, is_full_disk
from common.interrupts import uninterrupted
from lanes import show

MAX_MACHINE_FAULTS = 3
BASELINE_FAILED = "the starting recipe could not be measured"


@dataclass
class Session:
    """One unattended run of the loop."""

    measurements: Measurements
    proposers: Chain
    write_report: Callable[[str], Path]
    seeds: Seeds

    # the nodes, in the order of the graph

    def measure_start(self) -> str | None:
        """Measure the starting recipe and the noise floor, and record the BASELINE row; returns why it failed."""
        decision_id = f"{self.row.id}-baseline"
        if self._ledger.decision(decision_id) is None:
            try:
                outcomes = self._baseline.measure()
            except BudgetSpent as error:
                return str(error)
            self._decisions.record_baseline(decision_id, outcomes)
        self.measurements.publish()
        decision = self._ledger.decision(decision_id)
        if decision is not None and decision.status == "CRASH":
            return f"{BASELINE_FAILED}: {decision.row['description']}"
        survey = Survey(self.measurements, self.seeds, self._baseline.spreads)
        survey.take(self._baseline.start, int(self._baseline.floor.get("survey", 0)))
        return None

    def propose_round(self, turn: int, incumbent: str) -> list[str]:
        """The ids of the proposals of the round that begins with this turn; none if no legal move is left."""
        width = self.study.file.policy.round or self.measurements.runner.width
        if (decisions := self.measurements.budget.decisions) is not None:
            width = min(width, decisions - self._decided())
        proposals = []
        for place in range(width):
            proposal = self._proposals.propose(turn + place, incumbent)
            if proposal is None:
                break
            proposals.append(proposal)
        return proposals

    def measure(self, proposals: Sequence[str]) -> tuple[str | None, int | None]:
        """Measure what the round's candidates and their baseline need until each can be decided on.

        Returns (None, None), or, if the budget ends first, why the session ends and how many of the round's requests
        were answered.
        """
        current, answered = self._round(proposals), 0
        if current is None:
            return None, None
        try:
            for pairs in current.course():
                self.measurements.measure_pairs(self._title(current.candidates), pairs)
                answered += 1
        except BudgetSpent as error:
            return str(error), answered
        self._require_sound(current.conclusions)
        return None, None

    def decide(self, proposals: Sequence[str], answered: int | None) -> None:
        """Derive the round's conclusions from what was measured, and make them durable together.

        ``answered``: the number of the round's requests that were answered, if the budget ended before the last one.
        """
        current = self._round(proposals)
        if current is None or (answered is not None and len(current.candidates) < len(proposals)):
            return  # a round that was cut short is recorded already; the rest has no comparison
        for number, _ in enumerate(current.course()):
            if number == answered:
                current.cut_short()
                break
        self._decisions.record_round(current.conclusions)

    def record(self, proposals: Sequence[str], incumbent: str) -> str:
        """Bring results.tsv and progress.log in step; returns the digest of the incumbent."""
        self.measurements.publish()
        decisions = [self._ledger.decision(proposal) for proposal in proposals]
        return next((row.incumbent for row in decisions if row and row.status == "KEEP"), incumbent)

    def harvest(self) -> None:
        """Make preference pairs of the decisions."""
        self._harvest.harvest_decisions()
        self.measurements.publish()

    def check_keeps(self) -> None:
        """Re-test the KEEPs, as far as the budget goes, and retract those that do not hold."""
        keeps = self._keeps()
        if not keeps or not self.study.file.policy.holdout_seeds:
            return
        checks = FinalChecks(self.measurements, self.seeds, self._decisions.terms, self._decisions.known())
        for retraction in checks.retractions(keeps, self._baseline.start):
            self._decisions.retract(retraction)

    def end(self, reason: str) -> None:
        """Examine the scorer a last time, close the session and write its report."""
        unfit = examine_at_end(self.judge_monitor, self._ledger, self.row.id, self._decided())
        self.close(f"{reason}; {unfit}" if unfit else reason)

    def close(self, reason: str) -> None:
        """Close the session and write its report. Only ``finished`` in the ledger says that a session has ended, so a
        report that cannot be written is logged and written later."""
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            self._ledger.record_event(f"{self.row.id}-end", self.row.id, now(), f"END {reason}")
            self._ledger.finish(self.row.id, now(), reason)
        self.measurements.publish()
        try:
            self.write_report(self.row.id)
        except OSError as error:
            if is_full_disk(error):
                raise
            self.measurements.log(
                f"the report cannot be written ({describe_file_error(error)}); correct that, then: nightlane report "
                f"{self.row.id}"
            )
            self.measurements.publish()

    # when the session ends

    def has_proposal(self, turn: int) -> bool:
        """Whether this turn has a proposal already, because its round began before the session was resumed."""
        return self._proposals.recorded(turn) is not None

    def reason_to_end(self, turn: int) -> str | None:
        """Why the session should end before this turn: the budget, a long plateau, or an unfit scorer; or None."""
        return self.measurements.over_budget() or self._proposals.search.plateau() or self._examine_if_due(turn)

    def examine_resumed(self) -> str | None:
        """Examine the scorer of a resumed session; returns why it must end, or None. A new session just did it."""
        return None if self.judge_monitor.first_examination is not None else self._examine(self._decided())

    def _examine_if_due(self, turn: int) -> str | None:
        return self._examine(turn - 1) if self.judge_monitor.due(self._ledger, self.row.id, turn) else None

    def _examine(self, decisions: int) -> str | None:
        try:
            return self.judge_monitor.examine(self._ledger, self.row.id, decisions)
        except BudgetSpent as error:
            return str(error)

    def _require_sound(self, conclusions: Sequence[Conclusion]) -> None:
        """MissingRequirement if the machine, and not a recipe, makes several proposals fail in a row."""
        reasons = [
            *self._ledger.last_reasons(self.row.id, MAX_MACHINE_FAULTS),
            *(conclusion.verdict.reason for conclusion in conclusions),
        ]
        failure = conclusions[-1].failure if conclusions else None
        if len(reasons) >= MAX_MACHINE_FAULTS and all(map(is_machine_fault, reasons[-MAX_MACHINE_FAULTS:])) and failure:
            raise MissingRequirement(
                f"{MAX_MACHINE_FAULTS} proposals in a row failed because of the machine (the last: {failure.kind}, "
                f"{failure.message}); see runs/worker-*.log, correct the machine, then: "
                f"{self.measurements.workspace.resume_command}"
            )

    # parts

    @property
    def row(self) -> SessionRow:
        return self.measurements.row

    @property
    def study(self) -> Study:
        return self.measurements.study

    @property
    def judge_monitor(self) -> JudgeMonitor:
        return self.measurements.judge_monitor

    @property
    def _ledger(self) -> Ledger:
        return self.measurements.ledger

    @cached_property
    def _baseline(self) -> Baseline:
        return Baseline(self.measurements, self.seeds)

    @cached_property
    def _proposals(self) -> Proposals:
        return Proposals(self.measurements, self.proposers, self.seeds)

    @cached_property
    def _decisions(self) -> Decisions:
        return Decisions(self.measurements, self._baseline)

    @cached_property
    def _harvest(self) -> Harvest:
        return Harvest(self.measurements)

    def _round(self, proposals: Sequence[str]) -> Round | None:
        """The round of those that are not decided yet; None when all are."""
        waiting = [self._proposal(proposal) for proposal in proposals if self._ledger.decision(proposal) is None]
        if not waiting:
            return None
        keeps, met = self._ledger.count_keeps(self.row.id)
        search, recipe = self._proposals.search, self._ledger.recipe
        candidates = [
            Candidate(row, recipe(row.child), row.lane == CALIBRATION, search.move(row), search.screened(row))
            for row in waiting
        ]
        return Round(
            candidates=candidates,
            incumbent=recipe(waiting[0].parent),
            keeps=keeps,
            met=met,
            key=self.measurements.key,
            seeds=self.seeds,
            terms=self._decisions.terms,
            known=self._decisions.known,
            outcome=self.measurements.outcome,
            chosen=self.measurements.chosen,
        )

    def _keeps(self) -> list[tuple[DecisionRow, ProposalRow]]:
        """The KEEPs of this session, including those that were retracted."""
        rows = self._ledger.decisions("WHERE session = ? AND status = 'KEEP'", (self.row.id,))
        return [(row, self._proposal(row.id)) for row in rows]

    def _decided(self) -> int:
        return self._ledger.totals(self.row.id).decisions

    def _proposal(self, proposal_id: str) -> ProposalRow:
        return self._ledger.proposals("WHERE id = ?", (proposal_id,))[0]

    def _title(self, candidates: Sequence[Candidate]) -> str:
        rows = [candidate.proposal for candidate in candidates]
        return ", ".join(
            f"{row.id[-3:]} {row.knob} {show(value_of(row.before))} -> {show(value_of(row.after))}" for row in rows
        )
