"""What a proposer is shown and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.policy.effect_model import Move, Response, Table, move_of, safe
from lanes import Recipe, SearchSpace, Value


@dataclass(frozen=True, slots=True)
class Tried:
    """One earlier decision under the same question: figures from code, on the 0 to 10 scale.

    ``standard_error`` is that of ``delta``. ``score`` is the candidate's target, counted from where the search began
    and shrunk for its noise; ``guard_excess`` how far the worst guard was seen below its margin (at most 0 when none
    was). All figures are None for a CRASH.
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
    """Everything a proposal may depend on. ``moves`` are the values per knob of this turn's lane that may be
    tried."""

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
        """The moves one by one, and mean [moves] and covariance [moves, moves] of what comparisons expect of them."""
        moves = [(name, value) for name, values in self.moves.items() for value in values]
        return moves, *self.response.expected(self.placed)

    def safe(self) -> Table:
        """Of each move, in the same order: the chance that the guard that it endangers most keeps to its margin."""
        return safe(self.placed, self.guard_responses, self.guards)

    @property
    def placed(self) -> list[Move]:
        """The moves, on their ladders."""
        knobs = {name: self.space.knob(name) for name in self.moves}
        return [
            move_of(knobs[name], knobs[name].read(self.incumbent), value)
            for name, values in self.moves.items()
            for value in values
        ]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A knob and one of its moves, with why and what is expected; ``dollars`` is what asking cost."""

    knob: str
    value: Value
    hypothesis: str
    predicted: float | None
    proposer: str
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class Declined:
    """No answer this turn, so the next proposer has it; ``dollars`` is what asking cost all the same."""

    dollars: float = 0.0


class Proposer(Protocol):
    """Picks one of the situation's moves, or declines."""

    name: str

    def propose(self, situation: Situation) -> Suggestion | Declined: ...
