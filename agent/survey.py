"""A survey: recipes around the starting one with several knobs moved at once, measured before the first proposal.

A run that moves every knob says something of each, so so many runs tell far more of the knobs than as many that move
one (Box, Hunter & Hunter 2005, Statistics for Experimenters, ch. 5 and 6). A survey only says where to look: its
recipes are no proposals, nothing of it decides, and nothing of it can be kept. It goes in waves, each under a seed of
the starting recipe's. The first takes every nearest move about as often as every other; the later ones take, knob by
knob, the best of a draw from what the waves before let expect (Thompson 1933).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import ceil

import numpy

from agent.ledger import CheckRow
from agent.measuring import Measuring
from agent.policy.response import Move, Response, Seen, move_of
from agent.rows import now, value_of
from agent.seeds import Seeds
from lanes import Mutation, Recipe, SearchSpace, Value
from lanes.errors import IllegalRecipe
from probes.reading import Failure, Probe, Reading
from probes.spread import Spread

SURVEY = "survey"
WAVES = 5
SHARED = 0.5
"""Of the variance of a comparison in a survey: the baseline's, which all of its wave share."""
Row = Mapping[str, Value | None]
"""Knob -> the value to move it to; None leaves it."""


@dataclass(frozen=True)
class Survey:
    """Of one session. ``spreads``: the noise of a difference by category, from the starting recipe's repeats."""

    measuring: Measuring
    seeds: Seeds
    spreads: Mapping[str, Spread]

    def take(self, start: Recipe, number: int) -> None:
        """Measure at most ``number`` recipes around ``start``, unless an earlier session did under this question."""
        row, wanted = self.measuring.row, number
        for wave, seed in enumerate(islice(self.seeds.screening(0), WAVES)):
            done = self.measuring.ledger.surveyed(row.question, row.key)
            if any(check.session != row.id for check in done):
                return
            size = min(ceil(number / WAVES), wanted)
            wanted -= size
            if size and all(check.data["wave"] != wave for check in done):
                self._wave(start, wave, seed, self._planned(start, wave, size, done))

    def _planned(self, start: Recipe, wave: int, size: int, done: Sequence[CheckRow]) -> list[tuple[Mutation, ...]]:
        study = self.measuring.study
        response = Response(surveyed(done, study.lanes).of(study.target))
        chance = numpy.random.default_rng(random.Random(f"{self.measuring.row.seed}|{wave}|survey").getrandbits(64))
        rows = (drawn if response.seen else near)(study.lanes, start, size, chance, response)
        plan = {
            _moved(study.lanes, start, made).effect: made for row in rows if (made := legal(study.lanes, start, row))
        }
        return list(plan.values())

    def _wave(self, start: Recipe, wave: int, seed: int, plan: Sequence[tuple[Mutation, ...]]) -> None:
        measuring = self.measuring
        base = Probe(start, measuring.key, seed)
        probes = [Probe(_moved(measuring.study.lanes, start, mutations), measuring.key, seed) for mutations in plan]
        measuring.measure(f"survey, wave {wave + 1} of {WAVES}", [base, *probes])
        level = measuring.outcome(base)
        checks = []
        for place, (mutations, probe) in enumerate(zip(plan, probes, strict=True)):
            outcome = measuring.outcome(probe)
            data = {"wave": wave, "seed": seed, "moves": [asdict(mutation) for mutation in mutations], "failure": None}
            if isinstance(outcome, Reading) and isinstance(level, Reading):
                data |= {"differences": self._differences(outcome, level)}
            else:
                data |= {"differences": {}, "failure": outcome.kind if isinstance(outcome, Failure) else "baseline"}
            checks.append(CheckRow(measuring.row.id, SURVEY, f"{wave + 1}.{place + 1}", now(), data))
        measuring.ledger.checked(*checks)
        lost = sum(bool(check.data["failure"]) for check in checks)
        measuring.note(
            f"SURVEY wave {wave + 1} of {WAVES}: {len(checks)} recipes around the starting one"
            + (f", {lost} failed" if lost else "")
        )

    def _differences(self, reading: Reading, level: Reading) -> dict[str, tuple[float, float]]:
        """By category: the reading's mean less the starting recipe's under the same seed, and its variance."""
        study = self.measuring.study
        return {
            name: (reading.mean(name) - level.mean(name), self.spreads[name].variance)
            for name in (study.target, *study.guards)
        }


def near(space: SearchSpace, start: Recipe, size: int, chance: numpy.random.Generator, _: Response) -> list[Row]:
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
    mean, covariance = response.expected([_move(space, start, name, value) for name, value in moves])
    values, vectors = numpy.linalg.eigh(covariance)
    root = vectors * numpy.sqrt(numpy.maximum(values, 0))
    rows: list[Row] = []
    for _ in range(size):
        worth = mean + root @ chance.standard_normal(len(moves))
        best: dict[str, tuple[float, Value | None]] = {name: (0.0, None) for name, _ in moves}
        for (name, value), own in zip(moves, worth, strict=True):
            best[name] = max(best[name], (float(own), value), key=lambda found: found[0])
        rows.append(_shuffled({name: value for name, (_, value) in best.items()}, chance))
    return rows


def legal(space: SearchSpace, start: Recipe, row: Row) -> tuple[Mutation, ...]:
    """The row's mutations one after another, without those that are illegal beside the ones before or undo them."""
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
    return tuple(made)


def _moved(space: SearchSpace, start: Recipe, mutations: Sequence[Mutation]) -> Recipe:
    for mutation in mutations:
        start = space.knob(mutation.knob).write(start, mutation.after)
    return start


def _move(space: SearchSpace, start: Recipe, name: str, value: Value) -> Move:
    knob = space.knob(name)
    return move_of(knob, knob.read(start), value)


@dataclass(frozen=True)
class Surveyed:
    """What surveys showed: per recipe its moves, its differences by category, and whose replicate it shares."""

    rows: tuple[tuple[tuple[Move, ...], Mapping[str, tuple[float, float]], str], ...] = ()

    def of(self, category: str) -> tuple[Seen, ...]:
        return tuple(
            Seen(moves, *found[category], held, SHARED) for moves, found, held in self.rows if category in found
        )


def surveyed(checks: Sequence[CheckRow], space: SearchSpace) -> Surveyed:
    """From a survey's rows, on the ladders of today; without rows that move a knob which the study has no more."""
    knobs = {knob.name: knob for knob in space.knobs}
    rows = []
    for check in checks:
        moves, held = check.data["moves"], f"{check.session} {check.data['seed']}"
        if all(one["knob"] in knobs for one in moves):
            placed = [move_of(knobs[one["knob"]], value_of(one["before"]), value_of(one["after"])) for one in moves]
            found = {name: (delta, variance) for name, (delta, variance) in check.data["differences"].items()}
            rows.append((tuple(placed), found, held))
    return Surveyed(tuple(rows))
