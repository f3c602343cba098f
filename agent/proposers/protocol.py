"""The Proposer protocol: what a proposer is shown, and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lanes import Recipe, SearchSpace, Value
from probes.endpoint.spending import Usage

Move = tuple[str, Value]
"""A knob and the value that it is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One earlier decision under the same question: figures from code, on the 0 to 10 scale.

    ``delta``: the change's own effect, estimated from all readings together, with ``standard_error``. ``score``: the
    target's gain over the start of the search with this change. ``guard_excess``: how far the worst guard was below its
    margin; at most 0 if none was. All figures are None for a CRASH.
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


@dataclass(frozen=True, slots=True)
class Expected:
    """The effect of a move on the target, estimated from all readings together: its mean (``delta``) and standard
    deviation, the chance that it is above zero, and the chance that the move breaks no guard (``safe``)."""

    delta: float
    deviation: float
    chance: float
    safe: float


@dataclass(frozen=True)
class Situation:
    """Everything a proposal may depend on.

    ``moves``: knob of this turn's lane -> the values that may be tried. ``expected``: the estimated effects of moves
    from the incumbent; empty before anything was measured. ``notes``: of a person to the running session, oldest first.
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
    expected: Mapping[Move, Expected]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A knob and one of its legal values, with a hypothesis and a predicted effect. ``dollars`` and the tokens are its
    cost."""

    knob: str
    value: Value
    hypothesis: str
    predicted: float | None
    proposer: str
    dollars: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def used(self) -> Usage:
        return _usage(self)


@dataclass(frozen=True, slots=True)
class Declined:
    """No suggestion in this turn: the wave is drawn without one. ``why``: one line for the report; ``dollars`` and the
    tokens are the cost of the attempt."""

    dollars: float = 0.0
    why: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def used(self) -> Usage:
        return _usage(self)


def _usage(answer: Suggestion | Declined) -> Usage:
    return Usage(dollars=answer.dollars, prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens)


class Proposer(Protocol):
    """Picks one of the situation's moves, or declines."""

    name: str

    def propose(self, situation: Situation) -> Suggestion | Declined: ...
