"""What a proposer is shown: this turn's lane, its legal moves, and what was learnt so far; and when to give
up."""

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property

from agent.ledger.as_of import PastLedger
from agent.ledger.result_rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow
from agent.loop.survey import SURVEY, Surveyed, surveyed
from agent.policy.effect_model import Move, Response, move_of
from agent.policy.session_statistics import account_from, recent, responses_of, tells
from agent.proposers import Situation, Suggestion, Tried
from agent.study.load import Study
from common.errors import IllegalRecipe
from lanes import Knob, Recipe, SearchSpace, Value
from probes.run.failures import crash_meaning

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
    crash = crash_meaning(reason)
    return crash is not None and not crash.recipe_at_fault


def _harmful(reason: str) -> bool:
    """Whether a reason says that a move did harm; a crash does where its kind bars a direction."""
    crash = crash_meaning(reason)
    return crash.bars_direction if crash else reason.partition(":")[0] in HARM


class Search:
    """A session's search so far, and that of earlier sessions under the same question and probe key. Given the ledger's
    past, as it was then. Each decision is taken up once, so that what one more costs does not grow."""

    def __init__(self, row: SessionRow, study: Study, ledger: Ledger | PastLedger) -> None:
        self.row, self.study, self.ledger = row, study, ledger
        self._number = self._turn = 0
        self._lanes: Counter[str] = Counter()
        self._names: set[str] = set()
        self._pending: dict[str, ProposalRow] = {}
        self._barred: set[str] = set()
        self._chances: Counter[str] = Counter()
        self._overtaken: list[ProposalRow] = []
        self._screened: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        self._decided_lanes: list[str] = []
        self._fruitless = 0
        self._harm: defaultdict[str, _Harm] = defaultdict(_Harm)
        self._levels: dict[str, float] = {}
        self._tried: list[Tried] = []
        self._accounts = recent()
        self._effects: dict[str, str] = {}
        self._responses: tuple[Response, dict[str, Response]] | None = None
        self.catch_up()

    def catch_up(self) -> None:
        """Take up what the ledger has since."""
        for proposal in self.ledger.proposals("WHERE session = ? AND turn > ?", (self.row.id, self._turn)):
            self._turn = max(self._turn, proposal.turn)
            self._lanes[proposal.lane] += 1
            if proposal.lane != CALIBRATION:
                self._names.add(proposal.proposer)
                self._pending[proposal.id] = proposal
        for number, proposal, decision in self.ledger.history(self.row.question, self.row.key, self._number):
            self._number = number
            if proposal.lane != CALIBRATION:
                self._take(proposal, decision)

    def _take(self, proposal: ProposalRow, decision: DecisionRow) -> None:
        self._bar(proposal, decision)
        self._tried.append(self._one(proposal, decision))
        if decision.course:
            account = replace(account_from(decision.course["account"]), move=self.move(proposal))
            if tells(account):
                self._accounts.append(account)
                self._responses = None
        if decision.session == self.row.id:
            self._take_own(proposal, decision)

    def _bar(self, proposal: ProposalRow, decision: DecisionRow) -> None:
        """A candidate that was overtaken, or cut short by the budget, has not had its turn; one of which too little was
        shown has more of them."""
        if decision.session != self.row.id and machines(decision.reason):
            return
        child = self._effect(proposal.child)
        self._barred.add(self._effect(proposal.parent))
        if decision.reason in UNDECIDED:
            self._chances[child] += 1
        if decision.reason not in NO_TURN and (decision.reason not in UNDECIDED or self._chances[child] >= CHANCES):
            self._barred.add(child)

    def _take_own(self, proposal: ProposalRow, decision: DecisionRow) -> None:
        course, kind = decision.course or {}, decision.reason.partition(":")[0]
        self._pending.pop(proposal.id, None)
        self._decided_lanes.append(proposal.lane)
        self._fruitless = 0 if course.get("account", {}).get("error") else self._fruitless + 1
        if decision.reason == "overtaken":
            self._overtaken.append(proposal)
        if _harmful(decision.reason):
            self._harm[proposal.knob].add(self.study.lanes, proposal, kind)
        screened = self._screened[proposal.parent, self._effect(proposal.child)]
        screened += [(proposal.id, seed) for _, seed in course.get("seeds", {}).get("screening", ())]

    def situation(self, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """This turn's lane (the one furthest behind its share that has a move) and what its proposer is shown."""
        shares = self.space.shares
        total = sum(shares.values())
        order = sorted(shares, key=lambda name: self._lanes[name] - turn * shares[name] / total)
        lanes = sorted(order, key=lambda name: name == self._exhausted_lane)
        shown = (self.in_lane(lane, turn, incumbent, budget_left) for lane in lanes)
        return next((situation for situation in shown if situation is not None), None)

    def in_lane(self, lane: str, turn: int, incumbent: Recipe, budget_left: str) -> Situation | None:
        """What a proposer is shown when the turn belongs to this lane; None where the lane has no move."""
        moves = self._open_moves(incumbent, lane)
        if not moves:
            return None
        return Situation(
            turn,
            self.row.seed,
            lane,
            incumbent,
            moves,
            self.space,
            list(self._tried),
            self.study.target,
            self.study.guards,
            self.study.program,
            budget_left,
            *self._told,
        )

    def overtaken(self, incumbent: Recipe) -> tuple[str, Suggestion] | None:
        """A candidate whose confirmation another KEEP of its round came before: the same move, from what stands now."""
        barred = self.barred()
        for proposal in self._overtaken:
            name = f"retest of {proposal.id[-3:]}"
            if name in self._names:
                continue
            try:
                _, child = self.space.mutate(incumbent, proposal.knob, value_of(proposal.after))
            except IllegalRecipe:
                continue
            if child.effect not in barred:
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

    @property
    def space(self) -> SearchSpace:
        """What may be moved: further than usual on a plateau."""
        return self._wider if self._stage >= 1 else self.study.lanes

    @cached_property
    def _wider(self) -> SearchSpace:
        return self.study.lanes.widened(WIDER)

    def barred(self) -> set[str]:
        """The effects of recipes that are not tried again: shown to be no better, or tried often enough, and not for a
        fault of the machine's; and what this session has proposed. A candidate that was overtaken, or cut short by the
        budget, has not had its turn."""
        return self._barred | {self._effect(proposal.child) for proposal in self._pending.values()}

    def screened(self, proposal: ProposalRow) -> frozenset[int]:
        """The seeds that this mutation, however it was written, was screened on before."""
        before = self._screened.get((proposal.parent, self._effect(proposal.child)), ())
        return frozenset(seed for name, seed in before if name != proposal.id)

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

    @property
    def _stage(self) -> int:
        """0, then 1 with wider moves, 2 with another lane, 3 at the end."""
        return self._fruitless // self.study.file.policy.plateau

    @property
    def _exhausted_lane(self) -> str | None:
        """The lane that had most of the fruitless candidates, once moves that reach further have not helped either."""
        if self._stage < 2:
            return None
        return Counter(self._decided_lanes[-self._fruitless :]).most_common(1)[0][0]

    # history

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
        owner = self.ledger.survey_session(self.row.question, self.row.key)
        rows = self.ledger.checks(owner, SURVEY) if owner else ()
        return surveyed(rows, self.study.lanes, (self.study.target, *self.study.guards))

    @property
    def _told(self) -> tuple[Response, dict[str, Response]]:
        """What moves do to the target and to each guard, by the last decisions under the same question, on the ladders
        of today."""
        if self._responses is None:
            self._responses = responses_of(self._accounts, self.study.target, self.study.guards, self._surveyed.of)
        return self._responses

    def _effect(self, digest: str) -> str:
        if digest not in self._effects:
            self._effects[digest] = self.ledger.recipe(digest).effect
        return self._effects[digest]

    def _dead_end(self, knob: Knob, now: Value, value: Value) -> bool:
        """A move that did harm; or one that goes as far or further the same way as one that crashed or broke a
        guard."""
        return knob.name in self._harm and self._harm[knob.name].covers(knob, now, value)

    def _one(self, proposal: ProposalRow, decision: DecisionRow) -> Tried:
        """Its candidate's level is counted from where the search began."""
        level, shrunk = self._levels.get(proposal.parent, 0.0), decision.row.get("shrunk")
        if decision.status == "KEEP" and shrunk is not None:
            self._levels[proposal.child] = level + shrunk
        differences = (decision.comparison or {}).get("differences", {})
        effect = differences.get(self.study.target, {})
        guards = [-(differences[name]["delta"] + margin) for name, margin in self.study.guards.items() if differences]
        return Tried(
            self.ledger.recipe(proposal.child),
            proposal.lane,
            proposal.knob,
            value_of(proposal.before),
            value_of(proposal.after),
            decision.status,
            decision.reason,
            effect.get("delta"),
            effect.get("low"),
            effect.get("high"),
            effect.get("standard_error"),
            None if shrunk is None else level + shrunk,
            max(guards, default=0.0) if effect else None,
        )


@dataclass
class _Harm:
    """Moves of one knob that made it worse, broke a guard or crashed; and, of an ordered one, how far those that did
    more than make it worse went up and down."""

    moves: set[tuple[Value, Value]] = field(default_factory=set)
    up: float = math.inf
    down: float = -math.inf

    def add(self, space: SearchSpace, proposal: ProposalRow, kind: str) -> None:
        before, after = value_of(proposal.before), value_of(proposal.after)
        self.moves.add((before, after))
        knob = space.knob(proposal.knob)
        if knob.ordered and kind != "worse":
            start, end = float(knob.place(before)), float(knob.place(after))
            self.up = min(self.up, end) if end >= start else self.up
            self.down = max(self.down, end) if end <= start else self.down

    def covers(self, knob: Knob, now: Value, value: Value) -> bool:
        if (now, value) in self.moves:
            return True
        return knob.ordered and not self.down < float(knob.place(value)) < self.up
