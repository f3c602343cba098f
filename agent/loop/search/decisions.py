"""Records the decisions of a session, and keeps the account of the night's error that confirmations spend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from agent.ledger.results.rows import baseline_row, event_text, member_row, retraction_row, unconfirmed_row, value_of
from agent.ledger.tables import RETRACTION, DecisionRow, ProposalRow
from agent.loop.budget import has_prices
from agent.loop.final_checks import Retraction
from agent.loop.measurements import Measurements
from agent.loop.search.evidence import Evidence
from agent.loop.start_or_resume.baseline import Baseline
from agent.policy.confirmation import ErrorBudget, ErrorSpending, RuleTerms, Verdict, crash, error_budget
from agent.policy.decision_basis import DecisionBasis, EndedConfirmation, OwnEffectEstimate
from agent.policy.night import NightState
from agent.policy.own_effects import own_effect, unconfirmed_verdict
from agent.proposers.dead_ends import SKIPPED
from agent.workspace.full_disk import full_disk_reported
from common.digests import digest_of
from common.interrupts import uninterrupted
from probes.result.comparison import Comparison
from probes.result.reading import Failure, Outcome, Reading


@dataclass
class Decisions:
    """Makes decisions durable. Each is derived from the ledger alone, so a kill changes none.

    ``_accounts``: number of a confirmation -> what it spent and changed, up to the row ``_last`` of the ledger.
    """

    measurements: Measurements
    baseline: Baseline
    evidence: Evidence
    _accounts: dict[int, ErrorSpending] = field(default_factory=dict)
    _last: int = 0

    @cached_property
    def terms(self) -> RuleTerms:
        study = self.measurements.study
        return RuleTerms(study.file.policy, study.target, study.guards)

    def error_budget(self) -> ErrorBudget:
        """The error that the session's confirmations have left, and the changes of its guards by all KEEPs."""
        for number, decision in self.measurements.ledger.decisions_after(self.measurements.row.id, self._last):
            self._last, stack = number, decision.basis.stack if decision.basis else None
            if decision.turn > 0 and stack is not None and not stack.is_aa_test:
                self._accounts[stack.number] = stack.account
        return error_budget([self._accounts[number] for number in sorted(self._accounts)], self.terms.policy)

    # recording

    def record_baseline(self, decision_id: str, outcomes: Sequence[Outcome]) -> None:
        """Record the BASELINE row, or a CRASH if one of the repeats failed."""
        failure = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        verdict = crash(failure) if failure else Verdict("BASELINE", "baseline")
        session, key = self.measurements.row.id, self.measurements.key
        figures = baseline_row(self.measurements.study, session, key, verdict, readings, failure)
        self._record([self._row(decision_id, 0, verdict, incumbent=self.baseline.start.digest, figures=figures)])

    def record_stack(
        self,
        conclusion: EndedConfirmation,
        members: Sequence[ProposalRow],
        others: Sequence[ProposalRow],
        known: NightState,
    ) -> None:
        """Record a confirmation: a row for each member, all or none. After a KEEP also a row for each of ``others``,
        the open changes of the incumbent that was replaced. ``known`` includes the readings of this confirmation."""
        rows = [self._member(conclusion, proposal, known) for proposal in members]
        if conclusion.verdict.status == "KEEP":
            rows += self._unconfirmed(others, known, conclusion.confirmed.recipe, at_end=False)
        self._record(rows)

    def record_rest(self, proposals: Sequence[ProposalRow], known: NightState) -> None:
        """Record the changes that are unconfirmed when the session ends. A change without a reading or a failure gets
        no row."""
        self._record(self._unconfirmed(proposals, known, None, at_end=True))

    def record_skip(self, proposal: ProposalRow, known: NightState) -> None:
        """Record the decision on a change that a person took out of the search."""
        own = self._own(proposal, known)
        own = own if own is not None and own.recipes else None
        verdict = Verdict("DISCARD", SKIPPED)
        study, session, key = self.measurements.study, self.measurements.row.id, self.measurements.key
        figures = unconfirmed_row(study, session, key, proposal, verdict=verdict, own=own)
        row = self._row(
            proposal.id,
            proposal.turn,
            verdict,
            incumbent=proposal.parent,
            figures=figures,
            basis=DecisionBasis(own, None),
        )
        self._record([row])

    def retract(self, retraction: Retraction) -> None:
        """Record a RETRACT, unless that was done before a kill."""
        kept, verdict, comparison = retraction.kept, retraction.verdict, retraction.comparison
        if self.measurements.ledger.decision(kept.id + RETRACTION):
            return
        figures = retraction_row(self.measurements.study, kept, retraction.proposal, verdict, comparison)
        with uninterrupted():
            self.measurements.ledger.record_recipe(retraction.incumbent)
        row = self._row(
            kept.id + RETRACTION,
            -kept.turn,
            verdict,
            incumbent=retraction.incumbent.digest,
            figures=figures,
            comparison=comparison,
        )
        self._record([row])
        self.measurements.publish()

    def _member(self, conclusion: EndedConfirmation, proposal: ProposalRow, known: NightState) -> DecisionRow:
        own = None if conclusion.confirmed.is_aa_test or conclusion.failure else self._own(proposal, known)
        study, session, key = self.measurements.study, self.measurements.row.id, self.measurements.key
        figures = member_row(study, session, key, conclusion, proposal, own)
        kept = conclusion.verdict.status == "KEEP"
        return self._row(
            proposal.id,
            proposal.turn,
            conclusion.verdict,
            incumbent=conclusion.confirmed.recipe if kept else proposal.parent,
            figures=figures,
            comparison=conclusion.comparison,
            basis=DecisionBasis(own, conclusion.confirmed),
        )

    def _unconfirmed(
        self, proposals: Sequence[ProposalRow], known: NightState, incumbent: str | None, at_end: bool
    ) -> list[DecisionRow]:
        study, session, key = self.measurements.study, self.measurements.row.id, self.measurements.key
        failures, rows = self._failures(proposals), []
        for proposal in proposals:
            own, failure = self._own(proposal, known), failures.get(proposal.id)
            verdict, why = None, ""
            if own is not None and own.recipes:
                verdict = unconfirmed_verdict(own, known, at_end)
            elif failure is not None:
                own, verdict, why = None, crash(failure), failure.message
            if verdict is not None:
                figures = unconfirmed_row(study, session, key, proposal, verdict=verdict, own=own, why=why)
                stands, basis = incumbent or proposal.parent, DecisionBasis(own, None)
                rows.append(
                    self._row(proposal.id, proposal.turn, verdict, incumbent=stands, figures=figures, basis=basis)
                )
        return rows

    def _own(self, proposal: ProposalRow, known: NightState) -> OwnEffectEstimate | None:
        knob = self.measurements.study.lanes.knob(proposal.knob)
        return own_effect(known, proposal.knob, knob.place(value_of(proposal.after)))

    def _failures(self, proposals: Sequence[ProposalRow]) -> Mapping[str, Failure]:
        """Id of a proposal -> a failure of a recipe that carried it."""
        wanted = {proposal.id for proposal in proposals}
        return {name: failure for name, failure in self.evidence.failures().items() if name in wanted}

    def _row(
        self,
        decision_id: str,
        turn: int,
        verdict: Verdict,
        *,
        incumbent: str,
        figures: dict[str, object],
        comparison: Comparison | None = None,
        basis: DecisionBasis | None = None,
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
            incumbent=incumbent,
            comparison=comparison,
            policy=policy,
            row={"id": decision_id, **figures, "policy": policy["digest"]},
            time=str(figures["time"]),
            basis=basis,
        )

    def _record(self, rows: list[DecisionRow]) -> None:
        """Record decisions, all or none. The first row has the cost since the last recorded row."""
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
