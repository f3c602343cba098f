"""Confirmations: a stack is measured beside the incumbent on fresh seeds, pair by pair, until the rule decides.

A stack is recorded before its first pair runs, with all inputs of the rule, so a session that was killed continues the
same confirmation. Several pairs are measured ahead, to keep every worker busy, but looked at one by one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from agent.ledger.designs import DesignedRecipe, RecordedStack, recorded_stacks
from agent.ledger.tables import STACK, WAVE, ProposalRow
from agent.loop.measurements import Measurements
from agent.loop.search.evidence import Evidence
from agent.loop.search.proposals import Proposals, expected_of
from agent.loop.seeds import Seeds
from agent.policy.confirmation import (
    ConfirmationInputs,
    Look,
    RuleTerms,
    Verdict,
    crash,
    look,
    pairs_needed,
    spending_of,
)
from agent.policy.decision_basis import ConfirmationRecord, EndedConfirmation
from agent.policy.knob_effects import Places
from agent.policy.night import FEWEST_PAIRS, ConfirmStack, NightState
from agent.policy.night_plan import NightPlan
from common.clock import now
from common.errors import BaselineFailed, BudgetSpent
from common.wording import count
from lanes import Recipe
from probes.result.comparison import Comparison, compare
from probes.result.reading import Failure, Pair, Probe, Reading

MOST_LOST = 3
"""In one confirmation, the incumbent itself may fail for good under so many seeds."""


@dataclass
class Confirmations:
    measurements: Measurements
    seeds: Seeds
    evidence: Evidence
    proposals: Proposals
    terms: RuleTerms
    _recorded: list[RecordedStack] = field(default_factory=list)

    def recorded(self) -> tuple[RecordedStack, ...]:
        """The session's stacks, oldest first. Each is read once: none changes."""
        checks = self.measurements.ledger.checks(self.measurements.row.id, STACK, skip=len(self._recorded))
        self._recorded += recorded_stacks(checks)
        return tuple(self._recorded)

    def begin(self, step: ConfirmStack, known: NightState, incumbent: Recipe) -> None:
        """Record a stack: the proposals of its members, its recipe, and the inputs of the rule."""
        recipe = self.evidence.recipe(incumbent, known.incumbent, step.stack.places)
        if recipe is None:
            raise RuntimeError(f"a stack has a recipe that no probe may run: {step.stack.places}")
        expected = expected_of(known, lambda knob, place: self.evidence.value(incumbent, knob, place))
        members = [
            self.proposals.of_move(incumbent, knob, self.evidence.value(incumbent, knob, place), expected)
            for knob, place in step.stack.members
        ]
        given = known.given(step.stack, step.pairs, self.terms.target)
        self._record(
            incumbent,
            recipe,
            places=step.stack.places,
            members=members,
            given=given,
            plan=step.plan,
            noisier=step.stack.noisier,
        )
        expects = f"{step.stack.expected:+.2f} give or take {math.sqrt(step.stack.variance):.2f}"
        self.measurements.log(
            f"STACK {len(self.recorded())}: {count(len(members), 'change')}, expected {expects}, at most "
            f"{count(step.pairs, 'pair')}"
        )

    def begin_aa_test(self, last: RecordedStack, incumbent: Recipe) -> None:
        """Record an A/A test with the inputs of the last stack, so that it is decided on in the same way."""
        given = replace(last.given, cumulative={}, guards={})
        pairs = min(given.pairs, FEWEST_PAIRS)
        given = replace(given, pairs=pairs, first=min(given.first, pairs))
        member = self.proposals.make_aa_test(incumbent)
        self._record(
            incumbent, incumbent, places=self.evidence.incumbent_places(incumbent), members=[member], given=given
        )

    def _record(
        self,
        incumbent: Recipe,
        recipe: Recipe,
        *,
        places: Places,
        members: Sequence[ProposalRow],
        given: ConfirmationInputs,
        plan: NightPlan | None = None,
        noisier: float = 1.0,
    ) -> None:
        ledger, session = self.measurements.ledger, self.measurements.row.id
        stack = RecordedStack(
            session=session,
            number=len(self.recorded()) + 1,
            time=now(),
            incumbent=incumbent.digest,
            recipe=DesignedRecipe(digest=recipe.digest, places=places),
            members=tuple(row.id for row in members),
            given=given,
            waves=ledger.count_checks(session, WAVE),
            plan=plan,
            noisier=noisier,
        )
        ledger.record_design(stack.row, [recipe])

    def is_concluded(self, stack: RecordedStack) -> bool:
        return self.measurements.ledger.decision(stack.members[0]) is not None

    def conclude(self, stack: RecordedStack) -> tuple[EndedConfirmation, str | None]:
        """Measure pairs until the rule decides or the budget ends; also returns why the session ends, or None."""
        given, pairs = stack.given, self._pairs(stack)
        ahead, looks, seen = math.ceil(self.measurements.runner.width / 2), list[Look](), None
        measured, verdict = list[Pair](), None
        while verdict is None:
            step = pairs_needed(len(measured), given, ahead)
            try:
                measured = self._measured(_title(stack, len(measured), step), pairs, step)
            except BudgetSpent as error:
                return self._conclusion(stack, looks, seen, pairs, Verdict("DISCARD", "budget")), str(error)
            if step < given.first and (failure := self._failure(measured)):
                return self._conclusion(stack, looks, seen, pairs, crash(failure), failure), None
            for number in range(len(looks) + given.first, step + 1):
                found = self._compared(measured[:number], given)
                if isinstance(found, Failure):
                    return self._conclusion(stack, looks, seen, pairs, crash(found), found), None
                seen = found
                one, verdict = look(seen, given, self.terms)
                looks.append(one)
                if verdict is not None:
                    break
        return self._conclusion(stack, looks, seen, pairs, verdict), None

    def _pairs(self, stack: RecordedStack) -> list[Pair]:
        """The pairs of a confirmation, and MOST_LOST more, since the incumbent may fail under some seeds."""
        ledger, key, number = self.measurements.ledger, self.measurements.key, stack.number
        incumbent, recipe = ledger.recipe(stack.incumbent), ledger.recipe(stack.recipe.digest)
        wanted = stack.given.pairs + MOST_LOST
        theirs = list(islice(self.seeds.confirming(number), wanted))
        mine = list(islice(self.seeds.aa_candidate(number), wanted)) if stack.is_aa_test else theirs
        return [
            Pair(Probe(recipe, key, own), Probe(incumbent, key, seed)) for own, seed in zip(mine, theirs, strict=True)
        ]

    def _measured(self, title: str, pairs: Sequence[Pair], number: int) -> list[Pair]:
        """Measure pairs until ``number`` of them have a baseline reading, and return these. BaselineFailed if the
        incumbent fails too often, or because of the machine."""
        lost = 0
        while True:
            chosen = pairs[: number + lost]
            self.measurements.measure_pairs(title, chosen)
            sound, failed = list[Pair](), 0
            for pair in chosen:
                found = self.measurements.outcome(pair.baseline)
                if isinstance(found, Reading):
                    sound.append(pair)
                    continue
                failed += 1
                if not found.permanent or failed > MOST_LOST:
                    raise BaselineFailed(
                        f"the incumbent's probe {found.probe} was measured before under other seeds and failed now "
                        f"({found.kind}: {found.message}); mend the cause, then resume the session"
                    )
            if len(sound) >= number or number + lost >= len(pairs):
                return sound[:number]
            lost += number - len(sound)

    def _failure(self, pairs: Sequence[Pair]) -> Failure | None:
        """The first failure of the stack's recipe."""
        outcomes = (self.measurements.outcome(pair.candidate) for pair in pairs)
        return next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)

    def _compared(self, pairs: Sequence[Pair], given: ConfirmationInputs) -> Comparison | Failure:
        if failure := self._failure(pairs):
            return failure
        mine = [self.measurements.outcome(pair.candidate) for pair in pairs]
        chosen = self.measurements.chosen(pairs)
        if isinstance(chosen, Failure):
            return chosen
        baseline = [
            outcome for pair in pairs if isinstance(outcome := self.measurements.outcome(pair.baseline), Reading)
        ]
        posed = [
            replace(reading, seed=pair.baseline.seed)
            for reading, pair in zip(mine, pairs, strict=True)
            if isinstance(reading, Reading)
        ]
        return compare(posed, baseline, self.terms.policy.confidence, chosen, given.spreads)

    def _conclusion(
        self,
        stack: RecordedStack,
        looks: Sequence[Look],
        seen: Comparison | None,
        pairs: Sequence[Pair],
        verdict: Verdict,
        failure: Failure | None = None,
    ) -> EndedConfirmation:
        if stack.is_aa_test and verdict.status != "CRASH" and verdict.reason != "budget":
            verdict = Verdict("DISCARD", "false_alarm" if verdict.status == "KEEP" else "calibration")
        by_seed = {pair.baseline.seed: pair for pair in pairs}
        used = [by_seed[seed] for seed in (pair.baseline.seed for pair in pairs) if seen and seed in seen.seeds]
        readings = [
            outcome for pair in used if isinstance(outcome := self.measurements.outcome(pair.candidate), Reading)
        ]
        confirmed = ConfirmationRecord(
            number=stack.number,
            members=stack.members,
            recipe=stack.recipe.digest,
            given=stack.given,
            looks=tuple(looks),
            seeds=tuple((pair.candidate.seed, pair.baseline.seed) for pair in used),
            account=spending_of(seen, stack.given, verdict, self.terms),
            is_aa_test=stack.is_aa_test,
        )
        return EndedConfirmation(verdict, confirmed, seen, tuple(readings), failure)


def _title(stack: RecordedStack, measured: int, number: int) -> str:
    what = "an A/A test" if stack.is_aa_test else count(len(stack.members), "change")
    pairs = f"pairs {measured + 1} to {number}" if number > measured + 1 else f"pair {number}"
    return f"stack {stack.number}, {what}, {pairs} of at most {stack.given.pairs}"
