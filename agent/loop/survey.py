"""A survey: recipes around the starting one with several knobs moved at once, measured before the first proposal.

A run that moves every knob says something of each, so so many runs tell far more of the knobs than as many that move
one (Box, Hunter & Hunter 2005, Statistics for Experimenters, ch. 5 and 6). A survey only says where to look: its
recipes are no proposals, nothing of it decides, and nothing of it can be kept. It goes in waves, each under a seed of
the starting recipe's. The first takes every nearest move about as often as every other; the later ones take, knob by
knob, the best of a draw from what the waves before let expect (Thompson 1933).
"""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median
from typing import Any

import numpy

from agent.ledger.result_rows import value_of
from agent.ledger.tables import CheckRow
from agent.loop.measurements import Measurements
from agent.loop.round import MOST_LOST
from agent.loop.seeds import Seeds
from agent.policy.effect_model import Move, Response, Seen, move_of, noise_factor
from common.clock import now
from common.errors import BaselineFailed, BudgetSpent, IllegalRecipe, MissingRequirement
from lanes import Mutation, Recipe, SearchSpace, Value, inert
from probes.result.comparison import compare
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.result.variance_pooling import Spread

SURVEY = "survey"
SURVEYED = "surveyed"
WAVES = 5
SHARED = 0.5
"""Of the variance of a comparison in a survey: the baseline's, which all of its wave share."""
FEWEST = 6
"""Rows that can tell something of their own noise."""
COLLAPSED = 6.0
"""Median absolute deviations below the median: four standard deviations, if all were as the others."""
Row = Mapping[str, Value | None]
"""Knob -> the value to move it to; None leaves it."""


