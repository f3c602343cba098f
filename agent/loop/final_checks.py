"""The checks at the end of a session: each KEEP re-tested by leaving it out, and the last recipe compared with the
first on the holdout prompts."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from agent.ledger.designs import HOLDOUT, LEAVE_ONE_OUT, EndCheck, end_check_from
from agent.ledger.results.rows import value_of
from agent.ledger.tables import CheckRow, DecisionRow, ProposalRow
from agent.loop.measurements import Measurements
from agent.loop.seeds import Seeds
from agent.policy.confirmation import RuleTerms, Verdict
from agent.policy.retraction import Kept, held_out, left_out, standing_claim, still_shown, without
from common.clock import now
from common.errors import BudgetSpent
from lanes import Recipe
from probes.result.comparison import Comparison, compare, quantile
from probes.result.reading import Failure, Outcome, Pair, Probe, ProbeKey, Reading
from probes.result.variance_pooling import Spread

FEWEST_PAIRS = 2
"""A comparison at the end has at least so many pairs, whatever the budget."""
Keeps = Sequence[tuple[DecisionRow, ProposalRow]]


@dataclass(frozen=True)
class Retraction:
    """A KEEP that does not hold in a check: the verdict, its comparison, and the incumbent without the KEEP."""

    kept: DecisionRow
    proposal: ProposalRow
    verdict: Verdict
    comparison: Comparison
    incumbent: Recipe


@dataclass(frozen=True)
class FinalChecks:
    """The checks of one session. Each is made once: its result is in the ledger before the next begins, and a resumed
    session uses it. ``spreads``: category -> the noise of a pair, as known after the last KEEP. ``confirmed``: the
    effects (``Recipe.effect``) of the two recipes that the confirmation of that KEEP compared."""

    measurements: Measurements
    seeds: Seeds
    terms: RuleTerms
    spreads: Mapping[str, Spread]
    confirmed: frozenset[str]

    def retractions(self, keeps: Keeps, start: Recipe) -> Iterator[Retraction]:
        """The KEEPs that do not hold in a check. A check that the budget does not allow is skipped."""
        last = self.measurements.ledger.recipe(keeps[-1][0].incumbent)
        for name, check in (("leave-one-out", self._leave_one_out), ("holdout", self._holdout)):
            retracted = set[str]()
            try:
                for retraction in check(keeps, start, last) if keeps else ():
                    yield retraction
                    retracted.add(retraction.kept.id)
                    last = retraction.incumbent
            except BudgetSpent as error:
                self.measurements.log(f"SKIPPED the {name} check: {error}")
            self.measurements.reserve = 0
            keeps = [(decision, proposal) for decision, proposal in keeps if decision.id not in retracted]

    # leave one out

    def _leave_one_out(self, keeps: Keeps, start: Recipe, last: Recipe) -> Iterator[Retraction]:
        """The KEEPs that do not hold in their re-test, in their order. ``last``: the recipe after the last KEEP."""
        confirmed, whole = [_kept(decision, proposal) for decision, proposal in keeps], last
        for keep, (decision, proposal) in zip(tuple(confirmed), keeps, strict=True):
            reduced = without(start, confirmed, keep.id, self.measurements.study.lanes)
            check = self._once(LEAVE_ONE_OUT, keep.id, partial(self._left_out, keep, whole, reduced))
            if reduced is not None and check.verdict == "retracted" and check.comparison:
                confirmed, whole = [other for other in confirmed if other is not keep], reduced
                verdict = Verdict("RETRACT", "leave_one_out")
                yield Retraction(decision, proposal, verdict, check.comparison, reduced)

    def _left_out(self, keep: Kept, whole: Recipe, reduced: Recipe | None) -> EndCheck:
        if reduced is None or reduced.effect == whole.effect:
            return EndCheck(verdict="superseded")
        seeds, title = self.seeds.leave_one_out(), f"{keep.knob} left out"
        comparison = self._compare(title, whole, reduced, self.measurements.key, seeds)
        if isinstance(comparison, Failure):
            return EndCheck(verdict="not measured", failure=comparison.message)
        effect, chance = still_shown(keep, comparison, self.terms)
        verdict = "retracted" if left_out(keep, comparison, self.terms) else "holds"
        return EndCheck(verdict=verdict, effect=effect, chance=chance, comparison=comparison)

    # holdout

    def _holdout(self, keeps: Keeps, start: Recipe, last: Recipe) -> Iterator[Retraction]:
        """All remaining KEEPs, if the holdout prompts contradict them."""
        check = self._once(HOLDOUT, "", partial(self._held_out, start, last))
        if check.reason and check.comparison:
            verdict = Verdict("RETRACT", check.reason)
            yield from (
                Retraction(decision, proposal, verdict, check.comparison, start) for decision, proposal in keeps
            )

    def _held_out(self, start: Recipe, last: Recipe) -> EndCheck:
        if not self.measurements.study.material.prompts_of("holdout"):
            return EndCheck(verdict="no prompts")
        key = replace(self.measurements.key, split="holdout")
        title = "the incumbent against the starting recipe, on the holdout prompts"
        comparison = self._compare(title, last, start, key, self.seeds.holdout())
        if isinstance(comparison, Failure):
            return EndCheck(verdict="not measured", failure=comparison.message)
        verdict = held_out(comparison, self.terms)
        claim = standing_claim(comparison, self.terms.target, self.terms.policy.smallest_effect)
        if verdict:
            return EndCheck(verdict="retracted", reason=verdict.reason, comparison=comparison)
        return EndCheck(verdict=claim, comparison=comparison)

    # both

    def _compare(
        self, title: str, candidate: Recipe, baseline: Recipe, key: ProbeKey, seeds: Iterator[int]
    ) -> Comparison | Failure:
        affordable = self.measurements.probes_left() // 2
        number = int(max(FEWEST_PAIRS, min(self.terms.policy.holdout_seeds, affordable)))
        pairs = [Pair(Probe(candidate, key, seed), Probe(baseline, key, seed)) for seed in islice(seeds, number)]
        self.measurements.measure_pairs(title, pairs)
        outcomes = [(self.measurements.outcome(p.candidate), self.measurements.outcome(p.baseline)) for p in pairs]
        failure = next((outcome for both in outcomes for outcome in both if isinstance(outcome, Failure)), None)
        choices = None if failure else self.measurements.chosen(pairs)
        if failure is not None:
            return failure
        if isinstance(choices, Failure):
            return choices
        candidates, baselines = (_readings(side) for side in zip(*outcomes, strict=True))
        spreads = self._known_of(candidate, baseline) if self._sizes(key.split) == self._sizes("probe") else None
        return compare(candidates, baselines, self.terms.policy.confidence, choices, spreads)

    def _known_of(self, candidate: Recipe, baseline: Recipe) -> dict[str, Spread]:
        same = {candidate.effect, baseline.effect} == self.confirmed
        return {name: replace(spread, same_recipes=same) for name, spread in self.spreads.items()}

    def _sizes(self, split: str) -> Counter[str]:
        """Category -> number of prompts. Known noise applies only to splits of the same sizes as the probe split."""
        return Counter(prompt.category for prompt in self.measurements.study.material.prompts_of(split))

    def _once(self, kind: str, subject: str, make: Callable[[], EndCheck]) -> EndCheck:
        """The result of a check from the ledger, or made and recorded now."""
        ledger, session = self.measurements.ledger, self.measurements.row.id
        recorded = next((check for check in ledger.checks(session, kind) if check.subject == subject), None)
        if recorded is not None:
            return end_check_from(recorded.data)
        made = make()
        ledger.record_checks(CheckRow(session=session, kind=kind, subject=subject, time=now(), data=made.data))
        about = f" {subject.removeprefix(f'{session}-')}" if subject else ""
        self.measurements.log(f"{kind.upper()}{about}: {made.verdict}{_figures(made, self.terms.target)}")
        return made


def spreads_shown(kept: DecisionRow) -> dict[str, Spread]:
    """Category -> the noise of a pair: as known before this KEEP, pooled with the pairs of its confirmation."""
    stack, comparison = kept.basis.stack if kept.basis else None, kept.comparison
    if stack is None or comparison is None:
        return {}
    found, freedom = comparison.differences, len(comparison.seeds) - 1
    return {
        name: spread.with_own(found[name].variance, freedom)
        for name, spread in stack.given.spreads.items()
        if name in found
    }


def _readings(outcomes: Sequence[Outcome]) -> list[Reading]:
    return [outcome for outcome in outcomes if isinstance(outcome, Reading)]


def _kept(decision: DecisionRow, proposal: ProposalRow) -> Kept:
    row = decision.row
    return Kept(
        id=decision.id,
        turn=decision.turn,
        knob=proposal.knob,
        before=value_of(proposal.before),
        after=value_of(proposal.after),
        own=(
            row["delta"],
            (row["ci_high"] - row["ci_low"]) / (2 * quantile((1 - decision.policy["confidence"]) / 2, math.inf)),
        ),
    )


def _figures(check: EndCheck, target: str) -> str:
    if check.comparison is None:
        return f" ({check.failure})" if check.failure else ""
    effect = check.comparison.differences[target]
    return f" {effect.delta:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"
