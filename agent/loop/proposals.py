"""The proposals of a session: who makes the next one, and its row in the ledger."""

from dataclasses import dataclass, field

from agent.ledger.tables import ProposalRow
from agent.loop.budget import budget_left
from agent.loop.measurements import Measurements
from agent.loop.seeds import Seeds
from agent.proposers import Chain, Suggestion
from agent.proposers.context import CALIBRATION, Search
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.interrupts import uninterrupted
from lanes import Recipe

AA_HYPOTHESIS = "the incumbent under other seeds, decided on like any other candidate: nothing can be kept"


@dataclass
class Proposals:
    """Makes the proposal of each turn once: an A/A test, a candidate that another KEEP overtook, or a proposer's."""

    measurements: Measurements
    proposers: Chain
    seeds: Seeds
    _search: Search | None = field(default=None, init=False)

    @property
    def search(self) -> Search:
        """The search, with what was proposed and decided since the last call."""
        if self._search is None or self._search.row != self.measurements.row:
            self._search = Search(self.measurements.row, self.measurements.study, self.measurements.ledger)
        else:
            self._search.catch_up()
        return self._search

    def recorded(self, turn: int) -> ProposalRow | None:
        return self.measurements.ledger.proposal(self.measurements.row.id, turn)

    def propose(self, turn: int, incumbent: str) -> str | None:
        """The id of the turn's proposal, which is made and recorded unless it was before; None if no legal move is
        left."""
        recorded = self.recorded(turn)
        if recorded is not None:
            return recorded.id
        parent = self.measurements.ledger.recipe(incumbent)
        if self.seeds.is_aa_test(turn, self.measurements.study.file.policy.disguised):
            aa_test = Suggestion("baseline", "incumbent", AA_HYPOTHESIS, 0.0, CALIBRATION)
            return self._record(turn, parent, parent, CALIBRATION, "incumbent", aa_test)
        search = self.search
        suggested = search.overtaken(parent) or self._ask_proposers(search, turn, parent)
        if suggested is None:
            return None
        lane, suggestion = suggested
        mutation, child = search.space.mutate(parent, suggestion.knob, suggestion.value)
        return self._record(turn, parent, child, lane, mutation.before, suggestion)

    def _ask_proposers(self, search: Search, turn: int, parent: Recipe) -> tuple[str, Suggestion] | None:
        """The turn's lane and a suggestion in it; None if no legal move is left."""
        situation = search.situation(turn, parent, budget_left(self.measurements.budget, self.measurements.spent()))
        return None if situation is None else (situation.lane, self.proposers.propose(situation))

    def _record(
        self, turn: int, parent: Recipe, child: Recipe, lane: str, before: object, suggestion: Suggestion
    ) -> str:
        proposal = ProposalRow(
            id=f"{self.measurements.row.id}-{turn:03d}",
            session=self.measurements.row.id,
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
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            return self.measurements.ledger.record_proposal(proposal, child).id
