"""Waves: recipes around the incumbent that each carry several proposals, and are measured under one seed.

A wave is recorded before its first probe runs, with its recipes and their proposals, so a session that was killed
measures the same recipes when it is resumed.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy

from agent.ledger.designs import DesignedRecipe, RecordedWave, recorded_waves
from agent.ledger.results.rows import value_of
from agent.ledger.tables import WAVE, ProposalRow
from agent.loop.budget import budget_left
from agent.loop.measurements import Measurements
from agent.loop.search.evidence import Evidence
from agent.loop.search.proposals import Expectations, Proposals, expected_of
from agent.loop.seeds import Seeds
from agent.policy.knob_effects import Place, Places
from agent.policy.night import MeasureWave, NightState
from agent.policy.search_parts import SearchParts
from agent.policy.wave_design import allowed, distinct, near_places, with_proposed
from agent.proposers import Suggestion
from agent.proposers.protocol import Move
from common.clock import now
from common.errors import MissingRequirement
from common.wording import count
from lanes import Recipe, Value
from probes.result.reading import Failure, Pair, Probe

MAX_MACHINE_FAULTS = 3
"""After so many failures in a row because of the machine, the loop stops, and a person has to look at the machine."""
MOST_NEAR = 4
"""Most values of a knob in a first wave; if there are more near values, Optuna's TPE chooses among them."""


