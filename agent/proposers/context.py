"""The context of a proposal: the turn's lane, its legal moves, and the decisions so far."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import overload

from agent.ledger.past_ledger import PastLedger
from agent.ledger.results.rows import stored_value
from agent.ledger.store import Ledger
from agent.ledger.tables import PastDecision, ProposalRow, SessionRow
from agent.proposers.dead_ends import DeadEnds
from agent.proposers.protocol import Expected, Move, Situation, Tried
from agent.study.load import Study
from lanes import Recipe, SearchSpace, Value

CALIBRATION = "calibration"
"""The lane, and the proposer, of A/A tests: the incumbent against itself under other seeds."""
FACTORIAL, THOMPSON = "factorial", "thompson"
"""The proposers of changes that come from the design of a wave: a first wave is a fractional factorial design, and
later ones are drawn by Thompson sampling (Thompson 1933)."""
DESIGNED = (FACTORIAL, THOMPSON, "optuna")
"""Proposers of changes that come from the design of a wave; others are asked in their turns, lane by lane."""
PERSON = "person"
"""The proposer of ``nightlane propose``: it has no turns, and its changes go into the next wave."""


class History(Sequence[Tried]):
    """The first ``count`` decisions of a search. A decision is decoded only when a proposer reads it."""

    def __init__(self, count: int, decode: Callable[[int], Tried]) -> None:
        self._count, self._decode = count, decode

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Tried: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Tried]: ...
    def __getitem__(self, place: int | slice) -> Tried | Sequence[Tried]:
        places = range(self._count)[place]
        return self._decode(places) if isinstance(places, int) else [self._decode(number) for number in places]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


class Search:
    """The proposals and decisions of a session so far, and of earlier sessions under the same question and probe key.

    Each decision is read once, so the cost per decision does not grow. Decisions of earlier sessions are read only when
    a proposer is asked, because there may be thousands. With a PastLedger it is the search of an earlier turn.
    ``last_turn``: the turn of the session's last proposal.
    """

    def __init__(self, row: SessionRow, study: Study, ledger: Ledger | PastLedger) -> None:
        self.row, self.study, self.ledger = row, study, ledger
        self.last_turn = self._last_decided = 0
        # of this session
        self._lanes: Counter[str] = Counter()
        self._pending: dict[str, ProposalRow] = {}
        self._changes = 0
        # of all sessions
        self._last_decision = 0
        self._dead_ends = DeadEnds(row.id, study.lanes)
        self._decided: list[tuple[PastDecision, float]] = []
        self._tried = cache(self._as_tried)
        self._levels: dict[str, float] = {}
        self.catch_up()

    def catch_up(self) -> None:
        """Read this session's new proposals and decisions from the ledger."""
        for proposal in self.ledger.proposals("WHERE session = ? AND turn > ?", (self.row.id, self.last_turn)):
            self.last_turn = max(self.last_turn, proposal.turn)
            self._pending[proposal.id] = proposal
            if proposal.lane != CALIBRATION:
                self._changes += 1
                self._lanes[proposal.lane] += proposal.proposer not in (*DESIGNED, PERSON)
        for number, name in self.ledger.decided_after(self.row.id, self._last_decided):
            self._last_decided = number
            self._pending.pop(name, None)

    def _catch_up_with_history(self) -> None:
        """Read the new decisions of all sessions from the ledger."""
        for past in self.ledger.history(self.row.question, self.row.key, self._last_decision):
            self._last_decision = past.number
            if past.lane != CALIBRATION:
                self._add(past)

    def _add(self, past: PastDecision) -> None:
        self._dead_ends.add(past, self.ledger.effect(past.parent), self.ledger.effect(past.child))
        level = self._levels.get(past.parent, 0.0)
        self._decided.append((past, level))
        if past.status == "KEEP":
            self._levels[past.incumbent] = self._levels.get(past.incumbent, level) + (past.delta or 0.0)

    def _as_tried(self, place: int) -> Tried:
        """A decision as proposers see it. ``score`` is relative to the recipe with which the search began."""
        past, level = self._decided[place]
        decision = self.ledger.decision(past.id)
        row = decision.row if decision else {}
        delta, low, high = (row.get(name) for name in ("delta", "ci_low", "ci_high"))
        worst = row.get("worst_guard_delta")
        margin = self.study.guards.get(str(row.get("worst_guard")), 0.0)
        excess = None if delta is None else 0.0 if worst is None else -(worst + margin)
        return Tried(
            recipe=self.ledger.recipe(past.child),
            lane=past.lane,
            knob=past.knob,
            before=stored_value(past.before),
            after=stored_value(past.after),
            status=past.status,
            reason=past.reason,
            delta=delta,
            low=low,
            high=high,
            standard_error=None if low is None or high is None else (high - low) / 4,
            score=None if delta is None else level + delta,
            guard_excess=excess,
        )

    # what may be proposed

    @property
    def space(self) -> SearchSpace:
        return self.study.lanes

    @property
    def history(self) -> History:
        self._catch_up_with_history()
        return History(len(self._decided), self._tried)

    @property
    def dead_ends(self) -> DeadEnds:
        self._catch_up_with_history()
        return self._dead_ends

    @property
    def proposed(self) -> int:
        """The number of changes that this session has proposed."""
        return self._changes

    @property
    def pending(self) -> list[ProposalRow]:
        """The session's proposals of a change that are not decided yet."""
        return [row for row in self._pending.values() if row.lane != CALIBRATION]

    @property
    def pending_aa_tests(self) -> list[ProposalRow]:
        return [row for row in self._pending.values() if row.lane == CALIBRATION]

    def situation(
        self, turn: int, incumbent: Recipe, budget_left: str, expected: Mapping[Move, Expected]
    ) -> Situation | None:
        """What this turn's proposer is shown. The turn belongs to the lane that is furthest behind its share and has a
        move; None if no lane has a move."""
        shares = self.space.shares
        total, asked = sum(shares.values()), sum(self._lanes.values()) + 1
        order = sorted(shares, key=lambda name: self._lanes[name] - asked * shares[name] / total)
        situations = (self.in_lane(lane, turn, incumbent, budget_left, expected) for lane in order)
        return next((situation for situation in situations if situation is not None), None)

    def in_lane(
        self, lane: str, turn: int, incumbent: Recipe, budget_left: str, expected: Mapping[Move, Expected]
    ) -> Situation | None:
        """What a proposer is shown when the turn belongs to this lane; None if the lane has no move."""
        moves = self._open_moves(incumbent, lane)
        return self.shown(lane, turn, incumbent, budget_left, expected, moves) if moves else None

    def shown(
        self,
        lane: str,
        turn: int,
        incumbent: Recipe,
        budget_left: str,
        expected: Mapping[Move, Expected],
        moves: Mapping[str, tuple[Value, ...]],
    ) -> Situation:
        """The situation of a proposer that may choose among these moves."""
        return Situation(
            turn=turn,
            seed=self.row.seed,
            lane=lane,
            incumbent=incumbent,
            moves=moves,
            space=self.space,
            history=self.history,
            target=self.study.target,
            guards=self.study.guards,
            program=self.study.program,
            budget_left=budget_left,
            expected=expected,
            notes=self._notes,
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        """A person's notes to the session so far."""
        return tuple(
            request.data["text"]
            for request in self.ledger.requests(self.row.id)
            if request.what == "note" and request.answer and request.answer.data["after"] <= self.last_turn
        )

    def barred(self) -> set[str]:
        """``Recipe.effect`` of the recipes that are not proposed again: dead ends, and undecided proposals."""
        return self.dead_ends.effects | {self.ledger.effect(proposal.child) for proposal in self._pending.values()}

    def _open_moves(self, incumbent: Recipe, lane: str) -> dict[str, tuple[Value, ...]]:
        """The legal moves of a lane that are no dead end and do not lead to a barred recipe."""
        barred, dead_ends, open_moves = self.barred(), self.dead_ends, {}
        for name, values in self.space.moves(incumbent, lane).items():
            knob = self.space.knob(name)
            now = knob.read(incumbent)
            fresh = tuple(
                value
                for value in values
                if knob.write(incumbent, value).effect not in barred and not dead_ends.bars(knob, now, value)
            )
            if fresh:
                open_moves[name] = fresh
        return open_moves
