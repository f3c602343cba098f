"""What the nodes of the graph do: plan, look (measure a wave), confirm, record. The graph is in agent/loop/graph.py.

Every method may be called again after a kill: side effects are keyed, so nothing is done twice.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy

from agent.ledger.designs import RecordedStack, RecordedWave
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow, last_incumbent
from agent.loop.final_checks import FinalChecks, spreads_shown
from agent.loop.harvest import Harvest
from agent.loop.judging.judge_monitor import JudgeMonitor, examine_at_end
from agent.loop.judging.restored_choices import restore_choices
from agent.loop.measurements import Measurements
from agent.loop.search.confirmations import Confirmations
from agent.loop.search.decisions import Decisions
from agent.loop.search.evidence import Evidence
from agent.loop.search.proposals import Proposals
from agent.loop.search.waves import MAX_MACHINE_FAULTS, Waves
from agent.loop.seeds import Seeds
from agent.loop.start_or_resume.baseline import Baseline
from agent.policy.knob_effects import Places
from agent.policy.night import FEWEST_PAIRS, ConfirmStack, MeasureWave, NightState, last_step
from agent.policy.night_plan import NightPlan
from agent.policy.night_power import MOST_PROBES
from agent.policy.search_parts import SearchParts
from agent.proposers import Chain
from agent.proposers.dead_ends import is_machine_fault
from agent.steering.handler import RequestHandler
from agent.study.load import Study
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BudgetSpent, MissingRequirement
from common.files import describe_file_error, is_full_disk
from common.interrupts import uninterrupted
from lanes import Recipe
from probes.result.reading import Failure, Probe

BASELINE_FAILED = "the starting recipe could not be measured"
Step = Literal["look", "confirm", "end"]


@dataclass
class Session:
    """One unattended run of the loop."""

    measurements: Measurements
    proposers: Chain
    write_report: Callable[[str], Path]
    seeds: Seeds
    parts: SearchParts = field(default_factory=SearchParts)

    def __post_init__(self) -> None:
        self.measurements.before_batch = self._steering.take

    def restore(self) -> None:
        """Restore the files of a resumed session that are gone or damaged: run their probes again, and have their
        answers compared again."""
        key = self.measurements.key
        for row in self._ledger.probes(self.row.id):
            if row.key == key.digest:
                self.measurements.outcome(Probe(self._ledger.recipe(row.recipe), key, row.seed))
        restore_choices(self.measurements)

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
        return None

    def plan(self) -> tuple[Step, str | None]:
        """Choose the next step and record it before it begins; also returns why the session ends, or None."""
        if self._unmeasured_wave():
            return "look", None
        if self._open_stack():
            return "confirm", None
        try:
            self._steering.take()
        except BudgetSpent as error:
            return "end", str(error)
        if reason := self._reason_to_end():
            return "end", reason
        incumbent, stacks = self._incumbent(), self._confirmations.recorded()
        wished = self._wished(incumbent)
        if stacks and not wished and self._affords_aa_test(stacks):
            self._confirmations.begin_aa_test(stacks[-1], incumbent)
            return "confirm", None
        known, waves = self._known(incumbent), len(self._waves.recorded())
        name = f"{self.row.seed}|plan {waves} {len(stacks)}"
        draws = numpy.random.default_rng(random.Random(name).getrandbits(64))
        step = self.parts.next_step(known, draws)
        if wished and not isinstance(step, MeasureWave):
            step = MeasureWave(known.wave, False, NightPlan(known.wave, 0, 0.0, 0.0))
        if isinstance(step, MeasureWave):
            if self._waves.design(step, known, incumbent, wished):
                return "look", None
            step = last_step(known, draws)
        if isinstance(step, ConfirmStack):
            self._confirmations.begin(step, known, incumbent)
            return "confirm", None
        return "end", step.reason

    def look(self) -> str | None:
        """Measure the last wave; returns why the session ends if the budget does."""
        wave = self._unmeasured_wave()
        try:
            if wave is not None:
                self._waves.measure(wave)
        except BudgetSpent as error:
            return str(error)
        self.measurements.publish()
        return None

    def confirm(self) -> str | None:
        """Measure the last stack until it is decided on, and record its rows; returns why the session ends if the
        budget does."""
        stack = self._open_stack()
        if stack is None:
            return None
        conclusion, ending = self._confirmations.conclude(stack)
        if conclusion.confirmed.is_aa_test and conclusion.verdict.reason == "budget":
            return ending  # an unfinished A/A test shows nothing
        incumbent = self._ledger.recipe(stack.incumbent)
        members = [self._proposal(name) for name in stack.members]
        inside = set(stack.members)
        others = [row for row in self._proposals.open(incumbent).values() if row.id not in inside]
        self._require_sound(conclusion.failure, conclusion.verdict.reason)
        self._decisions.record_stack(conclusion, members, others, self._known(incumbent))
        return ending

    def record(self) -> str:
        """Bring results.tsv and progress.log up to date; returns the digest of the incumbent."""
        self.measurements.publish()
        return self._incumbent().digest

    def harvest(self) -> None:
        """Make preference pairs of the decisions."""
        self._harvest.harvest_decisions()
        self.measurements.publish()

    def settle(self) -> None:
        """Decide, when the search has ended, on the changes that were measured and not confirmed."""
        incumbent = self._incumbent()
        open_ones = list(self._proposals.open(incumbent).values())
        if open_ones:
            self._decisions.record_rest(open_ones, self._known(incumbent))
        self.measurements.publish()

    def check_keeps(self) -> None:
        """Re-test the KEEPs, within the budget, and retract those that do not hold."""
        keeps = self._keeps()
        if not keeps or not self.study.file.policy.holdout_seeds:
            return
        last = keeps[-1][0]
        spreads, confirmed = spreads_shown(last), self._confirmed_by(last)
        checks = FinalChecks(self.measurements, self.seeds, self._decisions.terms, spreads, confirmed)
        for retraction in checks.retractions(keeps, self._baseline.start):
            self._decisions.retract(retraction)

    def end(self, reason: str) -> None:
        """Examine the scorer a last time, close the session and write its report."""
        unfit = examine_at_end(self.judge_monitor, self._ledger, self.row.id, self.decided())
        self.close(f"{reason}; {unfit}" if unfit else reason)

    def close(self, reason: str) -> None:
        """Close the session and write its report. Only ``finished`` in the ledger says that a session has ended, so a
        report that cannot be written is logged and written later."""
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            self.measurements.mark_alive()  # the report says how long the session was active, its checks included
            self._ledger.record_event(f"{self.row.id}-end", self.row.id, now(), f"END {reason}")
            self._steering.finish(reason)
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

    def _confirmed_by(self, kept: DecisionRow) -> frozenset[str]:
        """The effects (``Recipe.effect``) of the two recipes that the confirmation of a KEEP compared; empty in an
        older ledger."""
        basis = kept.basis.stack if kept.basis else None
        if basis is None:
            return frozenset()
        stack = next(stack for stack in self._confirmations.recorded() if stack.number == basis.number)
        return frozenset(self._ledger.recipe(digest).effect for digest in (stack.recipe.digest, stack.incumbent))

    # what is in flight, by the ledger

    def _unmeasured_wave(self) -> RecordedWave | None:
        """The last wave, if it is not completely measured."""
        waves = self._waves.recorded()
        return waves[-1] if waves and not self._waves.is_measured(waves[-1]) else None

    def _open_stack(self) -> RecordedStack | None:
        """The last stack, if it has no decision."""
        stacks = self._confirmations.recorded()
        return stacks[-1] if stacks and not self._confirmations.is_concluded(stacks[-1]) else None

    def _known(self, incumbent: Recipe) -> NightState:
        """What the policy knows and may still spend, without the recipes that a person skipped."""
        return self.parts.view(self._steering.without_skipped(self._measured(incumbent)))

    def _measured(self, incumbent: Recipe) -> NightState:
        room, open_ones = self._proposals.room, set(self._proposals.open(incumbent))
        here = self._evidence.incumbent_places(incumbent)

        def affordable(places: Places) -> bool:
            """Whether the budget of decisions has room for the proposals that a stack still needs."""
            moves = self._evidence.moves(here, places).items()
            lacking = [move for move in moves if (move[0], self._evidence.value(incumbent, *move)) not in open_ones]
            return room is None or len(lacking) <= room

        budget, searched = self.measurements.probes_left(), self._searched()
        # without a limit of probes, a stack is planned within MOST_PROBES
        left = int(min(budget, max(0, MOST_PROBES - searched)))
        known = self._evidence.known(incumbent, self._decisions.error_budget(), left, affordable)
        return replace(known, budget=budget, searched=searched)

    def _wished(self, incumbent: Recipe) -> list[ProposalRow]:
        """The open changes of the incumbent that a person wants in the next wave."""
        waves = len(self._waves.recorded())
        if self._steering.changes_wait:
            self._steering.take_changes(self._measured(incumbent), incumbent, self._proposals, self._decisions, waves)
        wished = self._steering.wished(waves)
        return [row for row in self._proposals.open(incumbent).values() if row.id in wished]

    def _searched(self) -> int:
        """The number of probes in the waves since the last stack."""
        stacks = [stack for stack in self._confirmations.recorded() if not stack.is_aa_test]
        since = stacks[-1].waves if stacks else 0
        return sum(len(wave.recipes) for wave in self._waves.recorded()[since:])

    def _affords_aa_test(self, stacks: Sequence[RecordedStack]) -> bool:
        """Whether one more A/A test stays within their share of the session's probes (``disguised``)."""
        share, left = self.study.file.policy.disguised, self.measurements.probes_left()
        tests = sum(stack.is_aa_test for stack in stacks)
        spent = self._ledger.totals(self.row.id).probes
        return 2 * FEWEST_PAIRS * (tests + 1) <= share * spent and left >= 4 * FEWEST_PAIRS

    # when the session ends

    def _reason_to_end(self) -> str | None:
        """Why the session should end (a person, the budget, or an unfit scorer), or None."""
        return self._steering.reason_to_end() or self.measurements.over_budget() or self._examine_if_due()

    def examine_resumed(self) -> str | None:
        """Examine the scorer of a resumed session; returns why it must end, or None. A new session just did it."""
        return None if self.judge_monitor.first_examination is not None else self._examine(self.decided())

    def _examine_if_due(self) -> str | None:
        decided = self.decided()
        return self._examine(decided) if self.judge_monitor.due(self._ledger, self.row.id, decided + 1) else None

    def _examine(self, decisions: int) -> str | None:
        try:
            return self.judge_monitor.examine(self._ledger, self.row.id, decisions)
        except BudgetSpent as error:
            return str(error)

    def _require_sound(self, failure: Failure | None, reason: str) -> None:
        """MissingRequirement if MAX_MACHINE_FAULTS confirmations in a row failed because of the machine."""
        reasons = [*self._reasons_of_stacks()[1 - MAX_MACHINE_FAULTS :], reason]
        if failure is not None and len(reasons) == MAX_MACHINE_FAULTS and all(map(is_machine_fault, reasons)):
            raise MissingRequirement(
                f"{MAX_MACHINE_FAULTS} confirmations in a row failed because of the machine (the last: {failure.kind}, "
                f"{failure.message}); see runs/worker-*.log and correct the machine"
            )

    def _reasons_of_stacks(self) -> list[str]:
        """The reasons of the decisions on the session's stacks, oldest first."""
        found = (self._ledger.decision(stack.members[0]) for stack in self._confirmations.recorded())
        return [decision.reason for decision in found if decision is not None]

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
    def _evidence(self) -> Evidence:
        """Used only after the noise floor is settled, which may change the probe key."""
        return self._baseline.evidence

    @cached_property
    def _baseline(self) -> Baseline:
        return Baseline(self.measurements, self.seeds)

    @cached_property
    def _proposals(self) -> Proposals:
        return Proposals(self.measurements, self.proposers)

    @cached_property
    def _waves(self) -> Waves:
        return Waves(self.measurements, self.seeds, self._evidence, self._proposals, self.parts)

    @cached_property
    def _confirmations(self) -> Confirmations:
        return Confirmations(self.measurements, self.seeds, self._evidence, self._proposals, self._decisions.terms)

    @cached_property
    def _decisions(self) -> Decisions:
        return Decisions(self.measurements, self._baseline, self._evidence)

    @cached_property
    def _steering(self) -> RequestHandler:
        return RequestHandler(self.measurements)

    @cached_property
    def _harvest(self) -> Harvest:
        return Harvest(self.measurements)

    def _incumbent(self) -> Recipe:
        decided = self._ledger.decisions("WHERE session = ? AND status = 'KEEP'", (self.row.id,))
        return self._ledger.recipe(last_incumbent(self.row, decided))

    def _keeps(self) -> list[tuple[DecisionRow, ProposalRow]]:
        """The KEEPs of this session, including those that were retracted."""
        rows = self._ledger.decisions("WHERE session = ? AND status = 'KEEP'", (self.row.id,))
        return [(row, self._proposal(row.id)) for row in rows]

    def decided(self) -> int:
        """The number of decisions on proposals."""
        return self._ledger.totals(self.row.id).decisions

    def _proposal(self, proposal_id: str) -> ProposalRow:
        return self._ledger.proposals("WHERE id = ?", (proposal_id,))[0]
