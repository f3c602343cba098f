"""Recipes and moves that a search does not try again."""

import math
from collections import Counter
from dataclasses import dataclass, field

from agent.ledger.results.rows import stored_value
from agent.ledger.tables import PastDecision
from lanes import Knob, SearchSpace, Value
from probes.run.failures import crash_meaning

SKIPPED = "skipped"
"""The reason of a change that a person took out of a session. Other sessions may try it."""
UNDECIDED = ("unpromising", "unconfirmed")
"""Reasons that leave the effect of a change open: it may be tried again, on other seeds."""
MOST_TRIES = 6
"""A recipe whose decisions all leave its effect open is tried at most so often."""
NOT_TRIED = ("overtaken", "budget")
"""Reasons that say nothing about the change: it may be tried again any number of times."""
HARM = ("worse", "guard", "cumulative")
"""Reasons, without what follows a colon, of moves that did harm; crashes come in addition."""


def is_machine_fault(reason: str) -> bool:
    """Whether a reason is a crash that says nothing about the recipe: a later session may try that recipe again."""
    crash = crash_meaning(reason)
    return crash is not None and not crash.recipe_at_fault


def _did_harm(reason: str) -> bool:
    """Whether a reason says that a move did harm; a crash does if its kind bars a direction."""
    crash = crash_meaning(reason)
    return crash.bars_direction if crash else reason.partition(":")[0] in HARM


@dataclass
class DeadEnds:
    """What is not tried again after all decisions under the same question and probe key. Harmful moves are only those
    of this session.

    ``effects``: the effects (``Recipe.effect``) of recipes that are not tried again.
    """

    session: str
    space: SearchSpace
    effects: set[str] = field(default_factory=set)
    _undecided: Counter[str] = field(default_factory=Counter)
    _harmful: dict[str, "_HarmfulMoves"] = field(default_factory=dict)

    def add(self, past: PastDecision, parent: str, child: str) -> None:
        """Add a decision. ``parent``, ``child``: the effects (``Recipe.effect``) of the proposal's two recipes."""
        own, reason = past.session == self.session, past.reason
        one_of_many = bool(past.with_others) and past.status != "KEEP"
        if own and _did_harm(reason) and not one_of_many:
            self._harmful.setdefault(past.knob, _HarmfulMoves()).add(self.space, past)
        if not own and (is_machine_fault(reason) or reason == SKIPPED):
            return
        self.effects.add(parent)
        undecided = one_of_many or reason in UNDECIDED
        if undecided:
            self._undecided[child] += 1
        may_repeat = reason in NOT_TRIED or (undecided and self._undecided[child] < MOST_TRIES)
        if not may_repeat:
            self.effects.add(child)

    def bars(self, knob: Knob, now: Value, value: Value) -> bool:
        """Whether a move did harm, or goes at least as far in the same direction as one that crashed or broke
        a guard."""
        return knob.name in self._harmful and self._harmful[knob.name].cover(knob, now, value)


@dataclass
class _HarmfulMoves:
    """Moves of one knob that did harm. ``up``, ``down``: for an ordered knob, the nearest places above and below that
    crashed or broke a guard."""

    moves: set[tuple[Value, Value]] = field(default_factory=set)
    up: float = math.inf
    down: float = -math.inf

    def add(self, space: SearchSpace, past: PastDecision) -> None:
        before, after = stored_value(past.before), stored_value(past.after)
        self.moves.add((before, after))
        knob = space.knob(past.knob)
        if knob.ordered and past.reason != "worse":
            start, end = float(knob.place(before)), float(knob.place(after))
            self.up = min(self.up, end) if end >= start else self.up
            self.down = max(self.down, end) if end <= start else self.down

    def cover(self, knob: Knob, now: Value, value: Value) -> bool:
        if (now, value) in self.moves:
            return True
        return knob.ordered and not self.down < float(knob.place(value)) < self.up
