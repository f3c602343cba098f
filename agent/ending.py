"""The end of a session: each KEEP re-tested by leaving it out, and what stands held against the start on the
holdout."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from agent.clock import now
from agent.ledger import CheckRow, DecisionRow, ProposalRow
from agent.measuring import Measuring
from agent.policy.course import Terms, Verdict
from agent.policy.final import Kept, held_out, left_out, standing_claim, still_shown, without
from agent.policy.knowledge import Knowledge
from agent.round import Pair, Wanted
from agent.rows import value_of
from agent.seeds import Seeds
from lanes import Recipe
from probes.comparison import Comparison, Difference, compare
from probes.reading import Failure, Probe, ProbeKey, Reading


@dataclass(frozen=True)
class Retraction:
    """A KEEP that does not hold: why, on which comparison, and the recipe that stands without it."""

    kept: DecisionRow
    proposal: ProposalRow
    verdict: Verdict
    comparison: Comparison
    stands: Recipe


@dataclass(frozen=True)
class Ending:
    """The checks of one session, each made once: what a check found is in the ledger when the next begins."""

    measuring: Measuring
    seeds: Seeds
    terms: Terms
    known: Knowledge

    def leave_out(
        self, standing: Sequence[tuple[DecisionRow, ProposalRow]], start: Recipe, last: Recipe
    ) -> list[Retraction]:
        """The KEEPs that are no longer shown, in the order they were made."""
        kept = [_kept(decision, proposal) for decision, proposal in standing]
        space, found = self.measuring.study.lanes, list[Retraction]()
        for one, (decision, proposal) in zip(kept, standing, strict=True):
            gone = [retraction.kept.id for retraction in found]
            rest = [other for other in kept if other.id not in gone]
            whole = found[-1].stands if found else last
            bare = without(start, rest, one.id, space)
            if bare is None or bare.effect == whole.effect:
                self._record("leave_one_out", one.id, {"verdict": "superseded"})
                continue
            again = self._compared(
                whole, bare, self.measuring.key, self.seeds.leaving_out(0), f"{proposal.knob} left out"
            )
            if isinstance(again, Failure):
                self._record("leave_one_out", one.id, {"verdict": "not measured", "failure": again.message})
                continue
            effect, bound = still_shown(one, again, self.terms)
            verdict = left_out(one, again, self.terms)
            said = {"verdict": "retracted" if verdict else "holds", "effect": effect, "bound": bound}
            self._record("leave_one_out", one.id, {**said, "comparison": asdict(again)})
            if verdict:
                found.append(Retraction(decision, proposal, verdict, again, bare))
        return found

    def hold_out(
        self, standing: Sequence[tuple[DecisionRow, ProposalRow]], start: Recipe, last: Recipe
    ) -> list[Retraction]:
        """All KEEPs that stand, when the holdout prompts contradict them."""
        if not self.measuring.study.material.prompts_of("holdout"):
            self._record("holdout", "", {"verdict": "no prompts"})
            return []
        key = replace(self.measuring.key, split="holdout")
        found = self._compared(last, start, key, self.seeds.holdout(), "what stands against the start, on the holdout")
        if isinstance(found, Failure):
            self._record("holdout", "", {"verdict": "not measured", "failure": found.message})
            return []
        claim = standing_claim(found, self.terms.target, self.terms.policy.smallest_effect)
        verdict = held_out(found, self.terms)
        said = {"verdict": "retracted" if verdict else claim, "reason": verdict.reason if verdict else None}
        self._record("holdout", "", {**said, "comparison": asdict(found)})
        return [Retraction(decision, proposal, verdict, found, start) for decision, proposal in standing if verdict]

    def _compared(
        self, whole: Recipe, rest: Recipe, key: ProbeKey, seeds: Iterator[int], title: str
    ) -> Comparison | Failure:
        number = max(2, self.terms.policy.holdout_seeds)
        pairs = [Pair(Probe(whole, key, seed), Probe(rest, key, seed)) for seed in islice(seeds, number)]
        self.measuring.drive(_once(pairs), title)
        outcomes = [(self.measuring.outcome(p.candidate), self.measuring.outcome(p.baseline)) for p in pairs]
        failure = next((o for both in outcomes for o in both if isinstance(o, Failure)), None)
        chosen = None if failure else self.measuring.chosen(pairs)
        if failure is not None or isinstance(chosen, Failure):
            return failure or chosen  # type: ignore[return-value]
        sides = [[o for o in side if isinstance(o, Reading)] for side in zip(*outcomes, strict=True)]
        alike = self._sizes(key.split) == self._sizes("probe")
        return compare(sides[0], sides[1], self.terms.policy.confidence, chosen, self.known.spreads if alike else None)

    def _sizes(self, split: str) -> Counter[str]:
        """Prompts per category: the noise of a mean is known for as many as decided."""
        return Counter(prompt.category for prompt in self.measuring.study.material.prompts_of(split))

    def _record(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        ledger, session = self.measuring.ledger, self.measuring.row.id
        if any(check.subject == subject for check in ledger.checks(session, kind)):
            return
        ledger.checked(CheckRow(session, kind, subject, now(), data))
        about = f" {subject.removeprefix(f'{session}-')}" if subject else ""
        self.measuring.note(f"{kind.upper()}{about}: {data['verdict']}{_figure(data, self.terms.target)}")


def _once(pairs: list[Pair]) -> Iterator[Wanted]:
    yield pairs


def _kept(decision: DecisionRow, proposal: ProposalRow) -> Kept:
    account = (decision.course or {})["account"]
    confirmed = Difference(**account["confirmation"][decision.policy["target"]])
    before, after = value_of(proposal.before), value_of(proposal.after)
    return Kept(decision.id, decision.turn, proposal.knob, before, after, confirmed, account["confirming_seeds"])


def _figure(data: dict[str, Any], target: str) -> str:
    if "comparison" not in data:
        return f" ({data['failure']})" if "failure" in data else ""
    effect = data["comparison"]["differences"][target]
    return f" {effect['delta']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]"
