"""What a proposer is shown: this turn's lane, its legal moves, and what was learnt so far; and when to give
up."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from agent.ledger import DecisionRow, Ledger, ProposalRow, SessionRow
from agent.past import Past
from agent.policy.knowledge import Account, account_from, responses_of
from agent.policy.response import Move, move_of
from agent.proposers import Situation, Suggestion, Tried
from agent.rows import value_of
from agent.study import Study
from agent.survey import SURVEY, Surveyed, surveyed
from lanes import Knob, Recipe, SearchSpace, Value
from lanes.errors import IllegalRecipe
from probes.failure_kinds import crashed

CALIBRATION = "calibration"
"""The lane, and the proposer, of candidates that are the incumbent in disguise."""
UNDECIDED = ("unpromising", "unconfirmed")
"""Reasons that say that too little was shown: such a candidate may be tried again, on other seeds."""
NO_TURN = ("overtaken", "budget")
"""Reasons that say nothing of the candidate: it may be tried again as often as that happens."""
CHANCES = 6
"""How often a recipe is tried while too little is shown."""
HARM = ("worse", "guard", "cumulative")
"""Reasons, before their colon, that say that a move did harm, besides crashes."""
WIDER = 3
"""How many times as far a mutation may reach on a plateau."""


def machines(reason: str) -> bool:
    """Whether a reason is a crash that says nothing about the recipe: a later session may try that again."""
    crash = crashed(reason)
    return crash is not None and not crash.recipes


def _harmful(reason: str) -> bool:
    """Whether a reason says that a move did harm; a crash does where its kind bars a direction."""
    crash = crashed(reason)
    return crash.direction if crash else reason.partition(":")[0] in HARM


@dataclass(frozen=True)
class Search:
    """A session's search so far, and that of earlier sessions under the same question and probe key. Given the ledger's
    past, as it was then."""

    row: SessionRow
    study: Study
    ledger: Ledger | Past

    def situation(self, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """This turn's lane (the one furthest behind its share that has a move) and what its proposer is shown."""
        shares = self.space.shares
        made = [proposal.lane for proposal in self.ledger.proposals("WHERE session = ?", (self.row.id,))]
        total = sum(shares.values())
        order = sorted(shares, key=lambda name: made.count(name) - turn * shares[name] / total)
        lanes = sorted(order, key=lambda name: name == self._exhausted_lane)
        shown = (self.in_lane(lane, turn, incumbent, budget_left) for lane in lanes)
        return next((situation for situation in shown if situation is not None), None)

    def in_lane(self, lane: str, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """What a proposer is shown when the turn belongs to this lane; None where the lane has no move."""
        moves = self._open_moves(incumbent, lane)
        if not moves:
            return None
        return Situation(
            turn, self.row.seed, lane, incumbent, moves, self.space, self._tried(), self.study.target,
            self.study.guards, self.study.program, budget_left,
            *responses_of(self._accounts, self.study.target, self.study.guards, self._surveyed.of),
        )  # fmt: skip

    def overtaken(self, incumbent: Recipe) -> tuple[str, Suggestion] | None:
        """A candidate whose confirmation another KEEP of its round came before: the same move, from what stands now."""
        again = {proposal.proposer for proposal in self._proposals}
        for proposal, decision in self._decided:
            name = f"retest of {proposal.id[-3:]}"
            if decision.reason != "overtaken" or name in again:
                continue
            try:
                _, child = self.space.mutate(incumbent, proposal.knob, value_of(proposal.after))
            except IllegalRecipe:
                continue
            if child.effect not in self.barred():
                told = f"promising beside a change that was kept first: {proposal.hypothesis}"
                value = value_of(proposal.after)
                return proposal.lane, Suggestion(proposal.knob, value, told, proposal.predicted, name)
        return None

    def plateau(self) -> str | None:
        """Why the session should end: the search has widened, changed lane, and still nothing is promising."""
        if self._stage < 3:
            return None
        return (
            f"a plateau: none of the last {self._fruitless} candidates was promising enough to be confirmed, though "
            "moves were widened and the lane was changed"
        )

    @cached_property
    def space(self) -> SearchSpace:
        """What may be moved: further than usual on a plateau."""
        return self.study.lanes.widened(WIDER) if self._stage >= 1 else self.study.lanes

    def barred(self) -> set[str]:
        """The effects of recipes that are not tried again: shown to be no better, or tried often enough, and not for a
        fault of the machine's; and what this session has proposed. A candidate that was overtaken, or cut short by the
        budget, has not had its turn."""
        open_again = {
            proposal.id
            for proposal, decision in self._history
            if decision.reason in NO_TURN
            or (decision.reason in UNDECIDED and self._chances[self._effect(proposal.child)] < CHANCES)
        }
        decided = {
            digest
            for proposal, decision in self._history
            if decision.session == self.row.id or not machines(decision.reason)
            for digest in ((proposal.parent,) if proposal.id in open_again else (proposal.child, proposal.parent))
        }
        proposed = {proposal.child for proposal in self._proposals if proposal.id not in open_again}
        return {self._effect(digest) for digest in decided | proposed}

    def screened(self, proposal: ProposalRow) -> frozenset[int]:
        """The seeds that this mutation, however it was written, was screened on before."""
        child = self._effect(proposal.child)
        seeds = [
            seed
            for before, decision in self._decided
            if before.parent == proposal.parent and self._effect(before.child) == child and before.id != proposal.id
            for _, seed in (decision.course or {}).get("seeds", {}).get("screening", ())
        ]
        return frozenset(seeds)

    def move(self, proposal: ProposalRow) -> Move | None:
        """What the proposal changes. A candidate in disguise passes for one of the incumbent's moves, so that it is
        decided on as they are. None of a knob that the study has no more."""
        lanes, before, after, name = self.study.lanes, proposal.before, proposal.after, proposal.knob
        if proposal.lane == CALIBRATION:
            moves = lanes.moves(self.ledger.recipe(proposal.parent))
            chance = random.Random(f"{self.row.seed}|{proposal.turn}|disguise")
            if not moves:
                return None
            name = chance.choice(sorted(moves))
            before, after = lanes.knob(name).read(self.ledger.recipe(proposal.parent)), chance.choice(moves[name])
        if name not in {knob.name for knob in lanes.knobs}:
            return None
        return move_of(lanes.knob(name), value_of(before), value_of(after))

    # plateau

    @cached_property
    def _fruitless(self) -> int:
        """Candidates of this session since one reached its confirmation."""
        promising = [bool((d.course or {}).get("account", {}).get("error")) for _, d in reversed(self._decided)]
        return promising.index(True) if True in promising else len(promising)

    @property
    def _stage(self) -> int:
        """0, then 1 with wider moves, 2 with another lane, 3 at the end."""
        return self._fruitless // self.study.file.policy.plateau

    @cached_property
    def _exhausted_lane(self) -> str | None:
        """The lane that had most of the fruitless candidates, once moves that reach further have not helped either."""
        if self._stage < 2:
            return None
        recent = self._decided[-self._fruitless :]
        return Counter(proposal.lane for proposal, _ in recent).most_common(1)[0][0]

    # history

    @cached_property
    def _history(self) -> list[tuple[ProposalRow, DecisionRow]]:
        pairs = self.ledger.history(self.row.question, self.row.key)
        return [(proposal, decision) for proposal, decision in pairs if proposal.lane != CALIBRATION]

    @property
    def _decided(self) -> list[tuple[ProposalRow, DecisionRow]]:
        return [pair for pair in self._history if pair[1].session == self.row.id]

    @cached_property
    def _proposals(self) -> list[ProposalRow]:
        rows = self.ledger.proposals("WHERE session = ?", (self.row.id,))
        return [row for row in rows if row.lane != CALIBRATION]

    def _open_moves(self, incumbent: Recipe, lane: str) -> dict[str, tuple[Value, ...]]:
        """A recipe that was decided on is not tried again, under this incumbent or another, however it is written;
        nor is a move that did harm, whatever else was kept since."""
        found, barred = {}, self.barred()
        for name, values in self.space.moves(incumbent, lane).items():
            knob = self.space.knob(name)
            now = knob.read(incumbent)
            fresh = tuple(
                value
                for value in values
                if knob.write(incumbent, value).effect not in barred and not self._dead_end(knob, now, value)
            )
            if fresh:
                found[name] = fresh
        return found

    @cached_property
    def _surveyed(self) -> Surveyed:
        owner = self.ledger.survey_under(self.row.question, self.row.key)
        rows = self.ledger.checks(owner, SURVEY) if owner else ()
        return surveyed(rows, self.study.lanes, (self.study.target, *self.study.guards))

    @cached_property
    def _accounts(self) -> list[Account]:
        """Of every decision under the same question, on the ladders of today."""
        return [
            replace(account_from(decision.course["account"]), move=self.move(proposal))
            for proposal, decision in self._history
            if decision.course
        ]

    def _effect(self, digest: str) -> str:
        return self.ledger.recipe(digest).effect

    @cached_property
    def _chances(self) -> Counter[str]:
        """How often each recipe, by its effect, was decided on while too little was shown."""
        undecided = [proposal for proposal, decision in self._history if decision.reason in UNDECIDED]
        return Counter(self._effect(proposal.child) for proposal in undecided)

    @cached_property
    def _harmful(self) -> list[tuple[ProposalRow, str]]:
        """Moves of this session that made it worse, broke a guard or crashed, and the reason before its colon."""
        return [
            (proposal, decision.reason.partition(":")[0])
            for proposal, decision in self._decided
            if _harmful(decision.reason)
        ]

    def _dead_end(self, knob: Knob, now: Value, value: Value) -> bool:
        """A move that did harm; or one that goes as far or further the same way as one that crashed or broke a
        guard."""
        for proposal, kind in self._harmful:
            before, after = value_of(proposal.before), value_of(proposal.after)
            if proposal.knob != knob.name:
                continue
            if (before, after) == (now, value):
                return True
            if knob.ordered and kind != "worse":
                start, end, there = (float(knob.place(one)) for one in (before, after, value))
                if (there - end) * (end - start) >= 0:
                    return True
        return False

    def _tried(self) -> list[Tried]:
        """Every decision, its candidate's level counted from where the search began."""
        levels: dict[str, float] = {}
        found = []
        for proposal, decision in self._history:
            level, shrunk = levels.get(proposal.parent, 0.0), decision.row.get("shrunk")
            if decision.status == "KEEP" and shrunk is not None:
                levels[proposal.child] = level + shrunk
            found.append(self._one(proposal, decision, None if shrunk is None else level + shrunk))
        return found

    def _one(self, proposal: ProposalRow, decision: DecisionRow, level: float | None) -> Tried:
        differences = (decision.comparison or {}).get("differences", {})
        effect = differences.get(self.study.target, {})
        guards = [-(differences[name]["delta"] + margin) for name, margin in self.study.guards.items() if differences]
        return Tried(
            self.ledger.recipe(proposal.child), proposal.lane, proposal.knob, value_of(proposal.before),
            value_of(proposal.after), decision.status, decision.reason, effect.get("delta"), effect.get("low"),
            effect.get("high"), effect.get("standard_error"), level, max(guards, default=0.0) if effect else None,
        )  # fmt: skip
