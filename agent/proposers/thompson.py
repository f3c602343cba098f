"""Thompson sampling (Thompson 1933): draw what each move may be worth, as likely as it is, and take the best draw.

What moves are worth comes from all comparisons together (agent/policy/effect_model.py): a move that may still be
large is tried, one that is known to be small is not. The value of a knob
that nothing was measured of is Optuna's to choose.
"""

import random
from dataclasses import replace

import numpy

from agent.proposers.protocol import Declined, Proposer, Situation, Suggestion
from lanes import show

HEAT = 0.5
"""Of the posterior's standard deviation that a draw varies by after a survey, which has looked around already."""
SAFE = 0.5
"""A move is left alone when a guard is likelier to fall by its margin than not."""


class ThompsonProposer:
    """``unknown``: who proposes a value of a knob that no comparison has moved."""

    name = "thompson"

    def __init__(self, unknown: Proposer) -> None:
        self.unknown = unknown

    def propose(self, situation: Situation) -> Suggestion | Declined:
        if not situation.response.seen:
            return self.unknown.propose(situation)
        moves, mean, covariance = situation.expected()
        chance = numpy.random.default_rng(random.Random(f"{situation.seed}|{situation.turn}|draw").getrandbits(64))
        surveyed = any(len(one.moves) > 1 for one in situation.response.seen)
        (drawn,) = situation.response.drawn(situation.placed, chance, heat=HEAT if surveyed else 1.0)
        safe = situation.safe() >= SAFE
        best = int(numpy.where(safe, drawn, -numpy.inf).argmax() if safe.any() else drawn.argmax())
        knob, value = moves[best]
        if knob not in situation.response.moved:
            return self.unknown.propose(replace(situation, moves={knob: situation.moves[knob]}))
        now = show(situation.space.knob(knob).read(situation.incumbent))
        seen, deviation = len(situation.response.seen), float(covariance[best, best]) ** 0.5
        hypothesis = (
            f"{knob} {now} -> {show(value)}: {mean[best]:+.2f} by {seen} comparison(s), "
            f"give or take {deviation:.2f}; drawn {drawn[best]:+.2f}, the best of {len(moves)} moves"
        )
        return Suggestion(knob, value, hypothesis, round(float(mean[best]), 3), self.name)
