"""Optuna's proposer: TPE (Bergstra et al. 2011) with every parameter fixed at the incumbent's but one.

The Optuna study is rebuilt from the ledger's history at each turn, so there is no second store that could disagree with
it, and the same history and seed give the same proposal.
"""

import random
import warnings
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
MODE="ts"
TEMP=1.0


class TpeProposer:
    """Turns to the knob that was tried least and lets TPE choose its value."""

    name = "optuna"

    def propose(self, situation: Situation) -> Suggestion:
        chance = random.Random(f"{situation.seed}|{situation.turn}")
        if MODE:
            return self._drawn(situation, chance)
        knob = situation.space.knob(self._knob(situation))
        value = self._value(situation, knob, chance.getrandbits(32))
        moves = _onward(situation, knob)
        if value not in moves:
            value = _closest(knob, value, moves, chance)
        now = knob.read(situation.incumbent)
        hypothesis = f"TPE after {len(situation.history)} decision(s): {knob.name} {show(now)} -> {show(value)}"
        return Suggestion(knob.name, value, hypothesis, None, self.name)

    def _drawn(self, situation, chance):
        import numpy as np
        from agent.policy.response import Move
        pairs=[(k,v) for k,vs in situation.moves.items() for v in vs]
        ms=[]
        for k,v in pairs:
            knob=situation.space.knob(k); ms.append(Move(k,knob.place(knob.read(situation.incumbent)),knob.place(v)))
        mean,cov=situation.response.expected(ms)
        rng=np.random.default_rng(chance.getrandbits(32))
        w,V=np.linalg.eigh(cov); L=V*np.sqrt(np.maximum(w,0))
        d=mean+TEMP*(L@rng.standard_normal(len(w)))
        if MODE.startswith('uc'): d=mean+TEMP*np.sqrt(np.maximum(np.diag(cov),0))+1e-6*rng.standard_normal(len(mean))
        i=int(np.argmax(d)); k,v=pairs[i]
        return Suggestion(k,v,f"drawn {d[i]:+.2f}",None,self.name)

    def _knob(self, situation: Situation) -> str:
        """The knob tried least since it was last kept (a slope may go on); among equals, as the study lists them."""
        tries = dict.fromkeys(situation.moves, 0)
        for tried in situation.history:
            if tried.knob in tries:
                tries[tried.knob] = 0 if tried.status == "KEEP" else tries[tried.knob] + 1
        return min(tries, key=lambda name: tries[name])

    def _value(self, situation: Situation, knob: Knob, seed: int) -> Value:
        space = {k.name: _distribution(k, situation) for k in situation.space.knobs}
        fixed = {k.name: _encode(k, situation.incumbent) for k in situation.space.knobs if k.name != knob.name}
        study = optuna.create_study(direction="maximize", sampler=_sampler(fixed, seed))
        for tried in situation.history:
            study.add_trial(_trial(tried, situation, space))
        return _decode(knob, study.ask(space).params[knob.name])


def _onward(situation: Situation, knob: Knob) -> tuple[Value, ...]:
    """The moves of an ordered knob that go on where it was kept last, or away from where it was seen to do harm."""
    moves, mine = situation.moves[knob.name], [tried for tried in situation.history if tried.knob == knob.name]
    if not knob.ordered or not mine:
        return moves
    now, last = knob.read(situation.incumbent), mine[-1]
    upwards = (last.after > last.before) == (last.status == "KEEP")  # type: ignore[operator]
    going = tuple(move for move in moves if (move > now) == upwards)  # type: ignore[operator]
    return going or moves if last.status == "KEEP" or last.reason == "worse" else moves


def _sampler(fixed: Mapping[str, Any], seed: int) -> PartialFixedSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # it has been called so since Optuna 2.4
        return PartialFixedSampler(dict(fixed), TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS))


def _distribution(knob: Knob, situation: Situation) -> BaseDistribution:
    if knob.ordered:
        return IntDistribution(0, max(1, len(knob.values) - 1))
    seen = [situation.incumbent, *(tried.recipe for tried in situation.history)]
    names = dict.fromkeys([*map(show, knob.values), *(show(knob.read(recipe)) for recipe in seen)])
    return CategoricalDistribution(list(names))


def _encode(knob: Knob, recipe: Recipe) -> Any:
    value = knob.read(recipe)
    if not knob.ordered:
        return show(value)
    distances = [abs(float(v) - float(value)) for v in knob.values]  # type: ignore[arg-type]
    return distances.index(min(distances))


def _decode(knob: Knob, parameter: Any) -> Value:
    if knob.ordered:
        return knob.values[min(int(parameter), len(knob.values) - 1)]
    return next((value for value in knob.values if show(value) == parameter), str(parameter))


def _trial(tried: Tried, situation: Situation, space: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    params = {knob.name: _encode(knob, tried.recipe) for knob in situation.space.knobs}
    if tried.score is None or tried.guard_excess is None:
        return create_trial(state=TrialState.FAIL, params=params, distributions=dict(space))
    return create_trial(
        value=tried.score, params=params, distributions=dict(space), constraints={"guards": tried.guard_excess},
        user_attrs={"standard_error": tried.standard_error},
    )  # fmt: skip


def _closest(knob: Knob, wanted: Value, moves: tuple[Value, ...], chance: random.Random) -> Value:
    """The untried move nearest to what TPE wanted, by chance among equals and where values have no order."""
    if not knob.ordered:
        return chance.choice(list(moves))
    places = {value: place for place, value in enumerate(knob.values)}
    distances = {move: abs(places[move] - places[wanted]) for move in moves}
    return chance.choice([move for move in moves if distances[move] == min(distances.values())])
