"""Situations for tests of proposers."""

from collections.abc import Mapping, Sequence
from typing import Any

import tiny

from agent.proposers import Expected, Situation, Tried
from agent.proposers.protocol import Move
from lanes import LaneSettings, Recipe, SearchSpace, Value, build_lanes

MANIFESTS = {
    "even": {"good": 1.0, "broken": 1.0},
    "good_only": {"good": 1.0},
    "mostly_good": {"good": 3.0, "broken": 1.0},
}
LANES: dict[str, dict[str, Any]] = {
    "hyperparameters": {
        "share": 2.0,
        "learning_rate": {"low": 1e-6, "high": 0.9, "factor": 2.0, "reach": 4},
        "beta": {"low": 0.05, "high": 0.5, "step": 0.05, "reach": 2},
        "lora_rank": True,
        "scheduler": True,
    },
    "mixture": {},
    "curriculum": {},
}


def start() -> Recipe:
    return tiny.recipe(learning_rate=1e-4, beta=0.1, lora_rank=16)


def space(lanes: dict[str, dict[str, Any]] | None = None, recipe: Recipe | None = None) -> SearchSpace:
    settings = {name: LaneSettings.model_validate(keys) for name, keys in (lanes or LANES).items()}
    return build_lanes(settings, recipe or start(), MANIFESTS, ("good", "broken"))


def tried(
    recipe: Recipe, knob: str, after: Value, score: float | None, lanes: SearchSpace, guard_excess: float = -1.0
) -> Tried:
    """A decision on ``recipe`` with ``knob`` moved to ``after``; a crash if there is no score."""
    place = lanes.knob(knob)
    child = place.write(recipe, after)
    crashed = score is None
    at = 0.0 if score is None else score
    return Tried(
        recipe=child,
        lane=place.lane,
        knob=knob,
        before=place.read(recipe),
        after=after,
        status="CRASH" if crashed else "DISCARD",
        reason="crash:diverged" if crashed else "no_effect",
        delta=None if crashed else at - 5,
        low=None if crashed else at - 5.5,
        high=None if crashed else at - 4.5,
        standard_error=None if crashed else 0.25,
        score=score,
        guard_excess=None if crashed else guard_excess,
    )


def situation(
    lane: str = "hyperparameters",
    history: Sequence[Tried] = (),
    incumbent: Recipe | None = None,
    lanes: SearchSpace | None = None,
    turn: int = 1,
    seed: int = 0,
    program: str = "Prefer small moves of beta.",
    expected: Mapping[Move, Expected] | None = None,
) -> Situation:
    """One turn. As in a session, the moves are those whose recipe is not in the history."""
    recipe, lanes = incumbent or start(), lanes or space()
    barred = {recipe.digest, *(one.recipe.digest for one in history)}
    moves = {}
    for name, values in lanes.moves(recipe, lane).items():
        fresh = tuple(value for value in values if lanes.knob(name).write(recipe, value).digest not in barred)
        if fresh:
            moves[name] = fresh
    return Situation(
        turn=turn,
        seed=seed,
        lane=lane,
        incumbent=recipe,
        moves=moves,
        space=lanes,
        history=list(history),
        target="lists",
        guards={"arithmetic": 1.5},
        program=program,
        budget_left="7 of 8 decisions, 3.00 of 8 hours",
        expected=expected or {},
    )
