"""The checks at the end of a session: each KEEP re-tested by leaving it out, and the last recipe compared with the
first on the holdout prompts."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from agent.ledger.result_rows import value_of
from agent.ledger.tables import CheckRow, DecisionRow, ProposalRow
from agent.loop.measuring import Measuring
from agent.loop.round import Pair
from agent.loop.seeds import Seeds
from agent.policy.decision_rule import Terms, Verdict
from agent.policy.retraction import Kept, held_out, left_out, standing_claim, still_shown, without
from agent.policy.session_statistics import Knowledge
from common.clock import now
from lanes import Recipe
from probes.result.comparison import Comparison, Difference, compare, comparison_from
from probes.result.reading import Failure, Probe, ProbeKey, Reading


@dataclass(frozen=True)
class Retraction:
    """A KEEP that does not hold: why, by which comparison, and the incumbent without it (``stands``)."""

    kept: DecisionRow
    proposal: ProposalRow
    verdict: Verdict
    comparison: Comparison
    stands: Recipe


@dataclass(frozen=True)
class FinalChecks:
    """The checks of one session. Each is made once: its result is in the ledger before the next begins, and a resumed
    session uses it."""

    measuring: Measuring
    seeds: Seeds
    terms: Terms
    known: Knowledge

    def leave_one_out(
        self, keeps: Sequence[tuple[DecisionRow, ProposalRow]], start: Recipe, last: Recipe
    ) -> Iterator[Retraction]:
        """The KEEPs that their re-test does not confirm, in their order. ``last``: the recipe after the last KEEP."""
        rest, whole = [_kept(decision, proposal) for decision, proposal in keeps], last
        for one, (decision, proposal) in zip(tuple(rest), keeps, strict=True):
            bare = without(start, rest, one.id, self.measuring.study.lanes)
            data = self._check("leave_one_out", one.id, partial(self._left_out, one, whole, bare))
            if bare is not None and data["verdict"] == "retracted":
                rest, whole = [other for other in rest if other is not one], bare
                verdict = Verdict("RETRACT", "leave_one_out")
                yield Retraction(decision, proposal, verdict, comparison_from(data["comparison"]), bare)

    def _left_out(self, one: Kept, whole: Recipe, bare: Recipe | None) -> dict[str, Any]:
        if bare is None or bare.effect == whole.effect:
            return {"verdict": "superseded"}
        again = self._compared(whole, bare, self.measuring.key, self.seeds.leave_one_out(0), f"{one.knob} left out")
        if isinstance(again, Failure):
            return {"verdict": "not measured", "failure": again.message}
        effect, bound = still_shown(one, again, self.terms)
        said = "retracted" if left_out(one, again, self.terms) else "holds"
        return {"verdict": said, "effect": effect, "bound": bound, "comparison": asdict(again)}

    def holdout(
        self, keeps: Sequence[tuple[DecisionRow, ProposalRow]], start: Recipe, last: Recipe
    ) -> Iterator[Retraction]:
        """All remaining KEEPs, if the holdout prompts contradict them."""
        data = self._check("holdout", "", partial(self._held_out, start, last))
        if data["verdict"] == "retracted":
            found, verdict = comparison_from(data["comparison"]), Verdict("RETRACT", data["reason"])
            yield from (Retraction(decision, proposal, verdict, found, start) for decision, proposal in keeps)

    def _held_out(self, start: Recipe, last: Recipe) -> dict[str, Any]:
        if not self.measuring.study.material.prompts_of("holdout"):
            return {"verdict": "no prompts"}
        key = replace(self.measuring.key, split="holdout")
        found = self._compared(last, start, key, self.seeds.holdout(), "what stands against the start, on the holdout")
        if isinstance(found, Failure):
            return {"verdict": "not measured", "failure": found.message}
        verdict = held_out(found, self.terms)
        claim = standing_claim(found, self.terms.target, self.terms.policy.smallest_effect)
        said = {"verdict": "retracted" if verdict else claim, "reason": verdict.reason if verdict else None}
        return {**said, "comparison": asdict(found)}

    def _compared(
        self, whole: Recipe, rest: Recipe, key: ProbeKey, seeds: Iterator[int], title: str
    ) -> Comparison | Failure:
        number = max(2, self.terms.policy.holdout_seeds)
        pairs = [Pair(Probe(whole, key, seed), Probe(rest, key, seed)) for seed in islice(seeds, number)]
        self.measuring.obtain(pairs, title)
        outcomes = [(self.measuring.outcome(p.candidate), self.measuring.outcome(p.baseline)) for p in pairs]
        failure = next((o for both in outcomes for o in both if isinstance(o, Failure)), None)
        chosen = None if failure else self.measuring.chosen(pairs)
        if failure is not None or isinstance(chosen, Failure):
            return failure or chosen  # type: ignore[return-value]
        sides = [[o for o in side if isinstance(o, Reading)] for side in zip(*outcomes, strict=True)]
        alike = self._sizes(key.split) == self._sizes("probe")
        return compare(sides[0], sides[1], self.terms.policy.confidence, chosen, self.known.spreads if alike else None)

    def _sizes(self, split: str) -> Counter[str]:
        """Prompts per category. Known noise applies only to means over as many prompts as the deciding split has."""
        return Counter(prompt.category for prompt in self.measuring.study.material.prompts_of(split))

    def _check(self, kind: str, subject: str, make: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
        """The result of a check from the ledger, or made and recorded now."""
        ledger, session = self.measuring.ledger, self.measuring.row.id
        known = next((check for check in ledger.checks(session, kind) if check.subject == subject), None)
        if known is not None:
            return known.data
        data = make()
        ledger.record_checks(CheckRow(session=session, kind=kind, subject=subject, time=now(), data=data))
        about = f" {subject.removeprefix(f'{session}-')}" if subject else ""
        self.measuring.note(f"{kind.upper()}{about}: {data['verdict']}{_figure(data, self.terms.target)}")
        return data


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
