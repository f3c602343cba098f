"""The contract of proposers, and the situations in which it is tested."""

import copy
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agent.proposers import Declined, Expected, Proposer, Situation, Suggestion, Tried
from agent.proposers.protocol import Move
from lanes import LANE_NAMES, LaneSettings, Recipe, SearchSpace, build_lanes

SOURCES = ("curated", "generated")
MANIFESTS: Mapping[str, Mapping[str, float]] = {
    "even": {"curated": 1.0, "generated": 1.0},
    "curated_only": {"curated": 1.0},
    "mostly_curated": {"curated": 3.0, "generated": 1.0},
}
LANES: Mapping[str, Mapping[str, Any]] = {
    "hyperparameters": {
        "learning_rate": {"low": 1e-6, "high": 1e-2, "factor": 2.0, "reach": 4},
        "beta": {"low": 0.05, "high": 0.5, "step": 0.05, "reach": 2},
        "scheduler": True,
    },
    "mixture": {},
    "curriculum": {},
}


class ProposerContract(ABC):
    """Inherit it under a name that begins with Test, and define how a proposer is made.

    class TestMine(ProposerContract):
        def proposer(self):
            return MyProposer()
    """

    @abstractmethod
    def proposer(self) -> Proposer:
        """A new proposer, as at the start of a session."""

    def names(self) -> Collection[str]:
        """The names that suggestions may have: its own, and those of proposers that it delegates to."""
        return {self.proposer().name}

    @pytest.fixture(params=range(8))
    def situation(self, request: pytest.FixtureRequest) -> Situation:
        situation: Situation = list(situations())[request.param]
        return situation

    def test_it_suggests_one_of_the_moves_or_declines(self, situation: Situation) -> None:
        reply = self.proposer().propose(situation)
        if isinstance(reply, Suggestion):
            assert reply.value in situation.moves[reply.knob]
        else:
            assert isinstance(reply, Declined)

    def test_it_takes_the_only_move_there_is_or_declines(self, situation: Situation) -> None:
        knob, values = next(iter(situation.moves.items()))
        reply = self.proposer().propose(replace(situation, moves={knob: values[:1]}))
        assert isinstance(reply, Declined) or (reply.knob, reply.value) == (knob, values[0])

    def test_the_same_situation_gives_the_same_answer(self, situation: Situation) -> None:
        random.seed(1)
        first = self.proposer().propose(situation)
        random.seed(2)
        assert self.proposer().propose(situation) == first, "take random numbers from the situation's seed and turn"

    def test_a_suggestion_bears_its_own_name_and_says_why(self, situation: Situation) -> None:
        reply = self.proposer().propose(situation)
        if isinstance(reply, Suggestion):
            assert reply.proposer in self.names()
            assert reply.hypothesis.strip()
            assert reply.predicted is None or math.isfinite(reply.predicted)

    def test_what_asking_cost_is_stated_and_is_no_credit(self, situation: Situation) -> None:
        reply = self.proposer().propose(situation)
        assert math.isfinite(reply.dollars)
        assert reply.dollars >= 0
        assert min(reply.prompt_tokens, reply.completion_tokens) >= 0

    def test_it_changes_nothing_of_what_it_is_shown(self, situation: Situation) -> None:
        shown = (copy.deepcopy(dict(situation.moves)), list(situation.history), situation.incumbent.digest)
        self.proposer().propose(situation)
        assert (dict(situation.moves), list(situation.history), situation.incumbent.digest) == shown


def situations() -> Iterator[Situation]:
    """First and later turns, and another seed: six in the lane of hyperparameters, one in each other lane."""
    recipe = Recipe(learning_rate=1e-4, beta=0.1, lora_rank=16, mixture=MANIFESTS["even"])
    lanes = {name: LaneSettings.model_validate(keys) for name, keys in LANES.items()}
    space = build_lanes(lanes, recipe, MANIFESTS, SOURCES)
    history: list[Tried] = []
    for turn in range(1, 4):
        for seed in (0, 7):
            yield _situation("hyperparameters", recipe, space, history, turn, seed)
        history.append(_tried(recipe, space, turn))
    for lane in LANE_NAMES[1:]:
        yield _situation(lane, recipe, space, history, 4, 0)


def _situation(
    lane: str, recipe: Recipe, space: SearchSpace, history: Sequence[Tried], turn: int, seed: int
) -> Situation:
    """One turn. As in a session, no move leads to a recipe that was tried."""
    tried = {recipe.digest, *(one.recipe.digest for one in history)}
    moves = {
        name: tuple(value for value in values if space.knob(name).write(recipe, value).digest not in tried)
        for name, values in space.moves(recipe, lane).items()
    }
    return Situation(
        turn=turn,
        seed=seed,
        lane=lane,
        incumbent=recipe,
        moves={name: values for name, values in moves.items() if values},
        space=space,
        history=list(history),
        target="lists",
        guards={"arithmetic": 1.5},
        program="Prefer small moves of beta.",
        budget_left="7 of 8 decisions",
        expected=_expected(lane, recipe, space) if history else {},
    )


def _expected(lane: str, recipe: Recipe, space: SearchSpace) -> dict[Move, Expected]:
    """What is expected of every move, once something was measured: the first value of each knob is likely to be an
    improvement."""
    return {
        (name, value): Expected(0.4 - 0.3 * place, 0.3, 0.9 - 0.3 * min(place, 2), 0.95)
        for name, values in space.moves(recipe, lane).items()
        for place, value in enumerate(values)
    }


def _tried(recipe: Recipe, space: SearchSpace, turn: int) -> Tried:
    """A decision on another learning rate: no clear effect, or a crash on the second turn."""
    knob = space.knob("learning_rate")
    after = space.moves(recipe, "hyperparameters")[knob.name][turn]
    crash = turn == 2
    return Tried(
        recipe=knob.write(recipe, after),
        lane=knob.lane,
        knob=knob.name,
        before=knob.read(recipe),
        after=after,
        status="CRASH" if crash else "DISCARD",
        reason="crash:diverged" if crash else "no_effect",
        delta=None if crash else 0.1,
        low=None if crash else -0.4,
        high=None if crash else 0.6,
        standard_error=None if crash else 0.25,
        score=None if crash else 5.1,
        guard_excess=None if crash else -1.0,
    )
