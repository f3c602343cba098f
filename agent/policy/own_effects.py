"""The effect of one change, estimated from all readings together. Pure functions."""

import math

from agent.policy.confirmation import Verdict
from agent.policy.decision_basis import OwnEffectEstimate
from agent.policy.knob_effects import Place
from agent.policy.night import NightState, likely_breaks
from probes.result.comparison import quantile


def own_effect(known: NightState, knob: str, place: Place) -> OwnEffectEstimate | None:
    """The effect of moving one knob of the incumbent to a place; None if the incumbent cannot make this move."""
    if (knob, place) not in known.effects.moves:
        return None
    recipes = len({tuple(sorted(one.places.items())) for one in known.target if one.places[knob] == place})
    move = known.effects.moves.index((knob, place))
    mean, deviation = float(known.effects.likely[move]), math.sqrt(float(known.effects.spread[move]))
    half = quantile((1 - known.policy.confidence) / 2, math.inf) * deviation
    chance = float(known.effects.chance[move])
    return OwnEffectEstimate(mean, mean - half, mean + half, chance, known.single(move), recipes)


def unconfirmed_verdict(own: OwnEffectEstimate, known: NightState, at_end: bool) -> Verdict:
    """The decision on a change that was measured and not confirmed, either because the session ends (``at_end``) or
    because another stack was kept."""
    policy = known.policy
    if own.high < 0:
        return Verdict("DISCARD", "worse")
    if own.high <= policy.smallest_effect:
        return Verdict("DISCARD", "no_effect")
    if own.chance < policy.member_chance:
        return Verdict("DISCARD", "unpromising")
    if guard := likely_breaks(own.guards, known.margins):
        return Verdict("DISCARD", f"guard:{guard}")
    return Verdict("DISCARD", "budget" if at_end else "overtaken")
