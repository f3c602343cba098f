"""Thompson sampling (Thompson 1933): draw the effect of each move from its posterior, and take the best draw.

The posterior comes from all comparisons together (agent/policy/effect_model.py): a move whose effect may still be large
is tried, one whose effect is known to be small is not. For a knob without any comparison, Optuna chooses the value.
"""

import random
from dataclasses import replace

import numpy

from agent.proposers.protocol import Declined, Proposer, Situation, Suggestion
from lanes import show

HEAT = 0.5
"""After a survey, draws vary by this share of the posterior's standard deviation, since the survey explored already."""
SAFE = 0.5
"""Moves that are more likely than not to break a guard are not taken if there is another."""


class ThompsonProposer:
    """``for_unmeasured``: the proposer for a knob without any comparison."""

    name = "thompson"

    def __init__(self, for_unmeasured: Proposer) -> None:
        self.for_unmeasured = for_unmeasured

    def propose(self, situation: Situation) -> Suggestion | Declined:
        if not situation.response.seen:
            return self.for_unmeasured.propose(situation)
        moves, mean, covariance = situation.expected()
        chance = numpy.random.default_rng(random.Random(f"{situation.seed}|{situation.turn}|draw").getrandbits(64))
        surveyed = any(len(comparison.moves) > 1 for comparison in situation.response.seen)
        (drawn,) = situation.response.drawn(situation.ladder_moves, chance, heat=HEAT if surveyed else 1.0)
        safe = situation.safe() >= SAFE
        best = int(numpy.where(safe, drawn, -numpy.inf).argmax() if safe.any() else drawn.argmax())
        knob, value = moves[best]
        if knob not in situation.response.moved:
            return self.for_unmeasured.propose(replace(situation, moves={knob: situation.moves[knob]}))
        now = show(situation.space.knob(knob).read(situation.incumbent))
        seen, deviation = len(situation.response.seen), float(covariance[best, best]) ** 0.5
        hypothesis = (
            f"{knob} {now} -> {show(value)}: {mean[best]:+.2f} by {seen} comparison(s), "
            f"give or take {deviation:.2f}; drawn {drawn[best]:+.2f}, the best of {len(moves)} moves"
        )
        return Suggestion(knob, value, hypothesis, round(float(mean[best]), 3), self.name)
