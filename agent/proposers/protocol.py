"""The Proposer protocol: what a proposer is shown, and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.policy.effect_model import Move, Response, Table, move_of, safe
from lanes import Recipe, SearchSpace, Value


@dataclass(frozen=True, slots=True)
class Tried:
    """One earlier decision under the same question: figures from code, on the 0 to 10 scale.

    ``standard_error``: of ``delta``. ``score``: the candidate's target, counted from where the search began and shrunk
    for its noise. ``guard_excess``: how far the worst guard was below its margin; at most 0 if none was. All figures
    are None for a CRASH.
    """

    recipe: Recipe
    lane: str
    knob: str
    before: Value
    after: Value
    status: str
    reason: str
    delta: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    score: float | None
    guard_excess: float | None


@dataclass(frozen=True)
class Situation:
    """Everything a proposal may depend on.

    ``moves``: the values per knob of this turn's lane that may be tried. ``response``, ``guard_responses``: what moves
    do to the target and to each guard, by all comparisons.
    """

    turn: int
    seed: int
    lane: str
    incumbent: Recipe
    moves: Mapping[str, tuple[Value, ...]]
    space: SearchSpace
    history: Sequence[Tried]
    target: str
    guards: Mapping[str, float]
    program: str
    budget_left: str
    response: Response
    guard_responses: Mapping[str, Response]

    def expected(self) -> tuple[list[tuple[str, Value]], Table, Table]:
        """The moves one by one, and the mean [moves] and covariance [moves, moves] of their expected effects."""
        moves = [(name, value) for name, values in self.moves.items() for value in values]
        return moves, *self.response.expected(self.ladder_moves)

    def safe(self) -> Table:
        """For each move, in the same order, the chance that the guard most at risk stays within its margin."""
        return safe(self.ladder_moves, self.guard_responses, self.guards)

    @property
    def ladder_moves(self) -> list[Move]:
        """The moves in the same order, as places on their knobs' ladders."""
        knobs = {name: self.space.knob(name) for name in self.moves}
        return [
            move_of(knobs[name], knobs[name].read(self.incumbent), value)
            for name, values in self.moves.items()
            for value in values
        ]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A knob and one of its legal values, with a hypothesis and a predicted effect; ``dollars``: what it cost."""

    knob: str
    value: Value
    hypothesis: str
    predicted: float | None
    proposer: str
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class Declined:
    """No suggestion this turn, so that the next proposer is asked; ``dollars``: what the attempt cost."""

    dollars: float = 0.0


class Proposer(Protocol):
    """Picks one of the situation's moves, or declines."""

    name: str

    def propose(self, situation: Situation) -> Suggestion | Declined: ...
