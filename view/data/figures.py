"""The figures of one session, which the report prints and --json prints unchanged.

Frozen values; session_figures.py computes them. All scores are on the 0 to 10 scale; a failure has none (invariant 5,
docs/architecture.md).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.ledger.results.rows import value_of
from evaluation.breakdown import Breakdown
from lanes import Value, show
from preferences.store.rows import KINDS
from probes.result.cut_answers import CutAnswers
from probes.result.variance_components import VarianceComponents
from view.data.answers.cut_answers import CutFigures
from view.data.answers.examples import StackAnswers
from view.data.changes import Change, GuardChange, OwnEffect
from view.data.next_commands import run_command
from view.data.search.alpha_spending import Spending
from view.data.search.incumbents import ProgressPoint
from view.data.search.knobs import KnobCurve, LikelyImprovement
from view.data.search.waves import WaveFigures
from view.data.sections.checks import Calibration, Holdout, LeaveOneOut, NoiseFloorFigures, Retracted
from view.data.sections.forecasts import ProposerForecast
from view.data.sections.harvest import DecisionHarvest
from view.data.sections.judge import Judging
from view.data.sections.recipes import (
    AnswerOutcomes,
    CategoryMeans,
    DifficultyMeans,
    KnobDifference,
    NoisePart,
    Profile,
    RepeatedScores,
    noise_parts,
)
from view.data.sections.reproduction import Reproduction
from view.data.sections.requests import RequestLine


@dataclass(frozen=True, slots=True)
class Crash:
    kind: str
    message: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFigures:
    """A decision on a change. ``own``: what all readings say of it alone; None in an older session, and if it crashed.
    ``stack``: the number of the stack that it was confirmed in, if any. From ``baseline`` to ``critical_incumbent``:
    figures of that stack, over ``pairs`` pairs; in an older session, of the candidate. ``guards``: the worst comes
    first. ``retracted``: why a KEEP does not hold."""

    id: str
    turn: int
    time: str
    status: str
    reason: str
    lane: str
    knob: str
    before: Any
    after: Any
    hypothesis: str
    proposer: str
    predicted: float | None
    own: OwnEffect | None
    stack: int | None
    baseline: float | None
    candidate: float | None
    target: Change | None
    overall: Change | None
    guards: tuple[GuardChange, ...]
    critical_candidate: int | None
    critical_incumbent: int | None
    crash: Crash | None
    pairs: int
    retracted: str | None

    @property
    def only_names_the_move(self) -> bool:
        """Whether the hypothesis only repeats the move."""
        return f"{self.knob} {shown(self.before)} -> {shown(self.after)}" in self.hypothesis

    @property
    def is_ended_by_guard(self) -> bool:
        """Whether it was not confirmed because a guard was expected to break."""
        return self.stack is None and self.own is not None and self.reason.startswith("guard")

    @property
    def effect(self) -> Change | None:
        """Its own effect; in an older session, that of its comparison."""
        return self.own.effect if self.own else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFigures:
    """Changes that were confirmed together. ``time``: of the decision, or of the plan while it is not decided on.
    ``expected``: the joint effect that the model predicted, with its standard deviation; ``effect`` and what follows:
    measured by ``pairs`` pairs on fresh seeds, of at most ``most_pairs``; None if none was compared. ``spent``: the
    share of the night's error. ``cut_candidate``, ``cut_incumbent``: the answers of these pairs that were cut at
    max_new_tokens. ``members``: empty while it is not decided on."""

    number: int
    time: str
    changes: int
    status: str | None
    reason: str | None
    expected: float
    deviation: float
    most_pairs: int
    pairs: int
    effect: Change | None
    overall: Change | None
    baseline: float | None
    candidate: float | None
    guards: tuple[GuardChange, ...]
    spent: float
    critical_candidate: int | None
    critical_incumbent: int | None
    cut_candidate: CutAnswers | None
    cut_incumbent: CutAnswers | None
    members: tuple[DecisionFigures, ...]

    @property
    def critical(self) -> bool:
        """Whether an answer of either side was a critical failure."""
        return bool(self.critical_candidate or self.critical_incumbent)

    @property
    def cut_more(self) -> bool:
        """Whether its answers were cut at max_new_tokens clearly more often than the incumbent's."""
        candidate, incumbent = self.cut_candidate, self.cut_incumbent
        return candidate is not None and incumbent is not None and candidate.clearly_exceeds(incumbent)

    @property
    def standing(self) -> tuple[DecisionFigures, ...]:
        """The members that were kept and not retracted."""
        return tuple(one for one in self.members if one.status == "KEEP" and one.retracted is None)


@dataclass(frozen=True, slots=True)
class KnobSearch:
    """How many moves of a knob were tried, and how many were legal from the session's incumbents."""

    knob: str
    tried: int
    legal: int


