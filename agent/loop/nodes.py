"""What the nodes of the graph do: propose, measure, decide, record. The loop itself is in agent/loop/graph.py.

Every method may be called again after a kill: side effects are keyed, and what was done is found, not redone.
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
from agent.loop.budget import left, priced
from agent.loop.final_checks import Ending, Retraction
from agent.loop.harvest import Harvest
from agent.loop.judge_monitor import Examiner, last_look
from agent.loop.measuring import Measuring
from agent.loop.noise_floor import Floor, floor_data, settle, told, visible_effect
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
from probes.result.variance_components import sources
from probes.result.variance_pooling import Spread

MOST_FAULTS = 3
BASELINE_FAILED = "the starting recipe could not be measured"


@dataclass
class Session:
    """One unattended run and its collaborators."""

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
    def examiner(self) -> Examiner:
        return self.measuring.examiner

    # nodes

    def measure_start(self) -> str | None:
        """Measure the starting recipe, settle the noise floor, record the BASELINE row; why it failed if it did."""
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

    def next_round(self, turn: int, incumbent: str) -> list[str]:
        """The ids of the proposals from this turn on, made now or found; none when no legal move is left to try."""
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

    def proposed(self, turn: int) -> bool:
        """Whether this turn has a proposal already: its round was begun before the session was taken up."""
        return self._ledger.proposal(self.row.id, turn) is not None

    def over(self, turn: int) -> str | None:
        """Why the session should end before this turn: the budget, a long plateau though the search widened, or a
        scorer that is unfit."""
        return self.measuring.over_budget() or self._search.plateau() or self.examine(turn)

    def measure(self, proposals: Sequence[str]) -> tuple[str | None, int | None]:
        """Whatever the round's candidates and their baseline need until each is decided on. If the budget ends before
        that: why the session ends, and how many of the round's requests were answered."""
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
        """Come to the round's conclusions again, from what is on the disk, and make them durable together.
        ``answered``: how many of the round's requests were, where the budget ended before the last; None: all."""
        current = self._round(proposals)
        if current is None or (answered is not None and len(current.candidates) < len(proposals)):
            return  # it was cut short and recorded: what has no decision has no comparison
        for number, _ in enumerate(current.course()):
            if number == answered:
                current.cut_short()
                break
        self._record([(self._concluded(conclusion), conclusion) for conclusion in current.conclusions])

    def record(self, proposals: Sequence[str], incumbent: str) -> str:
        """Bring results.tsv and progress.log in step; returns the digest of the recipe that stands now."""
        self.measuring.publish()
        decided = [self._ledger.decision(proposal) for proposal in proposals]
        return next((decision.incumbent for decision in decided if decision and decision.status == "KEEP"), incumbent)

    def harvest(self) -> None:
        """Make preference pairs of what was decided."""
        self._harvest.gather()
        self.measuring.publish()

    @cached_property
    def _harvest(self) -> Harvest:
        return Harvest(self.measuring)

    def check_keeps(self) -> None:
        """Re-test what was kept, as far as the budget goes, and retract what does not hold."""
        keeps = self._keeps()
        if not keeps or not self.study.file.policy.holdout_seeds:
            return
        start, last = self._recipe(self.row.start), self._recipe(keeps[-1][0].incumbent)
        ending = Ending(self.measuring, self.seeds, self._terms, self._known([]))
        for check in (ending.leave_out, ending.hold_out):
            gone = set[str]()
            try:
                for one in check(keeps, start, last) if keeps else ():
                    self._retract(one)
                    gone.add(one.kept.id)
                    last = one.stands
            except BudgetSpent as error:
                self.measuring.note(f"{check.__name__.upper()} left out: {error}")
            self.measuring.reserve = 0
            keeps = [(decision, proposal) for decision, proposal in keeps if decision.id not in gone]

    def end(self, reason: str) -> None:
        """Close the session and write its report. ``finished`` in the ledger is what says that it is over."""
        unfit = last_look(self.examiner, self._ledger, self.row.id, self._decided())
        self.close(f"{reason}; {unfit}" if unfit else reason)

    def close(self, reason: str) -> None:
        """As ``end``, without another look at the scorer."""
        with uninterrupted(), full_disk_is_said(self.measuring.workspace):
            self._ledger.record_event(f"{self.row.id}-end", self.row.id, now(), f"END {reason}")
            self._ledger.finish(self.row.id, now(), reason)
        self.measuring.publish()
        self.write_report(self.row.id)

    # the scorer

    def examine(self, turn: int) -> str | None:
        """Examine the scorer if it is time before this turn; why the session must end, or None."""
        return self._look(turn - 1) if self.examiner.due(self._ledger, self.row.id, turn) else None

    def look_again(self) -> str | None:
        """Examine the scorer of a session that is taken up; why it must end, or None. A new one's was, just now."""
        return None if self.examiner.begun is not None else self._look(self._decided())

    def _look(self, decisions: int) -> str | None:
        try:
            return self.examiner.look(self._ledger, self.row.id, decisions)
        except BudgetSpent as error:
            return str(error)

    def _decided(self) -> int:
        return self._ledger.totals(self.row.id).decisions

    # the noise floor

    def _baseline(self, start: Recipe) -> list[Outcome]:
        """Repeats of the starting recipe under the session's key, which the first of them may choose."""
        outcomes = self._repeats(start)
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        if len(readings) < len(outcomes) or self._ledger.checks(self.row.id, "floor"):
            return outcomes
        spread = next((row.data["spread"] for row in self._ledger.examinations(self.row.id)), None)
        scorer, file = self.study.scorer, self.study.file
        found = None if scorer.chooses else sources(readings, self.study.target, spread, scorer.judgements)
        chosen = self._ledger.chosen_samples(self.row.question)
        width = self.measuring.runner.width
        knobs = 0 if scorer.chooses else len(self.study.lanes.moves(start))  # a survey compares scores
        floor = settle(readings, found, file.policy, self.measuring.budget, width, chosen, knobs)
        visible = visible_effect(readings, found, self.study.target, floor, file.policy)
        self._settle(floor, floor_data(floor, found, visible))
        self.measuring.note(told(found, self.study.target, self._floor["visible"]))
        self.measuring.note(f"FLOOR {floor.why}")
        return self._repeats(start)

    def _repeats(self, recipe: Recipe) -> list[Outcome]:
        probes = self._first_probes(recipe)
        self.measuring.measure("baseline", probes)
        return [self.measuring.outcome(probe) for probe in probes]

    def _first_probes(self, recipe: Recipe) -> list[Probe]:
        """As many as the study has seeds: the study's own, or fresh ones where an earlier night has used those."""
        number = len(self.study.file.probe.seeds)
        return [Probe(recipe, self.measuring.key, seed) for seed in islice(self.seeds.screening(0), number)]

    def _settle(self, floor: Floor, data: dict[str, object]) -> None:
        key = replace(self.measuring.key, samples=floor.samples)
        self._ledger.record_noise_floor(
            CheckRow(session=self.row.id, kind="floor", subject="", time=now(), data=data), key.digest
        )
        self.measuring.key, self.measuring.row = key, replace(self.row, key=key.digest)

    def _survey(self, start: Recipe) -> None:
        Survey(self.measuring, self.seeds, self._first_spreads).take(start, int(self._floor.get("survey", 0)))

    @cached_property
    def _surveyed(self) -> Surveyed:
        """Once the survey is taken; nothing in a session from before there were any."""
        return closed(self._ledger.checks(self.row.id)) or Surveyed()

    @property
    def _floor(self) -> dict[str, float]:
        return dict(self._ledger.checks(self.row.id, "floor")[0].data)

    # proposing

    @property
    def _search(self) -> Search:
        """Caught up with what was proposed and decided since it was last asked for."""
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
        if self.seeds.disguised(turn, self.study.file.policy.disguised):
            hypothesis = "the incumbent under other seeds, decided on like any other candidate: nothing can be kept"
            none = Suggestion("baseline", "incumbent", hypothesis, 0.0, CALIBRATION)
            return self._propose(turn, parent, parent, CALIBRATION, "incumbent", none)
        search = self._search
        again = search.overtaken(parent)
        if again is not None:
            lane, suggestion = again
        else:
            situation = search.situation(turn, parent, left(self.measuring.budget, self.measuring.spent()))
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
            candidates, self._recipe(waiting[0].parent), keeps, met, self.measuring.key, self.seeds, self._terms,
            self._known, self.measuring.outcome, self.measuring.chosen,
        )  # fmt: skip

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
            "looks": [asdict(look) for look in conclusion.looks], "account": asdict(conclusion.account),
            "seeds": dict(conclusion.seeds), "given": dict(conclusion.given),
        }  # fmt: skip
        figures = result_row(self.study, self.row.id, self.measuring.key, conclusion, self._known([conclusion.account]))
        comparison = conclusion.comparison
        return replace(
            self._decision(proposal.id, proposal.turn, verdict, self._recipe(stands), figures),
            comparison=asdict(comparison) if comparison else None, course=course,
        )  # fmt: skip

    def _require_sound(self, conclusions: Sequence[Conclusion]) -> None:
        """MissingRequirement when the machine, and no recipe, makes proposals fail one after another."""
        verdicts = [*self._ledger.last_reasons(self.row.id, MOST_FAULTS), *(one.verdict.reason for one in conclusions)]
        last = conclusions[-1].failure if conclusions else None
        if len(verdicts) >= MOST_FAULTS and all(map(machines, verdicts[-MOST_FAULTS:])) and last:
            raise MissingRequirement(
                f"{MOST_FAULTS} proposals in a row failed without a fault of theirs (the last: {last.kind}, "
                f"{last.message}); see runs/worker-*.log, mend the machine, then: "
                f"{self.measuring.workspace.resume_command}"
            )

    def decided_until(self) -> tuple[int, str]:
        """The last turn that was decided on, whose round was decided whole, and the digest of what stands."""
        decided = self._ledger.decisions("WHERE session = ?", (self.row.id,))
        return max((decision.turn for decision in decided), default=0), last_incumbent(self.row, decided)

    def agrees(self, state: Mapping[str, Any]) -> bool:
        """Whether a state of the loop is one that the ledger lets be: it has the proposals up to this turn and the
        decisions on all before the last round, and the incumbent is what they left."""
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
        """The KEEPs of this session, also those that were retracted."""
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
            "target": self.study.target, "guards": dict(self.study.guards),
        }  # fmt: skip
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
        """Durable, all or none. The first row has what was spent since the last."""
        if not decided:
            return
        rows = [decision for decision, _ in decided]
        rows[0] = replace(rows[0], row={**rows[0].row, "cost_usd": self._cost()})
        with uninterrupted(), full_disk_is_said(self.measuring.workspace):
            self._ledger.record_decisions([(row, event_text(row)) for row in rows])
        for row in rows:
            self.measuring.note.watcher.decided(row)

    def _cost(self) -> float | None:
        """Dollars since the session's last row: the rows add up to what was spent. None when nothing is priced."""
        if not priced(self.study):
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
