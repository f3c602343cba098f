"""What was measured under a session's probe key, by earlier sessions too, as the policy reads it: places and scores.

A recipe is described by the place of every searched knob. Of a recipe that a wave or a stack made, these are the places
that it was designed with: knobs may share a field (a manifest and a source's weight), so that reading them back would
show a knob as moved that nothing moved.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from agent.ledger.designs import designed_recipes
from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, WAVE, ProbeRow, SessionRow
from agent.loop.judging.pairwise_choices import Choices
from agent.loop.measurements import Measurements
from agent.policy.confirmation import ErrorBudget
from agent.policy.knob_effects import Axis, Observed, Place, Places
from agent.policy.knob_model import Models
from agent.policy.night import NightState
from agent.study.load import Study
from common.errors import IllegalRecipe
from lanes import Recipe, Value, inert
from lanes.mixture import LANE as MIXTURE
from probes.result.reading import Failure, Pair, Probe, Reading
from probes.run.failures import CRASH, UNKNOWN, Meaning, crash_meaning
from probes.run.store import ProbeStore

RECENT = 256
"""Readings that count, the last ones: the work of the model grows with their third power."""
CHOICES = 5.0
"""Points of the lead in choices that are worth a point of a score: 60 of 100 choices won are a lead of 2 points, and a
change that is seen so often is worth about 0.4 points."""
EVEN = 5.0
"""The score of a recipe that wins as many choices as it loses."""
ScoreByCategory = Mapping[str, float]
"""Means by category."""


@dataclass
class Evidence:
    """Of one session, under the probe key that its ``row`` has. ``width``: probes that run side by side;
    ``passed_over``: sessions whose probes do not count.

    ``_last_probe``, ``_last_check``: the numbers of the last rows that were read.
    """

    study: Study
    ledger: Ledger
    store: ProbeStore
    row: SessionRow
    width: int = 1
    passed_over: Collection[str] = ()
    _last_probe: int = 0
    _last_check: int = 0
    _rows: dict[str, ProbeRow] = field(default_factory=dict)
    _figures: dict[str, ScoreByCategory] = field(default_factory=dict)
    _designed: dict[str, Places] = field(default_factory=dict)
    _carried: dict[str, set[str]] = field(default_factory=dict)
    _beside: dict[str, dict[str, str]] = field(default_factory=dict)
    _out_of_memory: set[str] = field(default_factory=set)
    _ladders: dict[str, dict[str, dict[Place, Value]]] = field(default_factory=dict)
    _models: Models = field(default_factory=Models)

    def known(
        self,
        incumbent: Recipe,
        standing: ErrorBudget,
        left: int,
        affordable: Callable[[Places], bool] = lambda places: True,
    ) -> NightState:
        """What the policy knows now. ``left``: probes; ``affordable``: whether a stack may have this recipe."""
        self._catch_up()
        study = self.study
        here = self.incumbent_places(incumbent)
        axes = self._axes_around(incumbent)
        margins = dict(study.guards)
        target, deviations, ran, crashed = [], [], [], []
        for row in sorted([*self._rows.values()][-RECENT:], key=lambda row: (row.recipe, row.seed)):
            places = self._placed(row.recipe)
            if row.kind != "reading":
                crashed += [places] if self._meaning(row).permanent else []
                continue
            ran.append(places)
            if (figures := self._read(row)) is not None:
                score = figures[study.target]
                target.append(Observed(places, row.seed, (score,)))
                deviations.append(Observed(places, row.seed, tuple(figures[name] - score for name in margins)))

        def legal(places: Places) -> bool:
            recipe = self.recipe(incumbent, here, places)
            return recipe is not None and recipe.digest not in self._out_of_memory

        return NightState(
            policy=study.file.policy,
            axes=axes,
            incumbent=here,
            target=target,
            deviations=deviations,
            ran=tuple(ran),
            crashed=tuple(crashed),
            margins=margins,
            standing=standing,
            left=left,
            width=self.width,
            legal=legal,
            affordable=affordable,
            scale=CHOICES if study.scorer.chooses else 1.0,
            beside=int(study.scorer.chooses),
            models=self._models,
        )

    def failures(self) -> dict[str, Failure]:
        """By proposal of this session: the last failure of a recipe that carried it."""
        self._catch_up()
        found = {}
        for row in self._rows.values():
            for name in self._carried.get(row.recipe, ()):
                if row.kind != "reading":
                    found[name] = Failure(row.id, row.seed, row.kind, row.message)  # type: ignore[arg-type]
        return found

    # recipes and places

    @staticmethod
    def moves(incumbent: Places, places: Places) -> dict[str, Place]:
        """Where a recipe differs from the incumbent: knob -> place."""
        return {knob: place for knob, place in places.items() if place != incumbent.get(knob)}

    def incumbent_places(self, incumbent: Recipe) -> Places:
        """The places of the incumbent: those that its stack was designed with, like those of its readings."""
        self._catch_up()
        return self._placed(incumbent.digest)

    def value(self, incumbent: Recipe, knob: str, place: Place) -> Value:
        """The value of a knob at a place that a move of the incumbent may reach."""
        return self._values(incumbent)[knob][place]

    def recipe(self, incumbent: Recipe, here: Places, places: Places) -> Recipe | None:
        """The incumbent, whose places are ``here``, with these moves; None where no probe may run it: it breaks a law,
        or a move is undone by another one or has no effect beside it."""
        space, values, moved = self.study.lanes, self._values(incumbent), self.moves(here, places)
        try:
            changes = {name: values[name][place] for name, place in moved.items()}
            recipe = self._with(incumbent, changes)
            space.check(recipe)
        except (IllegalRecipe, KeyError):
            return None
        holds = all(space.knob(name).read(recipe) == value for name, value in changes.items())
        idle = any(inert(recipe, name) for name in moved) or self._is_repeated(incumbent, changes, recipe)
        return recipe if holds and not idle else None

    def _is_repeated(self, incumbent: Recipe, changes: Mapping[str, Value], recipe: Recipe) -> bool:
        """Whether the mixture is the same without one of its changes: a weight beside a manifest with one source, or a
        manifest beside weights that make it."""
        shared = [name for name in changes if self.study.lanes.knob(name).lane == MIXTURE]
        return any(self._is_same_without(name, incumbent, changes, recipe) for name in shared)

    def _is_same_without(self, name: str, incumbent: Recipe, changes: Mapping[str, Value], recipe: Recipe) -> bool:
        """Not where the other changes alone break a law: two weights of 0 that leave no source, say."""
        try:
            others = self._with(incumbent, {other: value for other, value in changes.items() if other != name})
        except IllegalRecipe:
            return False
        return others.effect == recipe.effect

    def _with(self, incumbent: Recipe, changes: Mapping[str, Value]) -> Recipe:
        recipe = incumbent
        for name, value in changes.items():
            recipe = self.study.lanes.knob(name).write(recipe, value)
        return recipe

    def _axes_around(self, incumbent: Recipe) -> tuple[Axis, ...]:
        """Every knob of a lane with a share that the incumbent can move, with where the session began."""
        values, space = self._values(incumbent), self.study.lanes
        return tuple(
            Axis(knob.name, self._start[knob.name], tuple(values[knob.name]), knob.structural)
            for knob in space.knobs
            if knob.lane in space.shares and len(values[knob.name]) > 1
        )

    def _values(self, incumbent: Recipe) -> dict[str, dict[Place, Value]]:
        """Per knob, its values by place: the incumbent's own, and those that one move may set."""
        if incumbent.digest not in self._ladders:
            moves, here = self.study.lanes.moves(incumbent), self.incumbent_places(incumbent)
            self._ladders[incumbent.digest] = {
                knob.name: {knob.place(value): value for value in moves.get(knob.name, ())}
                | {here[knob.name]: knob.read(incumbent)}
                for knob in self.study.lanes.knobs
            }
        return self._ladders[incumbent.digest]

    @cached_property
    def _start(self) -> Places:
        """The places of the session's start."""
        return self._as_read(self.ledger.recipe(self.row.start))

    def _as_read(self, recipe: Recipe) -> dict[str, Place]:
        """The place of each searched knob by the recipe's own fields."""
        return {knob.name: knob.place(knob.read(recipe)) for knob in self.study.lanes.knobs}

    def _placed(self, digest: str) -> Places:
        """The places of a measured recipe. A knob that an earlier session did not search is where the start has it."""
        if digest not in self._designed:
            self._designed[digest] = self._as_read(self.ledger.recipe(digest))
        found = self._designed[digest]
        return {name: found.get(name, place) for name, place in self._start.items()}

    # readings

    def _catch_up(self) -> None:
        ledger, row = self.ledger, self.row
        first = 0 if self._last_probe else ledger.recent_probes(row.key, RECENT, self.passed_over)
        for number, probe in ledger.probes_after(row.key, self._last_probe, first):
            self._last_probe = number
            if probe.session in self.passed_over:
                continue
            self._rows.pop(probe.id, None)  # one that ran again is the last
            self._rows[probe.id] = probe
            if probe.kind != "reading" and self._meaning(probe).recipe_at_fault:
                self._out_of_memory.add(probe.recipe)
        for number, check in ledger.checks_after(row.question, row.key, (WAVE, STACK), self._last_check):
            self._last_check = number
            for made in designed_recipes(check):
                self._designed[made.digest] = made.places
                self._beside.setdefault(made.digest, {})[check.data["incumbent"]] = check.session
                self._carried.setdefault(made.digest, set()).update(made.proposals)

    @staticmethod
    def _meaning(row: ProbeRow) -> Meaning:
        return crash_meaning(CRASH + row.kind) or UNKNOWN

    def _read(self, row: ProbeRow) -> ScoreByCategory | None:
        """The means of a probe; None if its directory is gone, or if its answers should be compared and were not."""
        if row.id not in self._figures:
            outcome, study = self.store.read(row.id), self.study
            if not isinstance(outcome, Reading) or (outcome.seed, outcome.key.digest) != (row.seed, row.key):
                return None
            means = {name: outcome.mean(name) for name in {study.target, *study.guards}}
            figures = self._by_choices(outcome) if study.scorer.chooses else means
            if figures is None:
                return None
            self._figures[row.id] = figures
        return self._figures[row.id]

    # choices instead of scores

    def _by_choices(self, reading: Reading) -> ScoreByCategory | None:
        """What a recipe has beside the incumbent under the same seed: the incumbent's level, and 10 x (share won -
        share lost), the difference that confirmations decide on. The incumbent itself has its level."""
        levels = self._levels()
        probe = Probe(self.ledger.recipe(reading.recipe), reading.key, reading.seed)
        for incumbent, session in self._beside.get(reading.recipe, {}).items():
            choices = Choices(self.store.runs / f"session-{session}", self.store, self.study)
            lead = choices.lead(Pair(probe, replace(probe, recipe=self.ledger.recipe(incumbent))))
            if lead is not None:
                return {name: level + lead[name] for name, level in levels[incumbent].items()}
        return levels.get(reading.recipe)

    def _levels(self) -> dict[str, ScoreByCategory]:
        """Of every incumbent: 5, and what the KEEPs before it were confirmed to be worth."""
        names = {self.study.target, *self.study.guards}
        stood = {self.row.start, *(name for beside in self._beside.values() for name in beside)}
        found: dict[str, ScoreByCategory] = {name: dict.fromkeys(names, EVEN) for name in stood}
        for past in self.ledger.history(self.row.question, self.row.key):
            kept = self.ledger.decision(past.id) if past.status == "KEEP" else None
            if kept is not None and kept.comparison is not None and kept.basis is not None and kept.incumbent in found:
                before, worth = found[past.parent], kept.comparison.differences
                found[kept.incumbent] = {name: before[name] + worth[name].delta for name in names}
        return found


def evidence_of(measurements: Measurements) -> Evidence:
    """Of the session, as its probe key is now: the noise floor may change it, and with it what counts."""
    return Evidence(
        measurements.study, measurements.ledger, measurements.store, measurements.row, measurements.runner.width
    )
