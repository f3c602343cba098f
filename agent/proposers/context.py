"""The context of a proposal: the turn's lane, its legal moves and what was learnt so far; and when a search ends."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, overload

from agent.ledger.as_of import PastLedger
from agent.ledger.result_rows import stored_value, value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import PastDecision, ProposalRow, SessionRow
from agent.loop.survey import SURVEY, Surveyed, surveyed
from agent.policy.effect_model import Move, Response, move_of
from agent.policy.session_statistics import Account, account_from, recent, responses_of, tells
from agent.proposers import Situation, Suggestion, Tried
from agent.proposers.dead_ends import DeadEnds
from agent.study.load import Study
from common.errors import IllegalRecipe
from lanes import Recipe, SearchSpace, Value

CALIBRATION = "calibration"
"""The lane, and the proposer, of A/A candidates: the incumbent itself under other seeds."""
WIDER_REACH = 3
"""How many times as far a mutation may reach on a plateau."""


class History(Sequence[Tried]):
    """The first ``count`` decisions of a search; ``decode`` is called for those that a proposer looks at."""

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
    """A session's search so far, and that of earlier sessions under the same question and probe key.

    Each decision is read once, so the cost of one more does not grow. With a PastLedger it is the search of an earlier
    turn.
    """

    def __init__(self, row: SessionRow, study: Study, ledger: Ledger | PastLedger) -> None:
        self.row, self.study, self.ledger = row, study, ledger
        self.dead_ends = DeadEnds(row.id, study.lanes)
        self._last_decision = self._last_turn = 0
        # of this session
        self._lanes: Counter[str] = Counter()
        self._proposer_names: set[str] = set()
        self._pending: dict[str, ProposalRow] = {}
        self._overtaken: list[ProposalRow] = []
        self._screened: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        self._decided_lanes: list[str] = []
        self._unconfirmed_in_a_row = 0
        # of all sessions
        self._decided: list[tuple[PastDecision, float]] = []
        self._tried = cache(self._as_tried)
        self._levels: dict[str, float] = {}
        self._accounts = recent()
        self._estimates: tuple[Response, dict[str, Response]] | None = None
        self.catch_up()

    def catch_up(self) -> None:
        """Read what the ledger has since the last call."""
        for proposal in self.ledger.proposals("WHERE session = ? AND turn > ?", (self.row.id, self._last_turn)):
            self._last_turn = max(self._last_turn, proposal.turn)
            self._lanes[proposal.lane] += 1
            if proposal.lane != CALIBRATION:
                self._proposer_names.add(proposal.proposer)
                self._pending[proposal.id] = proposal
        decided = self.ledger.history(self.row.question, self.row.key, self._last_decision)
        candidates = [past for past in decided if past.lane != CALIBRATION]
        for past in candidates:
            self._add(past)
        self._add_accounts(candidates)
        self._last_decision = decided[-1].number if decided else self._last_decision

    def _add(self, past: PastDecision) -> None:
        self.dead_ends.add(past, self.ledger.effect(past.parent), self.ledger.effect(past.child))
        level = self._levels.get(past.parent, 0.0)
        self._decided.append((past, level))
        if past.status == "KEEP" and (shrunk := json.loads(past.shrunk)[0]) is not None:
            self._levels[past.child] = level + shrunk
        if past.session == self.row.id:
            self._add_own(past)

    def _add_own(self, past: PastDecision) -> None:
        (proposal,), course = self.ledger.proposals("WHERE id = ?", (past.id,)), self._course(past)
        self._pending.pop(past.id, None)
        self._decided_lanes.append(past.lane)
        confirmed = bool(course.get("account", {}).get("error"))
        self._unconfirmed_in_a_row = 0 if confirmed else self._unconfirmed_in_a_row + 1
        if past.reason == "overtaken":
            self._overtaken.append(proposal)
        screened = self._screened[past.parent, self.ledger.effect(past.child)]
        screened += [(past.id, seed) for _, seed in course.get("seeds", {}).get("screening", ())]

    def _add_accounts(self, candidates: Sequence[PastDecision]) -> None:
        """Add the accounts that say something of a move. Only the last ones count, so earlier ones are not decoded."""
        accounts: list[Account] = []
        for past in reversed(candidates):
            if len(accounts) == self._accounts.maxlen:
                break
            if course := self._course(past):
                move = self._move(past.knob, stored_value(past.before), stored_value(past.after))
                account = replace(account_from(course["account"]), move=move)
                accounts += [account] if tells(account) else []
        if accounts:
            self._accounts.extend(reversed(accounts))
            self._estimates = None

    def _course(self, past: PastDecision) -> Mapping[str, Any]:
        decision = self.ledger.decision(past.id)
        return (decision.course if decision else None) or {}

    def _as_tried(self, place: int) -> Tried:
        """A decision as proposers see it. Levels are counted from where the search began."""
        past, level = self._decided[place]
        shrunk = json.loads(past.shrunk)[0]
        differences = (self.ledger.comparison(past.id) or {}).get("differences", {})
        effect = differences.get(self.study.target, {})
        guards = [-(differences[name]["delta"] + margin) for name, margin in self.study.guards.items() if differences]
        return Tried(
            recipe=self.ledger.recipe(past.child),
            lane=past.lane,
            knob=past.knob,
            before=stored_value(past.before),
            after=stored_value(past.after),
            status=past.status,
            reason=past.reason,
            delta=effect.get("delta"),
            low=effect.get("low"),
            high=effect.get("high"),
            standard_error=effect.get("standard_error"),
            score=None if shrunk is None else level + shrunk,
            guard_excess=max(guards, default=0.0) if effect else None,
        )

    # what may be proposed

    def situation(self, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """What this turn's proposer is shown, in the lane furthest behind its share that has a move; None if no lane
        has one."""
        shares = self.space.shares
        total = sum(shares.values())
        order = sorted(shares, key=lambda name: self._lanes[name] - turn * shares[name] / total)
        lanes = sorted(order, key=lambda name: name == self._exhausted_lane)
        situations = (self.in_lane(lane, turn, incumbent, budget_left) for lane in lanes)
        return next((situation for situation in situations if situation is not None), None)

    def in_lane(self, lane: str, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """What a proposer is shown when the turn belongs to this lane; None if the lane has no move."""
        moves = self._open_moves(incumbent, lane)
        if not moves:
            return None
        response, guard_responses = self._estimated_responses
        return Situation(
            turn=turn,
            seed=self.row.seed,
            lane=lane,
            incumbent=incumbent,
            moves=moves,
            space=self.space,
            history=History(len(self._decided), self._tried),
            target=self.study.target,
            guards=self.study.guards,
            program=self.study.program,
            budget_left=budget_left,
            response=response,
            guard_responses=guard_responses,
        )

    def overtaken(self, incumbent: Recipe) -> tuple[str, Suggestion] | None:
        """A candidate whose confirmation was skipped because another of its round was kept: the same move, from the
        incumbent of now; with its lane. None if there is none left to re-test."""
        barred = self.barred()
        for proposal in self._overtaken:
            name, value = f"retest of {proposal.id[-3:]}", value_of(proposal.after)
            if name in self._proposer_names:
                continue
            try:
                _, child = self.space.mutate(incumbent, proposal.knob, value)
            except IllegalRecipe:
                continue
            if child.effect not in barred:
                hypothesis = f"promising beside a change that was kept first: {proposal.hypothesis}"
                return proposal.lane, Suggestion(proposal.knob, value, hypothesis, proposal.predicted, name)
        return None

    @property
    def space(self) -> SearchSpace:
        """The search space; on a plateau with a larger reach."""
        return self._wider_space if self._plateau_stage >= 1 else self.study.lanes

    @cached_property
    def _wider_space(self) -> SearchSpace:
        return self.study.lanes.widened(WIDER_REACH)

    def barred(self) -> set[str]:
        """The effects of recipes that are not tried again: dead ends, and the session's proposals that are undecided
        yet."""
        return self.dead_ends.effects | {self.ledger.effect(proposal.child) for proposal in self._pending.values()}

    def _open_moves(self, incumbent: Recipe, lane: str) -> dict[str, tuple[Value, ...]]:
        """The legal moves of a lane that are no dead end and lead to no barred recipe, whatever its incumbent was."""
        barred, open_moves = self.barred(), {}
        for name, values in self.space.moves(incumbent, lane).items():
            knob = self.space.knob(name)
            now = knob.read(incumbent)
            fresh = tuple(
                value
                for value in values
                if knob.write(incumbent, value).effect not in barred and not self.dead_ends.bars(knob, now, value)
            )
            if fresh:
                open_moves[name] = fresh
        return open_moves

    # what a proposal is

    def screened(self, proposal: ProposalRow) -> frozenset[int]:
        """The seeds under which the same change of the same incumbent was screened before."""
        before = self._screened.get((proposal.parent, self.ledger.effect(proposal.child)), ())
        return frozenset(seed for name, seed in before if name != proposal.id)

    def move(self, proposal: ProposalRow) -> Move | None:
        """The move of a proposal; None if the study does not have its knob any more. An A/A candidate is given one of
        the incumbent's moves, so that the rule decides on it as on any other."""
        lanes, before, after, name = self.study.lanes, proposal.before, proposal.after, proposal.knob
        if proposal.lane == CALIBRATION:
            incumbent = self.ledger.recipe(proposal.parent)
            moves = lanes.moves(incumbent)
            chance = random.Random(f"{self.row.seed}|{proposal.turn}|disguise")
            if not moves:
                return None
            name = chance.choice(sorted(moves))
            before, after = lanes.knob(name).read(incumbent), chance.choice(moves[name])
        return self._move(name, value_of(before), value_of(after))

    def _move(self, name: str, before: Value, after: Value) -> Move | None:
        """The move of a knob; None if the study does not have it any more."""
        knob = next((knob for knob in self.study.lanes.knobs if knob.name == name), None)
        return move_of(knob, before, after) if knob else None

    # plateau

    def plateau(self) -> str | None:
        """Why the session should end: the search has widened, changed lane, and still nothing is promising."""
        if self._plateau_stage < 3:
            return None
        return (
            f"a plateau: none of the last {self._unconfirmed_in_a_row} candidates was promising enough to be "
            "confirmed, though moves were widened and the lane was changed"
        )

    @property
    def _plateau_stage(self) -> int:
        """0, then 1 with wider moves, 2 with another lane, 3 at the end."""
        return self._unconfirmed_in_a_row // self.study.file.policy.plateau

    @property
    def _exhausted_lane(self) -> str | None:
        """From stage 2 on, the lane of most candidates of the plateau."""
        if self._plateau_stage < 2:
            return None
        return Counter(self._decided_lanes[-self._unconfirmed_in_a_row :]).most_common(1)[0][0]

    # estimates

    @property
    def _estimated_responses(self) -> tuple[Response, dict[str, Response]]:
        """What moves do to the target and to each guard, estimated from the last decisions and the survey."""
        if self._estimates is None:
            self._estimates = responses_of(self._accounts, self.study.target, self.study.guards, self._surveyed.of)
        return self._estimates

    @cached_property
    def _surveyed(self) -> Surveyed:
        owner = self.ledger.survey_session(self.row.question, self.row.key)
        rows = self.ledger.checks(owner, SURVEY) if owner else ()
        return surveyed(rows, self.study.lanes, (self.study.target, *self.study.guards))
