"""What the nodes of the graph do: propose, measure, decide, record. The loop itself is in agent/graph.py.

Every method may be called again after a kill: side effects are keyed, and what was done is found, not redone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from agent.budget import Spent, exhausted, for_judging, left, priced, spent_by
from agent.choices import Choices
from agent.decision import Verdict, crash, decide
from agent.examining import Examiner, last_look
from agent.followers import publish
from agent.ledger import DecisionRow, Ledger, ProposalRow, SessionRow
from agent.proposers import Chain
from agent.rows import event_text, now, result_row, value_of
from agent.search import MACHINE_FAULTS, Search
from agent.study import Budget, Study, load_study
from agent.workspace import Workspace, full_disk_is_said, uninterrupted
from lanes import Recipe, show
from lanes.errors import BadInput, BaselineFailed, BudgetSpent, DiskFull, MissingRequirement, StudyChanged
from probes.comparison import Comparison, compare
from probes.purse import Allowance
from probes.reading import Failure, Outcome, Probe, ProbeKey, Reading
from probes.runner import Progress, Runner
from probes.store import ProbeStore


class Watcher(Protocol):
    """Whoever looks at a running session: a live table, or plain lines."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


MOST_FAULTS = 3
BASELINE_FAILED = "the starting recipe could not be measured"


def _settled(outcome: Outcome | None) -> bool:
    """A reading is, and a failure that the recipe alone explains; any other failure is worth another run."""
    return isinstance(outcome, Reading) or (isinstance(outcome, Failure) and outcome.permanent)