@dataclass(frozen=True)
class Surveyed:
    """What a survey showed: per recipe its moves, its differences by category, and whose replicate it shares."""

    rows: tuple[tuple[tuple[Move, ...], Mapping[str, tuple[float, float]], str], ...] = ()

    def of(self, category: str) -> tuple[Seen, ...]:
        return tuple(
            Seen(moves, *found[category], held, SHARED) for moves, found, held in self.rows if category in found
        )

    def noisier(self, factors: Mapping[str, float]) -> "Surveyed":
        """Of the categories in ``factors`` alone, with so many times their variance."""
        return Surveyed(
            tuple(
                (
                    moves,
                    {name: (found[name][0], factors[name] * found[name][1]) for name in factors if name in found},
                    held,
                )
                for moves, found, held in self.rows
            )
        )

    def data(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {"rows": [[[asdict(move) for move in moves], found, held] for moves, found, held in self.rows]}


def surveyed(checks: Sequence[CheckRow], space: SearchSpace, categories: Collection[str]) -> Surveyed:
    """From a survey's rows, on the ladders of ``space``; without rows that move a knob which it has no more. Noise is
    what the starting recipe's few repeats and the rows themselves show of it together."""
    knobs = {knob.name: knob for knob in space.knobs}
    rows = []
    for check in checks:
        moves, held = check.data["moves"], f"{check.session} {check.data['seed']}"
        if all(one["knob"] in knobs for one in moves):
            placed = [move_of(knobs[one["knob"]], value_of(one["before"]), value_of(one["after"])) for one in moves]
            rows.append((tuple(placed), _differences_in(check.data["differences"]), held))
    freedom = {name: worth for check in checks for name, worth in check.data["freedom"].items()}
    found = Surveyed(tuple(rows))
    factors = {name: _noise_factor(found.of(name), freedom.get(name, 0.0)) for name in categories}
    return found.noisier(factors)


def _noise_factor(seen: tuple[Seen, ...], freedom: float) -> float:
    """1 where neither the rows nor the repeats are enough to tell. Of noise, a recipe that collapsed tells nothing."""
    middle = median([one.delta for one in seen] or [0.0])
    usual = median([abs(one.delta - middle) for one in seen] or [0.0])
    sound = tuple(one for one in seen if one.delta >= middle - COLLAPSED * usual)
    return noise_factor(sound, freedom) if freedom and len(sound) >= FEWEST else 1.0


def closed(checks: Sequence[CheckRow]) -> Surveyed | None:
    """What a session decides by, from its own checks: it was settled before the first proposal, and stays."""
    row = next((check for check in checks if check.kind == SURVEYED), None)
    if row is None:
        return None
    return Surveyed(
        tuple(
            (tuple(Move(**move) for move in moves), _differences_in(found), held)
            for moves, found, held in row.data["rows"]
        )
    )


def _differences_in(data: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    return {name: (delta, variance) for name, (delta, variance) in data.items()}


@dataclass(frozen=True)
class Survey:
    """Of one session. ``spreads``: the noise of a difference by category, from the starting recipe's repeats."""

    measurements: Measurements
    seeds: Seeds
    spreads: Mapping[str, Spread]

    def take(self, start: Recipe, number: int) -> None:
        """Measure at most ``number`` recipes around ``start``, unless an earlier session did under this question, and
        settle what this session knows by it. A budget that ends it leaves what was measured."""
        row, ledger = self.measurements.row, self.measurements.ledger
        if closed(ledger.checks(row.id)) is not None:
            return
        owner = ledger.survey_session(row.question, row.key) or row.id
        try:
            if owner == row.id:
                self._waves(start, number)
        except BudgetSpent as error:
            self.measurements.log(f"SURVEY ended: {error}")
        study = self.measurements.study
        found = surveyed(ledger.checks(owner, SURVEY), study.lanes, (study.target, *study.guards))
        ledger.record_checks(CheckRow(session=row.id, kind=SURVEYED, subject=owner, time=now(), data=found.data()))

    def _waves(self, start: Recipe, number: int) -> None:
        seeds, wanted = self.seeds.screening(0), number
        for wave in range(WAVES):
            size = min(ceil(number / WAVES), wanted)
            wanted -= size
            done = self.measurements.ledger.checks(self.measurements.row.id, SURVEY)
            plan = self._planned(start, wave, size, [check for check in done if check.data["wave"] < wave])
            if plan:
                base = self._base(start, seeds)
                if all(check.data["wave"] != wave for check in done):
                    self._wave(start, wave, base, plan)

    def _base(self, start: Recipe, seeds: Iterator[int]) -> Reading:
        """The starting recipe under the next seed that does not make it fail."""
        for lost, seed in enumerate(seeds):
            probe = Probe(start, self.measurements.key, seed)
            self.measurements.measure("survey, the starting recipe", [probe])
            found = self.measurements.outcome(probe)
            if isinstance(found, Reading):
                return found
            if not found.permanent or lost >= MOST_LOST:
                raise BaselineFailed(
                    f"the starting recipe was measured before under other seeds and failed now ({found.kind}: "
                    f"{found.message}); mend the cause, then resume the session"
                )
        raise RuntimeError("there is always another seed")

    def _planned(self, start: Recipe, wave: int, size: int, before: Sequence[CheckRow]) -> list[tuple[Mutation, ...]]:
        """Mutations of each recipe of a wave, by the waves before it."""
        study = self.measurements.study
        response = Response(surveyed(before, study.lanes, [study.target]).of(study.target))
        chance = numpy.random.default_rng(random.Random(f"{self.measurements.row.seed}|{wave}|survey").getrandbits(64))
        if response.seen:
            rows = drawn(study.lanes, start, size, chance, response)
        else:
            rows = near(study.lanes, start, size, chance)
        made = [legal(study.lanes, start, row) for row in rows]
        plan = {_moved(study.lanes, start, mutations).effect: mutations for mutations in made}
        return [mutations for effect, mutations in plan.items() if effect != start.effect]

    def _wave(self, start: Recipe, wave: int, base: Reading, plan: Sequence[tuple[Mutation, ...]]) -> None:
        """Measure and record it. Failures that no recipe explains say nothing; a wave of nothing else is no wave."""
        measurements = self.measurements
        probes = [
            Probe(_moved(measurements.study.lanes, start, mutations), measurements.key, base.seed) for mutations in plan
        ]
        measurements.measure(f"survey, wave {wave + 1} of {WAVES}", probes)
        outcomes = [measurements.outcome(probe) for probe in probes]
        faults = [outcome for outcome in outcomes if isinstance(outcome, Failure) and not outcome.permanent]
        if len(faults) == len(outcomes):
            raise MissingRequirement(
                f"every probe of a survey's wave failed without a fault of its recipe (the last: {faults[-1].kind}, "
                f"{faults[-1].message}); mend the machine, then: {measurements.workspace.resume_command}"
            )
        checks = [
            CheckRow(
                session=measurements.row.id,
                kind=SURVEY,
                subject=f"{wave + 1}.{place}",
                time=now(),
                data={
                    "wave": wave,
                    "seed": base.seed,
                    "moves": [asdict(one) for one in mutations],
                    **self._found(outcome, base),
                },
            )
            for place, (mutations, outcome) in enumerate(zip(plan, outcomes, strict=True), 1)
        ]
        measurements.ledger.record_checks(*checks)
        lost = sum(bool(check.data["failure"]) for check in checks)
        measurements.log(
            f"SURVEY wave {wave + 1} of {WAVES}: {len(checks)} recipes around the starting one"
            + (f", {lost} failed" if lost else "")
        )
        measurements.publish()

    def _found(self, outcome: Outcome, base: Reading) -> dict[str, Any]:
        """By category: the recipe's difference from the starting one under the same seed, its variance, and the degrees
        of freedom of that; or why there is none."""
        if isinstance(outcome, Failure):
            return {"differences": {}, "freedom": {}, "failure": outcome.kind}
        study = self.measurements.study
        found = compare([outcome], [base], spreads=self.spreads).differences
        names = [name for name in (study.target, *study.guards) if name in found]
        return {
            "differences": {name: (found[name].delta, self.spreads[name].variance) for name in names},
            "freedom": {name: self.spreads[name].freedom for name in names},
            "failure": None,
        }


def near(space: SearchSpace, start: Recipe, size: int, chance: numpy.random.Generator) -> list[Row]:
    """Rows of nearest moves, of each knob every one about as often as the others; names may stay as they are."""
    rows: list[dict[str, Value | None]] = [{} for _ in range(size)]
    for name, values in space.moves(start).items():
        options = _nearest(space, start, name, values)
        column = [
            options[place] for _ in range(ceil(size / len(options))) for place in chance.permutation(len(options))
        ]
        for row, place in zip(rows, chance.permutation(size), strict=True):
            row[name] = column[place]
    return [_shuffled(row, chance) for row in rows]


def _shuffled(row: Row, chance: numpy.random.Generator) -> Row:
    names = list(row)
    return {names[place]: row[names[place]] for place in chance.permutation(len(names))}


def _nearest(space: SearchSpace, start: Recipe, name: str, values: Sequence[Value]) -> list[Value | None]:
    knob = space.knob(name)
    if not knob.ordered:
        return [*values, None]
    places, here = [float(knob.place(value)) for value in values], float(knob.place(knob.read(start)))
    sides = ([place for place in places if place < here], [place for place in places if place > here])
    wanted = {max(sides[0], default=here), min(sides[1], default=here)}
    return [value for value, place in zip(values, places, strict=True) if place in wanted]


def drawn(
    space: SearchSpace, start: Recipe, size: int, chance: numpy.random.Generator, response: Response
) -> list[Row]:
    """Rows of each knob's best value in a draw of what its moves may be worth."""
    moves = [(name, value) for name, values in space.moves(start).items() for value in values]
    placed = [move_of(space.knob(name), space.knob(name).read(start), value) for name, value in moves]
    rows: list[Row] = []
    for worth in response.drawn(placed, chance, size):
        best: dict[str, tuple[float, Value | None]] = {name: (0.0, None) for name, _ in moves}
        for (name, value), own in zip(moves, worth, strict=True):
            best[name] = max(best[name], (float(own), value), key=lambda found: found[0])
        rows.append(_shuffled({name: value for name, (_, value) in best.items()}, chance))
    return rows


def legal(space: SearchSpace, start: Recipe, row: Row) -> tuple[Mutation, ...]:
    """The row's mutations one after another, without those that are illegal beside the ones before or undo them, and
    those that have no effect beside the others."""
    made, recipe = list[Mutation](), start
    for name, value in row.items():
        knob = space.knob(name)
        if value is None or knob.read(recipe) != knob.read(start):
            continue
        try:
            mutation, further = space.mutate(recipe, name, value)
        except IllegalRecipe:
            continue
        if all(space.knob(one.knob).read(further) == one.after for one in made):
            made.append(mutation)
            recipe = further
    return tuple(one for one in made if not inert(recipe, one.knob))


def _moved(space: SearchSpace, start: Recipe, mutations: Sequence[Mutation]) -> Recipe:
    for mutation in mutations:
        start = space.knob(mutation.knob).write(start, mutation.after)
    return start
