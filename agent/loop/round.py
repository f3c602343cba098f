"""A round: candidates held against one baseline, under the same seeds but for those that a candidate has had before,
until each is decided on.

The course is a generator. It asks for pairs of probes and goes on when they are measured, so that the same code
measures (session.measure) and, from what is on the disk, decides (session.decide): after a kill it comes to where it
was.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, TypeAlias

from agent.ledger.tables import ProposalRow
from agent.loop.seeds import Seeds
from agent.policy.decision_rule import FIRST_LOOK, Look, Step, Terms, Verdict, confirm, crash, error_of, expect, screen
from agent.policy.effect_model import Move
from agent.policy.session_statistics import Account, Knowledge
from common.errors import BaselineFailed
from lanes import Recipe
from probes.result.comparison import Choice, Comparison, compare
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading

MOST_LOST = 3  # seeds under which the incumbent itself fails for good


@dataclass(frozen=True, slots=True)
class Pair:
    """A probe of the candidate and one of the incumbent, of the same seed but for a candidate in disguise."""

    candidate: Probe
    baseline: Probe


Wanted: TypeAlias = list[Pair]


@dataclass(frozen=True)
class Conclusion:
    """A candidate's decision and all that led to it. ``readings``: its own; ``comparison``: the one decided on;
    ``seeds``: the baseline's, of screening and confirmation, in the order that they were looked at; ``given``: what the
    rule was given, by stage."""

    proposal: ProposalRow
    verdict: Verdict
    looks: tuple[Look, ...]
    comparison: Comparison | None
    readings: tuple[Reading, ...]
    account: Account
    seeds: Mapping[str, tuple[tuple[int, int], ...]]
    failure: Failure | None = None
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Candidate:
    """One proposal on its way. ``step``: what its last look said."""

    proposal: ProposalRow
    recipe: Recipe
    disguised: bool
    move: Move | None
    used: frozenset[int] = frozenset()
    looks: list[Look] = field(default_factory=list)
    screened: Comparison | None = None
    confirmed: Comparison | None = None
    error: float = 0.0
    seeds: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    step: Step = "more"
    failure: Failure | None = None
    readings: list[Reading] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)


@dataclass
class Round:
    """``met``: candidates that were held against this incumbent before. ``outcome`` and ``chosen`` read what was
    measured; ``known`` is what the session has learnt, given accounts of this round's own conclusions; ``lost`` notes
    seeds under which the incumbent failed."""

    candidates: Sequence[Candidate]
    incumbent: Recipe
    keeps: int
    met: int
    key: ProbeKey
    seeds: Seeds
    terms: Terms
    known: Callable[[Sequence[Account]], Knowledge]
    outcome: Callable[[Probe], Outcome]
    chosen: Callable[[Sequence[Pair]], Sequence[Choice] | Failure | None]
    lost: set[int] = field(default_factory=set)

    def course(self) -> Iterator[Wanted]:
        """Yields the pairs that must be measured before it can go on; ``conclusions`` are complete at its end."""
        known = self.known([])
        pairs = self.terms.policy.first_seeds
        for one in self.candidates:
            one.given["screening"] = _given(known.about(one.move), self.terms)
            look = expect(self.terms, known.about(one.move))
            if look is not None:
                self._looked(one, look, "confirm")
        while open_ones := [one for one in self.candidates if one.step == "more"]:
            yield from self._measured(open_ones, "screening", pairs)
            for one in open_ones:
                seen = self._compared(one, "screening", pairs, known)
                if seen is not None:
                    one.screened = seen
                    self._looked(one, *screen(seen, self.terms, known.about(one.move)))
            self._settled = [one for one in self.candidates if isinstance(one.step, Verdict)]
            pairs += 1
        for one in sorted(self._waiting(), key=lambda one: -one.looks[-1].chance):
            if not one.disguised and any(c.verdict.status == "KEEP" for c in self.conclusions):
                one.step = Verdict("DISCARD", "overtaken")
            else:
                yield from self._confirmation(one)
            self._settled.append(one)

    def cut_short(self) -> None:
        """The budget ended on the way: what is open is concluded as that, where it has a comparison. What a disguise
        would have come to, nobody can say."""
        for one in self.candidates:
            compared = one.screened is not None or one.confirmed is not None
            if compared and not one.disguised and not isinstance(one.step, Verdict):
                if one.confirmed is None:
                    one.error = 0.0
                one.step = Verdict("DISCARD", "budget")
                self._settled.append(one)

    @property
    def conclusions(self) -> list[Conclusion]:
        """In the order they were come to."""
        return [_conclusion(one) for one in self._settled]

    _settled: list[Candidate] = field(default_factory=list)

    def _waiting(self) -> list[Candidate]:
        return [one for one in self.candidates if one.step == "confirm"]

    def _confirmation(self, one: Candidate) -> Iterator[Wanted]:
        known = self.known([conclusion.account for conclusion in self.conclusions])
        one.error, one.step = error_of(known, self.terms.policy), "more"
        one.given["confirmation"] = _given(known.about(one.move), self.terms)
        for pairs in range(FIRST_LOOK, self.terms.pairs + 1):
            yield from self._measured([one], "confirming", pairs)
            seen = self._compared(one, "confirming", pairs, known)
            if seen is not None:
                one.confirmed = seen
                self._looked(one, *confirm(seen, one.screened, self.terms, known.about(one.move), one.error))
            if isinstance(one.step, Verdict):
                return

    def _looked(self, one: Candidate, look: Look, step: Step) -> None:
        one.looks.append(look)
        one.step = step

    def _measured(self, candidates: Sequence[Candidate], stage: str, number: int) -> Iterator[Wanted]:
        """Asks until each candidate has so many pairs whose baseline has a reading."""
        while True:
            wanted = [pair for one in candidates for pair in self._pairs(one, stage, number)]
            yield wanted
            fresh = {p.baseline.seed for p in wanted if isinstance(self._baseline(p), Failure)}
            if not fresh:
                return
            self.lost |= fresh

    def _baseline(self, pair: Pair) -> Outcome:
        found = self.outcome(pair.baseline)
        if isinstance(found, Failure) and (not found.permanent or len(self.lost) >= MOST_LOST):
            raise BaselineFailed(
                f"the incumbent's probe {found.probe} was measured before under other seeds and failed now "
                f"({found.kind}: {found.message}); mend the cause, then resume the session"
            )
        return found

    def _pairs(self, one: Candidate, stage: str, number: int) -> list[Pair]:
        turn = one.proposal.turn
        stream = self._screening() if stage == "screening" else self.seeds.confirming(turn)
        taken = self.lost | one.used
        usable = list(islice((seed for seed in stream if seed not in taken), number))
        own = list(islice(self.seeds.aa_candidate(turn, stage), number)) if one.disguised else usable
        return [
            Pair(Probe(one.recipe, self.key, mine), Probe(self.incumbent, self.key, theirs))
            for mine, theirs in zip(own, usable, strict=True)
        ]

    def _screening(self) -> Iterator[int]:
        """The round's own order of the seeds under which this incumbent is screened against. There are more of them the
        more candidates it has met, as the square root (Dunnett 1955), and rounds take turns with them: one lucky
        replicate of the baseline does not decide on all candidates."""
        policy = self.terms.policy
        number = max(policy.screening_seeds, math.ceil(policy.first_seeds * math.sqrt(self.met + 1)))
        fresh = self.seeds.screening(self.keeps)
        pool = list(islice(fresh, number))
        begin = self.met * policy.first_seeds % number
        return chain(pool[begin:], pool[:begin], fresh)

    def _compared(self, one: Candidate, stage: str, number: int, known: Knowledge) -> Comparison | None:
        """None once a probe of the candidate has failed, which ends its course."""
        pairs = self._pairs(one, stage, number)
        mine = [self.outcome(pair.candidate) for pair in pairs]
        failure = next((outcome for outcome in mine if isinstance(outcome, Failure)), None)
        chosen = None if failure else self.chosen(pairs)
        failure = chosen if isinstance(chosen, Failure) else failure
        if failure is not None:
            one.failure, one.step = failure, crash(failure)
            return None
        one.seeds["screening" if stage == "screening" else "confirmation"] = tuple(
            (p.candidate.seed, p.baseline.seed) for p in pairs
        )
        readings = [outcome for outcome in mine if isinstance(outcome, Reading)]
        one.readings = [*(r for r in one.readings if r.probe not in {new.probe for new in readings}), *readings]
        baseline = [outcome for pair in pairs if isinstance(outcome := self.outcome(pair.baseline), Reading)]
        posed = [replace(r, seed=pair.baseline.seed) for r, pair in zip(readings, pairs, strict=True)]
        policy = self.terms.policy
        choices = chosen if isinstance(chosen, Sequence) else None
        return compare(posed, baseline, policy.confidence, choices, known.spreads)


def _conclusion(one: Candidate) -> Conclusion:
    verdict = one.step
    if not isinstance(verdict, Verdict):
        raise RuntimeError(f"{one.proposal.id} is concluded before it is decided")
    kept = verdict.status == "KEEP"
    if one.disguised and verdict.status != "CRASH":
        verdict = Verdict("DISCARD", "false_alarm" if kept else "calibration")
    screened, confirmed = one.screened, one.confirmed
    account = Account(
        one.move,
        one.proposal.parent,
        dict(screened.differences) if screened else {},
        len(screened.seeds) if screened else 0,
        dict(confirmed.differences) if confirmed else {},
        len(confirmed.seeds) if confirmed else 0,
        one.error,
        verdict.status == "KEEP",
        one.disguised,
    )
    comparison = None if one.failure else confirmed or screened
    return Conclusion(
        one.proposal,
        verdict,
        tuple(one.looks),
        comparison,
        tuple(one.readings),
        account,
        one.seeds,
        one.failure,
        one.given,
    )


def _given(known: Knowledge, terms: Terms) -> dict[str, Any]:
    """What the rule was given for a stage: kept with the decision, so that it can be explained later."""
    mean, variance = known.expected
    guards = {name: known.cumulative[name] for name in terms.guards if name in known.cumulative}
    return {
        "pairs": terms.pairs,
        "error_left": known.error_left,
        "error": error_of(known, terms.policy),
        "expected": [mean, variance**0.5],
        "effect_deviation": known.effect_variance**0.5,
        "guards": {name: [change, variance**0.5] for name, (change, variance) in guards.items()},
    }