@dataclass
class Session:
    """One unattended run and its collaborators. ``period`` is when this process took it up (epoch seconds)."""

    row: SessionRow
    study: Study
    budget: Budget
    key: ProbeKey
    workspace: Workspace
    ledger: Ledger
    runner: Runner
    store: ProbeStore
    proposers: Chain
    watcher: Watcher
    write_report: Callable[[str], Path]
    examiner: Examiner
    note: Callable[[str], None]
    period: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.examiner.heard = self._told

    # nodes

    def measure_start(self) -> tuple[str, str | None]:
        """Measure the starting recipe and record its BASELINE row; its digest, and why it failed if it did."""
        start, decision_id = self.ledger.recipe(self.row.start), f"{self.row.id}-baseline"
        if self.ledger.decision(decision_id) is None:
            try:
                outcomes = self._measure("baseline", start)
            except BudgetSpent as error:
                return start.digest, str(error)
            failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
            verdict = crash(failure) if failure else Verdict("BASELINE", "baseline")
            readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
            self._decide(decision_id, 0, verdict, start, readings, None, None, failure)
        self._publish()
        decision = self.ledger.decision(decision_id)
        failed = decision is None or decision.status == "CRASH"
        return start.digest, f"{BASELINE_FAILED}: {decision.row['description']}" if decision and failed else None

    def next_proposal(self, turn: int, incumbent: str) -> str | None:
        """The id of this turn's proposal, made now or found; None when no untried legal move is left."""
        recorded = self.ledger.proposal(self.row.id, turn)
        if recorded is not None:
            return recorded.id
        search = Search(self.row, self.study, self.ledger)
        situation = search.situation(turn, self.ledger.recipe(incumbent), left(self.budget, self.spent()))
        if situation is None:
            return None
        suggestion = self.proposers.propose(situation)
        mutation, child = situation.space.mutate(situation.incumbent, suggestion.knob, suggestion.value)
        proposal = ProposalRow(
            f"{self.row.id}-{turn:03d}", self.row.id, turn, incumbent, child.digest, situation.lane, mutation.knob,
            mutation.before, mutation.after, " ".join(suggestion.hypothesis.split())[:1000], suggestion.predicted,
            suggestion.proposer, suggestion.dollars, now(),
        )  # fmt: skip
        with uninterrupted(), full_disk_is_said(self.workspace):
            return self.ledger.propose(proposal, child).id

    def measure(self, proposal_id: str) -> str | None:
        """Readings or failures of the candidate and, under the same key, of the incumbent; why the session ends."""
        if self.ledger.decision(proposal_id) is not None:
            return None
        proposal = self._proposal(proposal_id)
        title = (
            f"{proposal.id[-3:]} {proposal.knob} {show(value_of(proposal.before))} -> {show(value_of(proposal.after))}"
        )
        child, parent = self.ledger.recipe(proposal.child), self.ledger.recipe(proposal.parent)
        try:
            outcomes = self._measure(title, child, parent)
            if self.examiner.chooses and all(isinstance(outcome, Reading) for outcome in outcomes):
                self.choices.make(proposal_id, self._probes(child), self._probes(parent), self.examiner)
        except BudgetSpent as error:
            return str(error)
        fault = next((o for o in outcomes if isinstance(o, Failure) and o.kind in MACHINE_FAULTS), None)
        if fault is not None and self._faults_in_a_row() >= MOST_FAULTS - 1:
            raise MissingRequirement(
                f"{MOST_FAULTS} proposals in a row failed without a fault of theirs (the last: {fault.kind}, "
                f"{fault.message}); see runs/worker-*.log, mend the machine, then: {self.workspace.resume_command}"
            )
        return None

    def _faults_in_a_row(self) -> int:
        decisions = self.ledger.decisions("WHERE session = ?", (self.row.id,))
        reasons = [decision.reason.removeprefix("crash:") for decision in reversed(decisions)]
        return next((count for count, reason in enumerate(reasons) if reason not in MACHINE_FAULTS), len(reasons))

    def decide(self, proposal_id: str) -> None:
        """Compare, decide, and make the decision durable."""
        proposal = self._proposal(proposal_id)
        if self.ledger.decision(proposal_id) is not None:
            return
        child, parent = self.ledger.recipe(proposal.child), self.ledger.recipe(proposal.parent)
        outcomes = [self._known(probe) for probe in self._probes(child)]
        baseline = [self._known(probe) for probe in self._probes(parent)]
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        lost = next((outcome for outcome in baseline if isinstance(outcome, Failure)), None)
        if lost is not None:
            raise BaselineFailed(
                f"the incumbent's probe {lost.probe} was measured once and failed now ({lost.kind}: {lost.message}); "
                f"mend the cause, then: {self.workspace.resume_command}"
            )
        failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        chosen = self.choices.made(proposal_id) if self.examiner.chooses and failure is None else None
        failure, chosen = (chosen, None) if isinstance(chosen, Failure) else (failure, chosen)
        if failure is not None:
            self._decide(proposal_id, proposal.turn, crash(failure), parent, readings, None, proposal, failure)
            return
        policy = self.study.file.policy
        comparison = compare(readings, [o for o in baseline if isinstance(o, Reading)], policy.confidence, chosen)
        verdict = decide(comparison, self.study.target, self.study.guards, policy.smallest_effect)
        stands = child if verdict.status == "KEEP" else parent
        self._decide(proposal_id, proposal.turn, verdict, stands, readings, comparison, proposal, None)

    def record(self, proposal_id: str) -> str:
        """Bring results.tsv and progress.log in step; returns the digest of the recipe that stands now."""
        decision = self.ledger.decision(proposal_id)
        if decision is None:
            raise RuntimeError(f"{proposal_id} is recorded before it was decided")
        self._publish()
        return decision.incumbent

    def end(self, reason: str) -> None:
        """Close the session and write its report. ``finished`` in the ledger is what says that it is over."""
        unfit = last_look(self.examiner, self.ledger, self.row.id, self._decided())
        self.close(f"{reason}; {unfit}" if unfit else reason)

    def close(self, reason: str) -> None:
        """As ``end``, without another look at the scorer."""
        with uninterrupted(), full_disk_is_said(self.workspace):
            self.ledger.note(f"{self.row.id}-end", self.row.id, now(), f"END {reason}")
            self.ledger.finish(self.row.id, now(), reason)
        self._publish()
        self.write_report(self.row.id)

    # the scorer

    def examine(self, turn: int) -> str | None:
        """Examine the scorer if it is time before this turn; why the session must end, or None."""
        return self._look(turn - 1) if self.examiner.due(self.ledger, self.row.id, turn) else None

    def look_again(self) -> str | None:
        """Examine the scorer of a session that is taken up; why it must end, or None. A new one's was, just now."""
        return None if self.examiner.begun is not None else self._look(self._decided())

    def _look(self, decisions: int) -> str | None:
        try:
            return self.examiner.look(self.ledger, self.row.id, decisions)
        except BudgetSpent as error:
            return str(error)

    def _decided(self) -> int:
        return len(self.ledger.decisions("WHERE session = ? AND turn > 0", (self.row.id,)))

    @property
    def choices(self) -> Choices:
        return Choices(self.workspace.session(self.row.id), self.store, self.study)

    # budget

    def over_budget(self) -> str | None:
        return exhausted(self.budget, self.spent())

    def spent(self) -> Spent:
        self.ledger.seen(self.row.id, self.period, time.time())
        return spent_by(self.ledger, self.row.id, self.budget, self.workspace)

    def allowance(self) -> Allowance:
        """What judging may cost from now on."""
        return for_judging(self.budget, self.spent(), self.workspace, self.row.id)

    # measuring and deciding

    def _probes(self, recipe: Recipe) -> list[Probe]:
        return [Probe(recipe, self.key, seed) for seed in self.study.file.probe.seeds]

    def _measure(self, title: str, *recipes: Recipe) -> list[Outcome]:
        """Outcomes of all seeds of all recipes; only those that are in no probe directory are run."""
        self._require_unchanged()
        probes = [probe for recipe in recipes for probe in self._probes(recipe)]
        missing = [probe for probe in probes if not _settled(self.store.get(probe))]
        self.watcher.measuring(title, missing)
        self.runner.run(missing, self._heard, self._keep, self.allowance())
        self._require_unchanged()
        return [self._known(probe) for probe in probes]

    def _heard(self, progress: Progress) -> None:
        """What a worker says. A note is for the log, too: who waits for a server may wait beyond the budget."""
        self.watcher.progress(progress)
        if progress.note:
            self._told(progress.note)

    def _told(self, note: str) -> None:
        self.note(note)
        self._publish()
        if over := self.over_budget():
            raise BudgetSpent(over)

    def _keep(self, probe: Probe, outcome: Outcome) -> None:
        """Make an outcome durable as soon as it is there, so that a kill costs only the probes in flight."""
        if isinstance(outcome, Failure) and outcome.kind == "disk":
            raise DiskFull(
                f"probe {probe.id} found the disk full; free some space, then: {self.workspace.resume_command}"
            )
        with uninterrupted(), full_disk_is_said(self.workspace):
            self.ledger.measured(self.row.id, probe, outcome, now())
            self.store.put(probe, outcome)

    def _known(self, probe: Probe) -> Outcome:
        outcome = self.store.get(probe)
        if outcome is None:
            raise RuntimeError(f"probe {probe.id} is decided on before it was measured")
        return outcome

    def _require_unchanged(self) -> None:
        """What decides is as it was when the session began (law 10)."""
        try:
            again = load_study(self.study.path)
            changed = "the study file" if again.question != self.row.question else None
            if changed is None:
                now_key = again.material.key(self.runner.environment, self.runner.base)
                parts = [name for name, value in asdict(self.key).items() if getattr(now_key, name) != value]
                changed = f"the {parts[0]} of the probe key" if parts else None
                if changed and parts[0] == "scorer" and self.study.scorer.judge:
                    changed += " (the rubric, or the comparison epoch, which another session has ended)"
        except (BadInput, OSError) as error:
            changed = f"something that cannot be read any more ({error})"
        if changed:
            raise StudyChanged(
                f"what decides may not change under a session and {changed} is not what session {self.row.id} began "
                "with; put it back and resume, or begin a new session with nightlane run"
            )

    def _decide(
        self, decision_id: str, turn: int, verdict: Verdict, stands: Recipe, readings: Sequence[Reading],
        comparison: Comparison | None, proposal: ProposalRow | None, failure: Failure | None,
    ) -> None:  # fmt: skip
        figures = result_row(self.study, self.row.id, verdict, readings, comparison, proposal, failure)
        figures["cost_usd"] = self._cost()
        policy = {
            **self.study.file.policy.model_dump(exclude={"must_see"}),
            "target": self.study.target,
            "guards": dict(self.study.guards),
        }
        decision = DecisionRow(
            decision_id, self.row.id, turn, verdict.status, verdict.reason, stands.digest,
            asdict(comparison) if comparison else None, policy, {"id": decision_id, **figures}, str(figures["time"]),
        )  # fmt: skip
        with uninterrupted(), full_disk_is_said(self.workspace):
            self.ledger.decide(decision, event_text(decision))
        self.watcher.decided(decision)

    def _cost(self) -> float | None:
        """Dollars since the session's last row: the rows add up to what was spent. None when nothing is priced."""
        if not priced(self.study):
            return None
        rows = self.ledger.decisions("WHERE session = ?", (self.row.id,))
        return round(self.spent().dollars - sum(decision.row.get("cost_usd") or 0.0 for decision in rows), 6)

    def _proposal(self, proposal_id: str) -> ProposalRow:
        return self.ledger.proposals("WHERE id = ?", (proposal_id,))[0]

    def _publish(self) -> None:
        with uninterrupted(), full_disk_is_said(self.workspace):
            publish(self.ledger, self.workspace.root)
