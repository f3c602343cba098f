"""The proposals of a session: single changes of the incumbent, each made once and recorded before it is measured."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from agent.ledger.results.rows import value_of
from agent.ledger.tables import ProposalRow
from agent.loop.budget import budget_left
from agent.loop.measurements import Measurements
from agent.policy.confirmation import normal
from agent.policy.knob_effects import Place
from agent.policy.night import NightState
from agent.proposers import Chain, Suggestion
from agent.proposers.context import CALIBRATION, DESIGNED, FACTORIAL, PERSON, THOMPSON, Search
from agent.proposers.protocol import Expected, Move
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.interrupts import uninterrupted
from lanes import Recipe, Value, show
from probes.endpoint.spending import NO_USAGE, Usage

AA_HYPOTHESIS = "the incumbent against itself under other seeds, decided on like a stack: nothing can be kept"
Expectations = dict[Move, Expected]


@dataclass
class Proposals:
    """``declined``: a line for each turn of the last wave without a suggestion; ``_search``: what was proposed and
    decided; ``_used``: cost of requests without a suggestion, which is added to the next proposal."""

    measurements: Measurements
    proposers: Chain
    declined: list[str] = field(default_factory=list, init=False)
    _search: Search | None = field(default=None, init=False)
    _used: Usage = field(default=NO_USAGE, init=False)

    @property
    def search(self) -> Search:
        """The search, with what was proposed and decided since the last call."""
        if self._search is None or self._search.row != self.measurements.row:
            self._search = Search(self.measurements.row, self.measurements.study, self.measurements.ledger)
        else:
            self._search.catch_up()
        return self._search

    def open(self, incumbent: Recipe) -> dict[Move, ProposalRow]:
        """The undecided changes of this incumbent, by knob and value."""
        digest = incumbent.digest
        return {(row.knob, value_of(row.after)): row for row in self.search.pending if row.parent == digest}

    @property
    def room(self) -> int | None:
        """How many more proposals the budget of decisions allows; None without such a budget."""
        most = self.measurements.budget.decisions
        return None if most is None else max(0, most - self.search.proposed)

    def asked(
        self,
        first_turn: int,
        turns: int,
        incumbent: Recipe,
        expected: Expectations,
        carried: Collection[str],
        wished: Sequence[ProposalRow] = (),
    ) -> dict[int, ProposalRow]:
        """Place in the wave -> proposal: first those that a person ``wished``, then what the study's own proposer (such
        as a language model) suggests in its turns.

        ``carried``: the proposals of earlier waves. Later suggestions were made for this wave before a kill, and are
        used before the proposer is asked again.
        """
        made = dict(enumerate(wished))
        self.declined = []
        waiting = self._waiting(incumbent, carried)
        for place in range(len(wished), turns):
            if not self.proposers.is_turn_of_first(first_turn + place):
                continue
            if waiting:
                made[place] = waiting.pop(0)
                continue
            if self.room == 0:
                break
            left = budget_left(self.measurements.budget, self.measurements.spent())
            situation = self.search.situation(first_turn + place, incumbent, left, expected)
            if situation is None:
                break
            answer = self.proposers.ask_first(situation)
            if isinstance(answer, Suggestion):
                made[place] = self.make(incumbent, answer)
            else:
                self._used += answer.used
                self.declined.append(answer.why or "it declined")
        return made

    def _waiting(self, incumbent: Recipe, carried: Collection[str]) -> list[ProposalRow]:
        last = max((row.turn for row in self.search.pending if row.id in carried), default=0)
        return [
            row
            for row in self.search.pending
            if row.turn > last and row.proposer not in (*DESIGNED, PERSON) and row.parent == incumbent.digest
        ]

    def make(self, incumbent: Recipe, suggestion: Suggestion) -> ProposalRow:
        """Record a proposal of this change, unless there is an open one."""
        found = self.open(incumbent).get((suggestion.knob, suggestion.value))
        if found is not None:
            return found
        mutation, child = self.search.space.mutate(incumbent, suggestion.knob, suggestion.value)
        lane = self.search.space.knob(suggestion.knob).lane
        return self._record(incumbent, child, lane, mutation.before, suggestion)

    def of_move(
        self,
        incumbent: Recipe,
        knob: str,
        value: Value,
        expected: Expectations,
        suggestion: Suggestion | None = None,
    ) -> ProposalRow:
        """The proposal of a change in a wave or a stack: the open one, or a new one. Without a ``suggestion``, its
        hypothesis is its predicted effect or, if there is none yet, that a first wave tries every knob."""
        if suggestion is not None:
            return self.make(incumbent, suggestion)
        now_at, found = show(self.search.space.knob(knob).read(incumbent)), expected.get((knob, value))
        if found is None:
            why = "a first wave tries every knob on both sides"
            return self.make(
                incumbent, Suggestion(knob, value, f"{knob} {now_at} -> {show(value)}: {why}", None, FACTORIAL)
            )
        told = f"{found.delta:+.2f}, give or take {found.deviation:.2f}, by all readings"
        hypothesis = f"{knob} {now_at} -> {show(value)}: {told}"
        return self.make(incumbent, Suggestion(knob, value, hypothesis, round(found.delta, 3), THOMPSON))

    def of_person(self, incumbent: Recipe, knob: str, value: Value, why: str) -> tuple[ProposalRow, Recipe | None]:
        """The proposal of a change that a person asks for: the open one and None; or a new one with its recipe, neither
        of which is recorded yet. IllegalRecipe if the incumbent cannot make this move."""
        mutation, child = self.search.space.mutate(incumbent, knob, value)
        if found := self.open(incumbent).get((knob, value)):
            return found, None
        why = why or f"{knob} {show(mutation.before)} -> {show(value)}: a person asked for it"
        suggestion, lane = Suggestion(knob, value, why, None, PERSON), self.search.space.knob(knob).lane
        return self._row(incumbent, child, lane, mutation.before, suggestion, NO_USAGE), child

    def make_aa_test(self, incumbent: Recipe) -> ProposalRow:
        """Record the proposal of an A/A test, unless there is an open one."""
        for row in self.search.pending_aa_tests:
            return row
        suggestion = Suggestion("baseline", "incumbent", AA_HYPOTHESIS, 0.0, CALIBRATION)
        return self._record(incumbent, incumbent, CALIBRATION, "incumbent", suggestion)

    def _record(self, parent: Recipe, child: Recipe, lane: str, before: object, suggestion: Suggestion) -> ProposalRow:
        proposal = self._row(parent, child, lane, before, suggestion, suggestion.used + self._used)
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            recorded = self.measurements.ledger.record_proposal(proposal, child)
        self._used = NO_USAGE
        return recorded

    def _row(
        self, parent: Recipe, child: Recipe, lane: str, before: object, suggestion: Suggestion, used: Usage
    ) -> ProposalRow:
        turn = self.search.last_turn + 1
        return ProposalRow(
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
            dollars=used.dollars,
            prompt_tokens=used.prompt_tokens or None,
            completion_tokens=used.completion_tokens or None,
            time=now(),
        )


def expected_of(known: NightState, value: Callable[[str, Place], Value]) -> Expectations:
    """The predicted effect of every move from the incumbent; empty before a recipe around it was measured."""
    if not known.explored:
        return {}
    found = {}
    for move, (knob, place) in enumerate(known.effects.moves):
        deviation = math.sqrt(float(known.effects.spread[move]))
        slack = [(mean + known.margins[name]) / max(error, 1e-9) for name, (mean, error) in known.single(move).items()]
        found[knob, value(knob, place)] = Expected(
            float(known.effects.likely[move]),
            deviation,
            float(known.effects.chance[move]),
            normal(min(slack, default=9.0)),
        )
    return found
