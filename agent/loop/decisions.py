"""The decisions of a session: their rows in the ledger, and what they teach about noise, effects and error so far."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from agent.ledger.result_rows import baseline_row, event_text, result_row, retraction_row
from agent.ledger.tables import RETRACTION, DecisionRow, ProposalRow
from agent.loop.baseline import Baseline
from agent.loop.budget import has_prices
from agent.loop.final_checks import Retraction
from agent.loop.measurements import Measurements
from agent.loop.round import Conclusion
from agent.loop.survey import Surveyed, closed
from agent.policy.decision_rule import Terms, Verdict, crash
from agent.policy.session_statistics import Account, Knowledge, Lessons, account_from
from agent.workspace.full_disk import full_disk_reported
from common.digests import digest_of
from common.interrupts import uninterrupted
from lanes import Recipe
from probes.result.comparison import Comparison
from probes.result.reading import Failure, Outcome, Reading


@dataclass
class Decisions:
    """Makes decisions durable, and keeps in step with the ledger what they teach. ``_learnt``: the number of the last
    decision that was learnt from."""

    measurements: Measurements
    baseline: Baseline
    _lessons: Lessons | None = field(default=None, init=False)
    _learnt: int = field(default=0, init=False)

    @property
    def terms(self) -> Terms:
        study = self.measurements.study
        return Terms(study.file.policy, study.target, study.guards, int(self.baseline.floor["pairs"]))

    def known(self, undecided: Sequence[Account] = ()) -> Knowledge:
        """What the session has learnt from its decisions, and from a round's conclusions that are not recorded yet."""
        study, session = self.measurements.study, self.measurements.row.id
        if self._lessons is None:
            policy, surveyed = study.file.policy, self._surveyed.of
            self._lessons = Lessons(self.baseline.spreads, study.target, policy, study.guards, surveyed)
        for number, decision in self.measurements.ledger.decisions_after(session, self._learnt):
            self._learnt = number
            if decision.turn > 0 and decision.course:
                self._lessons.take(account_from(decision.course["account"]))
        return self._lessons.with_more(undecided).knowledge()

    @cached_property
    def _surveyed(self) -> Surveyed:
        """The survey, once it was taken; empty for a session of a version without surveys."""
        return closed(self.measurements.ledger.checks(self.measurements.row.id)) or Surveyed()

    # recording

    def record_baseline(self, decision_id: str, outcomes: Sequence[Outcome]) -> None:
        """Record the BASELINE row, or a CRASH if one of the repeats failed."""
        failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        verdict = crash(failure) if failure else Verdict("BASELINE", "baseline")
        session, key = self.measurements.row.id, self.measurements.key
        figures = baseline_row(self.measurements.study, session, key, verdict, readings, failure)
        self._record([self._row(decision_id, 0, verdict, self.baseline.start, figures)])

    def record_round(self, conclusions: Sequence[Conclusion]) -> None:
        """Record the decisions of a round, all or none."""
        self._record([self._concluded(conclusion) for conclusion in conclusions])

    def retract(self, retraction: Retraction) -> None:
        """Take a KEEP back, unless that was done before a kill."""
        kept, verdict, comparison = retraction.kept, retraction.verdict, retraction.comparison
        if self.measurements.ledger.decision(kept.id + RETRACTION):
            return
        figures = retraction_row(self.measurements.study, kept, retraction.proposal, verdict, comparison)
        row = self._row(kept.id + RETRACTION, -kept.turn, verdict, retraction.incumbent, figures, comparison)
        with uninterrupted():
            self.measurements.ledger.record_recipe(retraction.incumbent)
        self._record([row])
        self.measurements.publish()

    def _concluded(self, conclusion: Conclusion) -> DecisionRow:
        proposal, verdict = conclusion.proposal, conclusion.verdict
        course = {
            "looks": [asdict(look) for look in conclusion.looks],
            "account": asdict(conclusion.account),
            "seeds": dict(conclusion.seeds),
            "given": dict(conclusion.given),
        }
        study, session, key = self.measurements.study, self.measurements.row.id, self.measurements.key
        figures = result_row(study, session, key, conclusion, self.known([conclusion.account]))
        incumbent = self.measurements.ledger.recipe(_incumbent_after(proposal, verdict))
        row = self._row(proposal.id, proposal.turn, verdict, incumbent, figures, conclusion.comparison)
        return replace(row, course=course)

    def _row(
        self,
        decision_id: str,
        turn: int,
        verdict: Verdict,
        incumbent: Recipe,
        figures: dict[str, object],
        comparison: Comparison | None = None,
    ) -> DecisionRow:
        study = self.measurements.study
        policy = {
            **study.file.policy.model_dump(exclude={"must_see"}),
            "target": study.target,
            "guards": dict(study.guards),
        }
        policy["digest"] = digest_of(policy)
        return DecisionRow(
            id=decision_id,
            session=self.measurements.row.id,
            turn=turn,
            status=verdict.status,
            reason=verdict.reason,
            incumbent=incumbent.digest,
            comparison=asdict(comparison) if comparison else None,
            policy=policy,
            row={"id": decision_id, **figures, "policy": policy["digest"]},
            time=str(figures["time"]),
        )

    def _record(self, rows: list[DecisionRow]) -> None:
        """Make decisions durable, all or none. The first row carries the cost since the last recorded row."""
        if not rows:
            return
        rows[0] = replace(rows[0], row={**rows[0].row, "cost_usd": self._cost()})
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            self.measurements.ledger.record_decisions([(row, event_text(row)) for row in rows])
        for row in rows:
            self.measurements.log.watcher.decided(row)

    def _cost(self) -> float | None:
        """The dollars since the session's last row, so that the rows add up; None if the study gives no prices."""
        if not has_prices(self.measurements.study):
            return None
        recorded = self.measurements.ledger.recorded_cost(self.measurements.row.id)
        return round(self.measurements.spent().dollars - recorded, 6)


def _incumbent_after(proposal: ProposalRow, verdict: Verdict) -> str:
    return proposal.child if verdict.status == "KEEP" else proposal.parent
