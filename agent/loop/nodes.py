"""What the nodes of the graph do: propose, measure, decide, record. The loop itself is in agent/loop/graph.py.

Every method may be called again after a kill: side effects are keyed, so what was done is found and not repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from agent.ledger.result_rows import baseline_row, event_text, result_row, retraction_row, value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import RETRACTION, CheckRow, DecisionRow, ProposalRow, SessionRow, last_incumbent
from agent.loop.budget import budget_left, has_prices
from agent.loop.final_checks import FinalChecks, Retraction
from agent.loop.harvest import Harvest
from agent.loop.judge_monitor import JudgeMonitor, examine_at_end
from agent.loop.measuring import Measuring
from agent.loop.noise_floor import NoiseFloor, floor_data, noise_message, settle_noise_floor, visible_effect
from agent.loop.round import Candidate, Conclusion, Round
from agent.loop.seeds import Seeds
from agent.loop.survey import Survey, Surveyed, closed
from agent.policy.decision_rule import Terms, Verdict, crash
from agent.policy.session_statistics import Account, Knowledge, Lessons, account_from, baseline_spreads
from agent.proposers import Chain, Suggestion
from agent.proposers.context import CALIBRATION, Search, machines
from agent.study.load import Study
from agent.workspace.folder import full_disk_is_said, uninterrupted
from common.clock import now
from common.digests import digest_of
from common.errors import BudgetSpent, MissingRequirement
from lanes import Recipe, show
from probes.result.comparison import OVERALL
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.result.variance_components import estimate_components
from probes.result.variance_pooling import Spread

MAX_MACHINE_FAULTS = 3
BASELINE_FAILED = "the starting recipe could not be measured"


@dataclass
class Session:
    """One unattended run of the loop."""

    measuring: Measuring
    proposers: Chain
    write_report: Callable[[str], Path]
    seeds: Seeds
    _searched: Search | None = field(default=None, init=False)
    _lessons: Lessons | None = field(default=None, init=False)
    _learnt: int = field(default=0, init=False)

    @property
    def row(self) -> SessionRow:
        return self.measuring.row

    @property
    def study(self) -> Study:
        return self.measuring.study

    @property
    def judge_monitor(self) -> JudgeMonitor:
        return self.measuring.judge_monitor

    # nodes

    def measure_start(self) -> str | None:
        """Measure the starting recipe and the noise floor, and record the BASELINE row; returns why it failed."""
        start, decision_id = self._recipe(self.row.start), f"{self.row.id}-baseline"
        if self._ledger.decision(decision_id) is None:
            try:
                outcomes = self._baseline(start)
            except BudgetSpent as error:
                return str(error)
            failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
            verdict = crash(failure) if failure else Verdict("BASELINE", "baseline")
            readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
            figures = baseline_row(self.study, self.row.id, self.measuring.key, verdict, readings, failure)
            self._record([(self._decision(decision_id, 0, verdict, start, figures), None)])
        decision = self._ledger.decision(decision_id)
        failed = decision is None or decision.status == "CRASH"
        self.measuring.publish()
        if not failed:
            self._survey(start)
        return f"{BASELINE_FAILED}: {decision.row['description']}" if decision and failed else None

    def propose_round(self, turn: int, incumbent: str) -> list[str]:
        """The ids of the proposals of the round that begins with this turn; none if no legal move is left."""
        found = []
        width = self.study.file.policy.round or self.measuring.runner.width
        if (decisions := self.measuring.budget.decisions) is not None:
            width = min(width, decisions - self._decided())
        for place in range(width):
            proposal = self._next_proposal(turn + place, incumbent)
            if proposal is None:
                break
            found.append(proposal)
        return found

    def has_proposal(self, turn: int) -> bool:
        """Whether this turn has a proposal already, because its round began before the session was resumed."""
        return self._ledger.proposal(self.row.id, turn) is not None

    def reason_to_end(self, turn: int) -> str | None:
        """Why the session should end before this turn: the budget, a long plateau, or an unfit scorer; or None."""
        return self.measuring.over_budget() or self._search.plateau() or self.examine(turn)

    def measure(self, proposals: Sequence[str]) -> tuple[str | None, int | None]:
        """Measure what the round's candidates and their baseline need until each can be decided on.

        Returns (None, None), or, if the budget ends first, why the session ends and how many of the round's requests
        were answered.
        """
        current, answered = self._round(proposals), 0
        if current is None:
            return None, None
        try:
            for wanted in current.course():
                self.measuring.obtain(wanted, self._title(current.candidates))
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
        self._record([(self._concluded(conclusion), conclusion) for conclusion in current.conclusions])

    def record(self, proposals: Sequence[str], incumbent: str) -> str:
        """Bring results.tsv and progress.log in step; returns the digest of the incumbent."""
        self.measuring.publish()
        decided = [self._ledger.decision(proposal) for proposal in proposals]
        return next((decision.incumbent for decision in decided if decision and decision.status == "KEEP"), incumbent)

    def harvest(self) -> None:
        """Make preference pairs of the decisions."""
        self._harvest.harvest_decisions()
        self.measuring.publish()

    @cached_property
    def _harvest(self) -> Harvest:
        return Harvest(self.measuring)

    def check_keeps(self) -> None:
        """Re-test the KEEPs, as far as the budget goes, and retract those that do not hold."""
        keeps = self._keeps()
        if not keeps or not self.study.file.policy.holdout_seeds:
            return
        start, last = self._recipe(self.row.start), self._recipe(keeps[-1][0].incumbent)
        checks = FinalChecks(self.measuring, self.seeds, self._terms, self._known([]))
        for name, check in (("leave-one-out", checks.leave_one_out), ("holdout", checks.holdout)):
            retracted = set[str]()
            try:
                for one in check(keeps, start, last) if keeps else ():
                    self._retract(one)
                    retracted.add(one.kept.id)
                    last = one.stands
            except BudgetSpent as error:
                self.measuring.note(f"SKIPPED the {name} check: {error}")
            self.measuring.reserve = 0
            keeps = [(decision, proposal) for decision, proposal in keeps if decision.id not in retracted]

    def end(self, reason: str) -> None:
        """Close the session and write its report. ``finished`` in the ledger is what says that it is over."""
        unfit = examine_at_end(self.judge_monitor, self._ledger, self.row.id, self._decided())
        self.close(f"{reason}; {unfit}" if unfit else reason)

    def close(self, reason: str) -> None:
        """As ``end``, without examining the scorer again."""
        with uninterrupted(), full_disk_is_said(self.measuring.workspace):
            self._ledger.record_event(f"{self.row.id}-end", self.row.id, now(), f"END {reason}")
            self._ledger.finish(self.row.id, now(), reason)
        self.measuring.publish()
        self.write_report(self.row.id)

    # the scorer

    def examine(self, turn: int) -> str | None:
        """Examine the scorer if that is due before this turn; returns why the session must end, or None."""
        return self._look(turn - 1) if self.judge_monitor.due(self._ledger, self.row.id, turn) else None

    def examine_resumed(self) -> str | None:
        """Examine the scorer of a resumed session; returns why it must end, or None. A new session just did it."""
        return None if self.judge_monitor.first_examination is not None else self._look(self._decided())

    def _look(self, decisions: int) -> str | None:
        try:
            return self.judge_monitor.examine(self._ledger, self.row.id, decisions)
        except BudgetSpent as error:
            return str(error)

    def _decided(self) -> int:
        return self._ledger.totals(self.row.id).decisions

    # the noise floor

    def _baseline(self, start: Recipe) -> list[Outcome]:
        """Repeats of the starting recipe. The first ones may change the session's probe key (answers per prompt)."""
        outcomes = self._repeats(start)
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        if len(readings) < len(outcomes) or self._ledger.checks(self.row.id, "floor"):
            return outcomes
        spread = next((row.data["spread"] for row in self._ledger.examinations(self.row.id)), None)
        scorer, file = self.study.scorer, self.study.file
        found = None if scorer.chooses else estimate_components(readings, self.study.target, spread, scorer.judgements)
        chosen = self._ledger.chosen_samples(self.row.question)
        width = self.measuring.runner.width
        knobs = 0 if scorer.chooses else len(self.study.lanes.moves(start))  # a survey compares scores
        floor = settle_noise_floor(readings, found, file.policy, self.measuring.budget, width, chosen, knobs)
        visible = visible_effect(readings, found, self.study.target, floor, file.policy)
        self._settle(floor, floor_data(floor, found, visible))
        self.measuring.note(noise_message(found, self.study.target, self._floor["visible"]))
        self.measuring.note(f"FLOOR {floor.why}")
        return self._repeats(start)

    def _repeats(self, recipe: Recipe) -> list[Outcome]:
        probes = self._first_probes(recipe)
        self.measuring.measure("baseline", probes)
        return [self.measuring.outcome(probe) for probe in probes]

    def _first_probes(self, recipe: Recipe) -> list[Probe]:
        """One probe per seed of the study; with fresh seeds if an earlier session used the study's own."""
        number = len(self.study.file.probe.seeds)
        return [Probe(recipe, self.measuring.key, seed) for seed in islice(self.seeds.screening(0), number)]

    def _settle(self, floor: NoiseFloor, data: dict[str, object]) -> None:
        key = replace(self.measuring.key, samples=floor.samples)
        self._ledger.record_noise_floor(
            CheckRow(session=self.row.id, kind="floor", subject="", time=now(), data=data), key.digest
        )
        self.measuring.key, self.measuring.row = key, replace(self.row, key=key.digest)

    def _survey(self, start: Recipe) -> None:
        Survey(self.measuring, self.seeds, self._first_spreads).take(start, int(self._floor.get("survey", 0)))

    @cached_property
    def _surveyed(self) -> Surveyed:
        """The survey, once it was taken; empty for a session of a version without surveys."""
        return closed(self._ledger.checks(self.row.id)) or Surveyed()

    @property
    def _floor(self) -> dict[str, float]:
        return dict(self._ledger.checks(self.row.id, "floor")[0].data)

    # proposing

    @property
    def _search(self) -> Search:
        """The search, with what was proposed and decided since the last call."""
        if self._searched is None or self._searched.row != self.row:
            self._searched = Search(self.row, self.study, self._ledger)
        else:
            self._searched.catch_up()
        return self._searched

    def _next_proposal(self, turn: int, incumbent: str) -> str | None:
        recorded = self._ledger.proposal(self.row.id, turn)
        if recorded is not None:
            return recorded.id
        parent = self._recipe(incumbent)
        if self.seeds.is_aa_test(turn, self.study.file.policy.disguised):
            hypothesis = "the incumbent under other seeds, decided on like any other candidate: nothing can be kept"
            none = Suggestion("baseline", "incumbent", hypothesis, 0.0, CALIBRATION)
            return self._propose(turn, parent, parent, CALIBRATION, "incumbent", none)
        search = self._search
        again = search.overtaken(parent)
        if again is not None:
            lane, suggestion = again
        else:
            situation = search.situation(turn, parent, budget_left(self.measuring.budget, self.measuring.spent()))
            if situation is None:
                return None
            lane, suggestion = situation.lane, self.proposers.propose(situation)
        mutation, child = search.space.mutate(parent, suggestion.knob, suggestion.value)
        return self._propose(turn, parent, child, lane, mutation.before, suggestion)

    def _propose(
        self, turn: int, parent: Recipe, child: Recipe, lane: str, before: object, suggestion: Suggestion
    ) -> str:
        proposal = ProposalRow(
            id=f"{self.row.id}-{turn:03d}",
            session=self.row.id,
            turn=turn,
            parent=parent.digest,
            child=child.digest,
            lane=lane,
            knob=suggestion.knob,
            before=before,
            after=suggestion.value,
            hypothesis=" ".join(suggestion.hypothesis.split())[:1000],
            predicted=suggestion.predicted,
            proposer=suggestion.proposer,
            dollars=suggestion.dollars,
            time=now(),
        )
        with uninterrupted(), full_disk_is_said(self.measuring.workspace):
            return self._ledger.record_proposal(proposal, child).id

    # deciding

    @property
    def _terms(self) -> Terms:
        return Terms(self.study.file.policy, self.study.target, self.study.guards, int(self._floor["pairs"]))

    def _round(self, proposals: Sequence[str]) -> Round | None:
        """The round of those that are not decided yet; None when all are."""
        waiting = [self._proposal(proposal) for proposal in proposals if self._ledger.decision(proposal) is None]
        if not waiting:
            return None
        keeps, met = self._ledger.count_keeps(self.row.id)
        search = self._search
        candidates = [
            Candidate(row, self._recipe(row.child), row.lane == CALIBRATION, search.move(row), search.screened(row))
            for row in waiting
        ]
        return Round(
            candidates,
            self._recipe(waiting[0].parent),
            keeps,
            met,
            self.measuring.key,
            self.seeds,
            self._terms,
            self._known,
            self.measuring.outcome,
            self.measuring.chosen,
        )

    def _known(self, more: Sequence[Account]) -> Knowledge:
        """What the session has learnt from its decisions and from those that a round has come to."""
        if self._lessons is None:
            target, guards = self.study.target, self.study.guards
            self._lessons = Lessons(self._first_spreads, target, self.study.file.policy, guards, self._surveyed.of)
        for number, decision in self._ledger.decisions_after(self.row.id, self._learnt):
            self._learnt = number
            if decision.turn > 0 and decision.course:
                self._lessons.take(account_from(decision.course["account"]))
        return self._lessons.with_more(more).knowledge()

    @cached_property
    def _first_spreads(self) -> dict[str, Spread]:
        """Of the baseline's repeats, once the floor is settled."""
        probes = self._first_probes(self._recipe(self.row.start))
        readings = [found for probe in probes if isinstance(found := self.measuring.outcome(probe), Reading)]
        return baseline_spreads(readings, [*sorted({score.category for score in readings[0].scores}), OVERALL])

    def _concluded(self, conclusion: Conclusion) -> DecisionRow:
        proposal, verdict = conclusion.proposal, conclusion.verdict
        stands = proposal.child if verdict.status == "KEEP" else proposal.parent
        course = {
            "looks": [asdict(look) for look in conclusion.looks],
            "account": asdict(conclusion.account),
            "seeds": dict(conclusion.seeds),
            "given": dict(conclusion.given),
        }
        figures = result_row(self.study, self.row.id, self.measuring.key, conclusion, self._known([conclusion.account]))
        comparison = conclusion.comparison
        return replace(
            self._decision(proposal.id, proposal.turn, verdict, self._recipe(stands), figures),
            comparison=asdict(comparison) if comparison else None,
            course=course,
        )

    def _require_sound(self, conclusions: Sequence[Conclusion]) -> None:
        """MissingRequirement if the machine, and not a recipe, makes several proposals fail in a row."""
        verdicts = [
            *self._ledger.last_reasons(self.row.id, MAX_MACHINE_FAULTS),
            *(one.verdict.reason for one in conclusions),
        ]
        last = conclusions[-1].failure if conclusions else None
        if len(verdicts) >= MAX_MACHINE_FAULTS and all(map(machines, verdicts[-MAX_MACHINE_FAULTS:])) and last:
            raise MissingRequirement(
                f"{MAX_MACHINE_FAULTS} proposals in a row failed because of the machine (the last: {last.kind}, "
                f"{last.message}); see runs/worker-*.log, correct the machine, then: "
                f"{self.measuring.workspace.resume_command}"
            )

    def last_decided(self) -> tuple[int, str]:
        """The last turn with a decision, and the digest of the incumbent after it."""
        decided = self._ledger.decisions("WHERE session = ?", (self.row.id,))
        return max((decision.turn for decision in decided), default=0), last_incumbent(self.row, decided)

    def agrees(self, state: Mapping[str, Any]) -> bool:
        """Whether a checkpointed state agrees with the ledger: the ledger has the proposals up to this turn and the
        decisions on all of them before the last round, and they left this incumbent."""
        turn, last = state.get("turn", 0), state.get("proposals", [])
        if not (isinstance(turn, int) and isinstance(last, list)):
            return False
        proposed = self._ledger.proposals("WHERE session = ? AND turn <= ?", (self.row.id, turn))
        decided = self._ledger.decisions("WHERE session = ? AND turn > 0", (self.row.id,))
        before = [decision for decision in decided if decision.id not in last]
        stand = [last_incumbent(self.row, decisions) for decisions in (before, decided)]
        whole = len(proposed) >= turn and len(before) >= turn - len(last)
        return whole and state.get("incumbent", self.row.start) in stand

    # what stands

    def _keeps(self) -> list[tuple[DecisionRow, ProposalRow]]:
        """The KEEPs of this session, including those that were retracted."""
        rows = self._ledger.decisions("WHERE session = ? AND status = 'KEEP'", (self.row.id,))
        return [(row, self._proposal(row.id)) for row in rows]

    def _retract(self, one: Retraction) -> None:
        if self._ledger.decision(one.kept.id + RETRACTION):
            return
        figures = retraction_row(self.study, one.kept, one.proposal, one.verdict, one.comparison)
        decision = self._decision(one.kept.id + RETRACTION, -one.kept.turn, one.verdict, one.stands, figures)
        with uninterrupted():
            self._ledger.record_recipe(one.stands)
        self._record([(replace(decision, comparison=asdict(one.comparison)), None)])
        self.measuring.publish()

    # the ledger

    @property
    def _ledger(self) -> Ledger:
        return self.measuring.ledger

    def _decision(
        self, decision_id: str, turn: int, verdict: Verdict, stands: Recipe, figures: dict[str, object]
    ) -> DecisionRow:
        policy = {
            **self.study.file.policy.model_dump(exclude={"must_see"}),
            "target": self.study.target,
            "guards": dict(self.study.guards),
        }
        policy["digest"] = digest_of(policy)
        row = {"id": decision_id, **figures, "policy": policy["digest"]}
        return DecisionRow(
            id=decision_id,
            session=self.row.id,
            turn=turn,
            status=verdict.status,
            reason=verdict.reason,
            incumbent=stands.digest,
            comparison=None,
            policy=policy,
            row=row,
            time=str(figures["time"]),
        )

    def _record(self, decided: Sequence[tuple[DecisionRow, object]]) -> None:
        """Make decisions durable, all or none. The first row carries the cost since the last recorded row."""
        if not decided:
            return
        rows = [decision for decision, _ in decided]
        rows[0] = replace(rows[0], row={**rows[0].row, "cost_usd": self._cost()})
        with uninterrupted(), full_disk_is_said(self.measuring.workspace):
            self._ledger.record_decisions([(row, event_text(row)) for row in rows])
        for row in rows:
            self.measuring.note.watcher.decided(row)

    def _cost(self) -> float | None:
        """The dollars since the session's last row, so that the rows add up; None if the study gives no prices."""
        if not has_prices(self.study):
            return None
        return round(self.measuring.spent().dollars - self._ledger.recorded_cost(self.row.id), 6)

    def _proposal(self, proposal_id: str) -> ProposalRow:
        return self._ledger.proposals("WHERE id = ?", (proposal_id,))[0]

    def _recipe(self, digest: str) -> Recipe:
        return self._ledger.recipe(digest)

    def _title(self, candidates: Sequence[Candidate]) -> str:
        rows = [one.proposal for one in candidates]
        return ", ".join(
            f"{row.id[-3:]} {row.knob} {show(value_of(row.before))} -> {show(value_of(row.after))}" for row in rows
        )