@dataclass
class Waves:
    measurements: Measurements
    seeds: Seeds
    evidence: Evidence
    proposals: Proposals
    parts: SearchParts
    _recorded: list[RecordedWave] = field(default_factory=list)

    def recorded(self) -> tuple[RecordedWave, ...]:
        """The session's waves, oldest first. Each is read once: none changes."""
        checks = self.measurements.ledger.checks(self.measurements.row.id, WAVE, skip=len(self._recorded))
        self._recorded += recorded_waves(checks)
        return tuple(self._recorded)

    def design(
        self, step: MeasureWave, known: NightState, incumbent: Recipe, wished: Sequence[ProposalRow] = ()
    ) -> bool:
        """Make the proposals of the next wave and record it; returns whether there is a recipe to measure. ``wished``:
        open changes of the incumbent that a person asked for; each is in one of the recipes."""
        measurements, done = self.measurements, self.recorded()
        number, turns = len(done) + 1, sum(len(wave.recipes) for wave in done) + 1
        chance = numpy.random.default_rng(random.Random(f"{measurements.row.seed}|wave {number}").getrandbits(64))
        expected = expected_of(known, lambda knob, place: self.evidence.value(incumbent, knob, place))
        carried = [name for wave in done for made in wave.recipes for name in made.proposals]
        asked = self.proposals.asked(turns, step.size, incumbent, expected, carried, wished)
        named = {place: (row.knob, self._place(row)) for place, row in asked.items()}
        rows, suggested = self._designed(step, known, incumbent, chance)
        rows = with_proposed(rows, named, known.incumbent, known.usable, chance) if named else rows
        rows = self._within_room(rows, known, incumbent, chance)
        if not rows:
            return False
        recipes, designed = self._with_proposals(rows, known, incumbent, expected, suggested)
        wave = RecordedWave(
            session=measurements.row.id,
            number=number,
            time=now(),
            incumbent=incumbent.digest,
            seed=self._seed(number),
            design="spread" if step.first else "drawn",
            plan=step.plan,
            recipes=tuple(designed),
            declined=tuple(self.proposals.declined),
        )
        measurements.ledger.record_design(wave.row, recipes)
        changes = count(len(wave.proposals), "change")
        measurements.log(f"WAVE {number}: {count(len(designed), 'recipe')} with {changes}")
        return True

    def _designed(
        self, step: MeasureWave, known: NightState, incumbent: Recipe, chance: numpy.random.Generator
    ) -> tuple[list[Places], Mapping[Move, Suggestion]]:
        """The places of the recipes, and Optuna's suggestions among their moves, which only a first wave has."""
        if step.first:
            near, suggested = self._near(known, incumbent)
            return self.parts.spread_wave(known.axes, step.size, known.incumbent, known.usable, chance, near), suggested
        readings = len(known.target)
        return self.parts.drawn_wave(known.effects, step.size, known.incumbent, known.usable, chance, readings), {}

    def _with_proposals(
        self,
        rows: Sequence[Places],
        known: NightState,
        incumbent: Recipe,
        expected: Expectations,
        suggested: Mapping[Move, Suggestion],
    ) -> tuple[list[Recipe], list[DesignedRecipe]]:
        """The recipes at these places, each with a proposal for every knob that it moves."""
        recipes, designed = list[Recipe](), list[DesignedRecipe]()
        for places in rows:
            recipe = self.evidence.recipe(incumbent, known.incumbent, places)
            if recipe is None:
                raise RuntimeError(f"a wave has a recipe that no probe may run: {places}")
            if recipe in recipes:
                continue  # a manifest and a source's weight may make the same mixture
            moves = [
                (knob, self.evidence.value(incumbent, knob, place))
                for knob, place in self.evidence.moves(known.incumbent, places).items()
            ]
            rows_of = [self.proposals.of_move(incumbent, *move, expected, suggested.get(move)) for move in moves]
            recipes.append(recipe)
            ids = tuple(row.id for row in rows_of)
            designed.append(DesignedRecipe(digest=recipe.digest, places=places, proposals=ids))
        return recipes, designed

    def probes(self, wave: RecordedWave) -> list[Probe]:
        ledger, key = self.measurements.ledger, self.measurements.key
        return [Probe(ledger.recipe(made.digest), key, wave.seed) for made in wave.recipes]

    def _pairs(self, wave: RecordedWave) -> list[Pair]:
        """Each probe of a wave, paired with the incumbent's probe under the same seed."""
        incumbent, probes = self.measurements.ledger.recipe(wave.incumbent), self.probes(wave)
        return [Pair(probe, replace(probe, recipe=incumbent)) for probe in probes]

    def measure(self, wave: RecordedWave) -> None:
        """Measure a wave. MissingRequirement if it has several probes and all failed because of the machine."""
        measurements, probes = self.measurements, self.probes(wave)
        title = f"wave {wave.number}, {len(probes)} recipes around the incumbent"
        if measurements.judge_monitor.chooses:
            measurements.measure_pairs(title, self._pairs(wave))
        else:
            measurements.measure(title, probes)
        outcomes = [measurements.outcome(probe) for probe in probes]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        faults = [outcome for outcome in failures if not outcome.recipe_at_fault]
        if len(faults) == len(outcomes) >= MAX_MACHINE_FAULTS:
            raise MissingRequirement(
                f"every probe of wave {wave.number} failed because of the machine (the last: {faults[-1].kind}, "
                f"{faults[-1].message}); see runs/worker-*.log and correct the machine"
            )
        if failures:
            kinds = ", ".join(sorted({failure.kind for failure in failures}))
            measurements.log(f"WAVE {wave.number}: {len(failures)} of {len(outcomes)} probes failed ({kinds})")

    def is_measured(self, wave: RecordedWave) -> bool:
        if self.measurements.judge_monitor.chooses:
            return all(map(self.measurements.is_measured, self._pairs(wave)))
        return all(map(self.measurements.has_outcome, self.probes(wave)))

    def _seed(self, number: int) -> int:
        """The seed of a wave. The first waves use the seeds under which the starting recipe was measured."""
        return next(islice(self.seeds.looking(), number - 1, None))

    # proposals

    def _within_room(
        self, rows: list[Places], known: NightState, incumbent: Recipe, chance: numpy.random.Generator
    ) -> list[Places]:
        """The recipes without the changes that the budget of decisions has no room for."""
        room = self.proposals.room
        if room is None:
            return rows
        taken = {(knob, self._place(row)) for (knob, _), row in self.proposals.open(incumbent).items()}
        found = []
        for row in rows:
            fitting: dict[str, Place] = dict(row)
            for knob, place in self.evidence.moves(known.incumbent, row).items():
                if (knob, place) not in taken and room == 0:
                    fitting[knob] = known.incumbent[knob]
                elif (knob, place) not in taken:
                    room -= 1
                    taken.add((knob, place))
            found.append(allowed(fitting, known.incumbent, known.usable, chance))
        return distinct(found, known.incumbent)

    def _place(self, row: ProposalRow) -> Place:
        knob = self.measurements.study.lanes.knob(row.knob)
        return knob.place(value_of(row.after))

    def _near(self, known: NightState, incumbent: Recipe) -> tuple[dict[str, list[Place]], dict[Move, Suggestion]]:
        """Knob -> the places that a first wave moves it to; and Optuna's suggestions, for knobs with more than
        MOST_NEAR near places."""
        near, suggested = dict[str, list[Place]](), dict[Move, Suggestion]()
        for axis in known.axes:
            places = near_places(axis, known.incumbent[axis.knob])
            if len(places) > MOST_NEAR:
                values = {self.evidence.value(incumbent, axis.knob, place): place for place in places}
                chosen = self._chosen(axis.knob, tuple(values), incumbent)
                suggested |= {(axis.knob, suggestion.value): suggestion for suggestion in chosen}
                places = [values[suggestion.value] for suggestion in chosen]
            near[axis.knob] = places
        return near, suggested

    def _chosen(self, name: str, values: Sequence[Value], incumbent: Recipe) -> list[Suggestion]:
        """MOST_NEAR of these values, by the last proposer of the chain."""
        measurements, search = self.measurements, self.proposals.search
        lane, left = search.space.knob(name).lane, budget_left(measurements.budget, measurements.spent())
        chosen: list[Suggestion] = []
        for turn in range(1, MOST_NEAR + 1):
            taken = {suggestion.value for suggestion in chosen}
            rest = tuple(value for value in values if value not in taken)
            answer = self.proposals.proposers.last.propose(search.shown(lane, turn, incumbent, left, {}, {name: rest}))
            if not isinstance(answer, Suggestion):
                break
            chosen.append(answer)
        return chosen
