"""Optuna's proposer: TPE (Bergstra et al. 2011) for one parameter, with all others fixed at the incumbent's values.

The Optuna study is rebuilt from the history at each turn, so no second store can disagree with the ledger, and the same
history and seed give the same proposal.
"""

import random
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, TPESampler
from optuna.trial import TrialState, create_trial

from agent.proposers.protocol import Situation, Suggestion, Tried
from lanes import Knob, Recipe, Value, show

optuna.logging.set_verbosity(optuna.logging.ERROR)
STARTUP_TRIALS = 5
RECENT = 1000
"""TPE reads only so many latest decisions, so that the cost of a turn stays bounded."""


class TpeProposer:
    """Takes the knob with the fewest tries and lets TPE choose its value."""

    name = "optuna"

    def propose(self, situation: Situation) -> Suggestion:
        chance = random.Random(f"{situation.seed}|{situation.turn}")
        knob = situation.space.knob(self._knob(situation))
        value = self._value(situation, knob, chance.getrandbits(32))
        moves = situation.moves[knob.name]
        if value not in moves:
            value = _closest(knob, value, moves, chance)
        now = knob.read(situation.incumbent)
        hypothesis = f"TPE after {len(situation.history)} decision(s): {knob.name} {show(now)} -> {show(value)}"
        return Suggestion(knob.name, value, hypothesis, None, self.name)

    def _knob(self, situation: Situation) -> str:
        """The knob with the fewest tries; the first one in the study's order if there are several."""
        tries = Counter(tried.knob for tried in situation.history[-RECENT:])
        return min(situation.moves, key=lambda name: tries[name])

    def _value(self, situation: Situation, knob: Knob, seed: int) -> Value:
        space = {k.name: _distribution(k, situation) for k in situation.space.knobs}
        fixed = {k.name: _encode(k, situation.incumbent) for k in situation.space.knobs if k.name != knob.name}
        study = optuna.create_study(direction="maximize", sampler=_sampler(fixed, seed))
        for tried in situation.history[-RECENT:]:
            study.add_trial(_trial(tried, situation, space))
        return _decode(knob, study.ask(space).params[knob.name])


def _sampler(fixed: Mapping[str, Any], seed: int) -> PartialFixedSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # PartialFixedSampler is "experimental" since Optuna 2.4
        return PartialFixedSampler(dict(fixed), TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS))


def _distribution(knob: Knob, situation: Situation) -> BaseDistribution:
    if knob.ordered:
        return IntDistribution(0, max(1, len(knob.values) - 1))
    seen = [situation.incumbent, *(tried.recipe for tried in situation.history[-RECENT:])]
    names = dict.fromkeys([*map(show, knob.values), *(show(knob.read(recipe)) for recipe in seen)])
    return CategoricalDistribution(list(names))


def _encode(knob: Knob, recipe: Recipe) -> Any:
    place = knob.place(knob.read(recipe))
    return min(max(round(place), 0), len(knob.values) - 1) if isinstance(place, float) else place


def _decode(knob: Knob, parameter: Any) -> Value:
    if knob.ordered:
        return knob.values[min(int(parameter), len(knob.values) - 1)]
    return next((value for value in knob.values if show(value) == parameter), str(parameter))


def _trial(tried: Tried, situation: Situation, space: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    params = {knob.name: _encode(knob, tried.recipe) for knob in situation.space.knobs}
    if tried.score is None or tried.guard_excess is None:
        return create_trial(state=TrialState.FAIL, params=params, distributions=dict(space))
    return create_trial(
        value=tried.score,
        params=params,
        distributions=dict(space),
        constraints={"guards": tried.guard_excess},
        user_attrs={"standard_error": tried.standard_error},
    )


def _closest(knob: Knob, wanted: Value, moves: tuple[Value, ...], chance: random.Random) -> Value:
    """The move nearest to TPE's value; a random one among equally near ones, or if values have no order."""
    if not knob.ordered:
        return chance.choice(list(moves))
    places = {value: place for place, value in enumerate(knob.values)}
    distances = {move: abs(places[move] - places[wanted]) for move in moves}
    return chance.choice([move for move in moves if distances[move] == min(distances.values())])