@dataclass(frozen=True, slots=True)
class LaneSearch:
    lane: str
    share_asked: float
    share_achieved: float | None
    knobs: tuple[KnobSearch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """The thresholds that decided. ``night_error``: None in an older session, which tested each change by itself."""

    confidence: float
    smallest_effect: float
    night_error: float | None
    later_error: float
    member_chance: float
    confirming_pairs: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTime:
    """Time, tokens and dollars of one part of the work. ``seconds``: summed over all workers, for phases of probes and
    for waiting; ``tokens_in``: trained on, or sent; ``tokens_out``: generated, or received. None if unknown or without
    a price. ``of_probes``: whether it is a part of the time of probes with a reading."""

    name: str
    seconds: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    dollars: float | None = None
    of_probes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time in seconds, by phase summed over the readings that this session measured; dollars only when priced.
    ``phases``: those of a probe, and waiting; then the machine, whose dollars are split over the phases before it; then
    the judge and the proposer, if there were any."""

    active: float
    probes: int
    readings: int
    borrowed: int
    train: float
    generate: float
    score: float
    total: float
    other_share: float | None
    seconds_per_probe: float | None
    tokens_per_second: float | None
    peak_gb: float | None
    dollars: float | None
    phases: tuple[PhaseTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerCount:
    proposer: str
    proposed: int
    kept: int
    discarded: int
    crashed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuestion:
    """What the session asked. ``left_out``: which rows of a source were not trained on, in words."""

    base_model: str
    target: str
    guards: Mapping[str, float]
    steps: int
    seeds: tuple[int, ...]
    samples: int
    prompts: Mapping[str, int]
    start: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFigures:
    """Everything in a report. ``visible``: the minimum detectable effect; ``power``: what the night could show, in
    words; ``stacks``: without A/A tests; ``promises``: likely improvements of the incumbent that were not confirmed;
    ``flipped``: the wording of prompts that flipped, by id; ``sources``: the variance components of the starting
    recipe's target."""

    session: str
    study: str
    study_path: str
    state: str
    holder: int | None
    started: str
    finished: str | None
    finish_reason: str | None
    baseline_failure: str | None
    question: SessionQuestion
    decisions: tuple[DecisionFigures, ...]
    in_flight: tuple[str, ...]
    incumbent: str
    differences: tuple[KnobDifference, ...]
    rule: DecisionRule
    visible: float | None
    power: tuple[str, ...]
    stacks: tuple[StackFigures, ...]
    progress: tuple[ProgressPoint, ...]
    waves: tuple[WaveFigures, ...]
    requests: tuple[RequestLine, ...]
    curves: tuple[KnobCurve, ...]
    promises: tuple[LikelyImprovement, ...]
    retractions: tuple[Retracted, ...]
    calibration: Calibration
    spendings: tuple[Spending, ...]
    floor: NoiseFloorFigures | None
    harvests: tuple[DecisionHarvest, ...]
    left_out: tuple[LeaveOneOut, ...]
    holdout: Holdout | None
    searched: tuple[LaneSearch, ...]
    noise: tuple[RepeatedScores, ...]
    categories: tuple[CategoryMeans, ...]
    profiles: tuple[Profile, ...]
    outcomes: tuple[AnswerOutcomes, ...]
    cut: CutFigures
    answers: tuple[StackAnswers, ...]
    breakdown: Breakdown | None
    flipped: Mapping[str, str]
    judging: Judging | None
    sources: VarianceComponents | None
    proposers: tuple[ProposerCount, ...]
    forecasts: tuple[ProposerForecast, ...]
    declined: Mapping[str, int]
    cost: Cost
    budget_left: str
    missing: tuple[str, ...]
    reproduction: Reproduction

    @property
    def next_command(self) -> str:
        """What a person types to go on."""
        if self.state == "running":
            return f"nightlane status {self.session}"
        return run_command(self.study_path) if self.state == "finished" else f"nightlane resume {self.session}"

    @property
    def limits_changed(self) -> bool:
        """Whether a person changed the session's limits after ``visible`` and ``power`` were computed from them."""
        return any(line.asked.startswith("budget") and line.answer for line in self.requests)

    @property
    def reason_counts(self) -> Mapping[str, int]:
        """How many decisions had each reason, by its word before the colon."""
        return Counter(decision.reason.partition(":")[0] for decision in self.decisions)

    @property
    def harvest_kinds(self) -> list[str]:
        """The stores that the session's decisions added rows to."""
        return [kind for kind in KINDS if any(one.rows[kind] for one in self.harvests)]

    @property
    def noise_parts(self) -> list[NoisePart]:
        """The known sources of noise in the starting recipe's target."""
        return noise_parts(self.sources) if self.sources else []

    @property
    def means_by_difficulty(self) -> list[DifficultyMeans]:
        """Mean scores of the starting recipe and the incumbent, side by side."""
        sides = [{(level.category, level.difficulty): level for level in side.levels} for side in self.profiles]
        found = []
        for group in sorted({group for side in sides for group in side}):
            levels = [side.get(group) for side in sides]
            prompts = max(level.prompts for level in levels if level)
            found.append(DifficultyMeans(*group, prompts, tuple(level.mean if level else None for level in levels)))
        return found

    def outcome_counts(self, most: int) -> list[tuple[str, list[int]]]:
        """How often answers of each recipe ended in each word; words beyond ``most`` are summed up."""
        words = list(dict.fromkeys(word for item in self.outcomes for word in item.words))
        found = [(word, [item.words.get(word, 0) for item in self.outcomes]) for word in words]
        if len(found) <= most:
            return found
        rest = [sum(numbers) for numbers in zip(*(numbers for _, numbers in found[most:]), strict=True)]
        return [*found[:most], (f"{len(found) - most} others", rest)]

    def with_status(self, status: str) -> tuple[DecisionFigures, ...]:
        return tuple(decision for decision in self.decisions if decision.status == status)

    @property
    def kept(self) -> tuple[DecisionFigures, ...]:
        """The KEEPs that were not retracted."""
        return tuple(decision for decision in self.with_status("KEEP") if decision.retracted is None)

    @property
    def not_kept(self) -> tuple[DecisionFigures, ...]:
        """The DISCARDs, the likeliest improvement first."""
        found = self.with_status("DISCARD")
        return tuple(sorted(found, key=lambda one: (-(one.own.chance if one.own else -1.0), one.turn)))

    @property
    def standing_stacks(self) -> tuple[StackFigures, ...]:
        """The stacks of which a member was kept and not retracted."""
        return tuple(stack for stack in self.stacks if stack.standing)


def shown(stored: object) -> str:
    """A knob's value, as the ledger holds it, for reading."""
    value: Value = value_of(stored)
    return show(value)
