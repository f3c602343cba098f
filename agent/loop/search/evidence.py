"""The readings under a session's probe key, also of earlier sessions, as the policy reads them: places and scores.

A recipe is described by the place of every searched knob. For a recipe of a wave or a stack these are the places that
it was designed with. They cannot be read from the recipe's fields, because knobs may share a field (a manifest and a
source's weight), so a knob could seem moved although another one was.
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
from probes.run.failures import CRASH, UNKNOWN, FailureMeaning, crash_meaning
from probes.run.store import ProbeStore

RECENT = 256
"""Only so many latest readings count, since the model's time grows with the cube of their number."""
CHOICES = 5.0
"""Points of the lead in choices per point of a score: 60 of 100 choices won are a lead of 2 points, which corresponds
to a change of about 0.4 points in the score."""
EVEN = 5.0
"""The score of a recipe that wins as many choices as it loses."""
ScoreByCategory = Mapping[str, float]
"""Category -> mean score, in points."""


@dataclass
class Evidence:
    """The readings of one session, under the probe key of its ``row``. ``width``: probes that run at once;
    ``passed_over``: sessions whose probes do not count.

    ``_last_probe``, ``_last_check``: the row numbers of the last probe and check that were read. By the digest of a
    recipe: ``_designed``, its places; ``_carried``, ids of its proposals; ``_beside``, incumbent -> the session that
    measured it beside that one.
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
        error_budget: ErrorBudget,
        left: int,
        affordable: Callable[[Places], bool] = lambda places: True,
    ) -> NightState:
        """What the policy knows now. ``left``: probes for the next stack; ``affordable``: whether the budget of
        decisions allows a stack with this recipe."""
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
            error_budget=error_budget,
            left=left,
            width=self.width,
            legal=legal,
            affordable=affordable,
            scale=CHOICES if study.scorer.chooses else 1.0,
            beside=int(study.scorer.chooses),
            models=self._models,
        )

    def failures(self) -> dict[str, Failure]:
        """Id of a proposal -> the last failure of a recipe that carried it."""
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
        """Knob -> place, for the knobs whose place differs from the incumbent's."""
        return {knob: place for knob, place in places.items() if place != incumbent.get(knob)}

    def incumbent_places(self, incumbent: Recipe) -> Places:
        """The places of the incumbent: those that its stack was designed with; without a stack, those of its fields."""
        self._catch_up()
        return self._placed(incumbent.digest)

    def value(self, incumbent: Recipe, knob: str, place: Place) -> Value:
        """The value of a knob at a place that is the incumbent's or that one move may reach."""
        return self._values(incumbent)[knob][place]

    def recipe(self, incumbent: Recipe, here: Places, places: Places) -> Recipe | None:
        """The incumbent, whose places are ``here``, moved to ``places``; None if no probe may run it, because it breaks
        a rule, or because one of its moves is undone by another one or has no effect beside it."""
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
        """Whether the mixture would be the same without one of its changes, such as a weight beside a manifest with one
        source, or a manifest beside weights that make the same mixture."""
        shared = [name for name in changes if self.study.lanes.knob(name).lane == MIXTURE]
        return any(self._is_same_without(name, incumbent, changes, recipe) for name in shared)

    def _is_same_without(self, name: str, incumbent: Recipe, changes: Mapping[str, Value], recipe: Recipe) -> bool:
        """Whether one of the changes makes no difference. False if the others alone break a rule, such as two weights
        of 0 that leave no source."""
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
        """The knobs that the incumbent can move, in lanes with a share above 0. They start where the session did."""
        values, space = self._values(incumbent), self.study.lanes
        return tuple(
            Axis(knob.name, self._start[knob.name], tuple(values[knob.name]), knob.structural)
            for knob in space.knobs
            if knob.lane in space.shares and len(values[knob.name]) > 1
        )

    def _values(self, incumbent: Recipe) -> dict[str, dict[Place, Value]]:
        """Knob -> place -> value, for the incumbent's own value and those that one move may set."""
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
        """The place of each searched knob, read from the recipe's fields."""
        return {knob.name: knob.place(knob.read(recipe)) for knob in self.study.lanes.knobs}

    def _placed(self, digest: str) -> Places:
        """The places of a measured recipe. A knob that an earlier session did not search has its place in the start."""
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
            self._rows.pop(probe.id, None)  # a probe that ran again moves to the end
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
    def _meaning(row: ProbeRow) -> FailureMeaning:
        return crash_meaning(CRASH + row.kind) or UNKNOWN

    def _read(self, row: ProbeRow) -> ScoreByCategory | None:
        """The mean scores of a probe; None if its directory is gone, or if decisions rest on choices and its answers
        were not compared."""
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
        """The score of a recipe by choices: the level of the incumbent that it was compared with under the same seed,
        plus its lead 10 x (share won - share lost), the difference that confirmations use. An incumbent has its own
        level."""
        levels = self._levels()
        probe = Probe(self.ledger.recipe(reading.recipe), reading.key, reading.seed)
        for incumbent, session in self._beside.get(reading.recipe, {}).items():
            choices = Choices(self.store.runs / f"session-{session}", self.store, self.study)
            lead = choices.lead(Pair(probe, replace(probe, recipe=self.ledger.recipe(incumbent))))
            if lead is not None:
                return {name: level + lead[name] for name, level in levels[incumbent].items()}
        return levels.get(reading.recipe)

    def _levels(self) -> dict[str, ScoreByCategory]:
        """Incumbent -> its level by category: EVEN, plus the confirmed differences of the KEEPs that led to it."""
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
    """The evidence of a session under its present probe key. The noise floor may change that key, and then other
    readings count."""
    return Evidence(
        measurements.study, measurements.ledger, measurements.store, measurements.row, measurements.runner.width
    )
