"""What a proposer is shown: this turn's lane, its untried legal moves, and what was learnt so far."""

from dataclasses import dataclass

from agent.decision import room
from agent.ledger import DecisionRow, Ledger, ProposalRow, SessionRow
from agent.proposers import Situation, Tried
from agent.rows import value_of
from agent.study import Study
from lanes import Recipe, Value

# A crash of these kinds says nothing about the recipe: a later session may try it again.
MACHINE_FAULTS = ("lost_worker", "scorer", "server", "timeout", "error")


@dataclass(frozen=True)
class Search:
    """A session's search so far, and that of earlier sessions under the same question and probe key."""

    row: SessionRow
    study: Study
    ledger: Ledger

    def situation(self, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """This turn's lane (the one furthest behind its share that has a move) and what its proposer is shown."""
        history, barred = self._history(), self.barred()
        space = self.study.lanes
        made = [proposal.lane for proposal in self.ledger.proposals("WHERE session = ?", (self.row.id,))]
        total = sum(space.shares.values())
        for lane in sorted(space.shares, key=lambda name: made.count(name) - turn * space.shares[name] / total):
            moves = self._untried(incumbent, lane, barred)
            if moves:
                return Situation(
                    turn, self.row.seed, lane, incumbent, moves, space, [self._tried(*pair) for pair in history],
                    self.study.target, self.study.guards, self.study.program, budget_left,
                )  # fmt: skip
        return None

    def barred(self) -> set[str]:
        """The effects of recipes that are not tried again: decided on, and not for a fault of the machine's."""
        return {
            self.ledger.recipe(digest).effect
            for proposal, decision in self._history()
            if decision.session == self.row.id or not decision.reason.endswith(MACHINE_FAULTS)
            for digest in (proposal.child, proposal.parent)
        }

    def _history(self) -> list[tuple[ProposalRow, DecisionRow]]:
        return self.ledger.history(self.row.question, self.row.key)

    def _untried(self, incumbent: Recipe, lane: str, barred: set[str]) -> dict[str, tuple[Value, ...]]:
        """A recipe that was decided on is not tried again, under this incumbent or another, however it is written."""
        found = {}
        for name, values in self.study.lanes.moves(incumbent, lane).items():
            knob = self.study.lanes.knob(name)
            fresh = tuple(value for value in values if knob.write(incumbent, value).effect not in barred)
            if fresh:
                found[name] = fresh
        return found

    def _tried(self, proposal: ProposalRow, decision: DecisionRow) -> Tried:
        differences = (decision.comparison or {}).get("differences", {})
        effect = differences.get(self.study.target, {})
        guards = [-room(differences[name]["low"], margin) for name, margin in self.study.guards.items() if differences]
        return Tried(
            self.ledger.recipe(proposal.child), proposal.lane, proposal.knob, value_of(proposal.before),
            value_of(proposal.after), decision.status, decision.reason, effect.get("delta"), effect.get("low"),
            effect.get("high"), effect.get("candidate"), max(guards, default=0.0) if effect else None,
        )  # fmt: skip
