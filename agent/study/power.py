"""Power analysis before anything is trained: which effects a night of this study can detect.

The noise comes from earlier readings of this workspace, as the next session will read them, or else from assumptions.
The assumed model of an answer's score is recipe + run + category by run + prompt + answer + judgement; a run is a
recipe trained with one seed. The answers of both sides of a pair have a part in common (the prompt, the random
numbers), which cancels. The model ignores that a change helps some prompts and harms others, so the real noise is
larger.

The power is computed from the noise as at the start of a session (agent/policy/night_power.py).
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from statistics import NormalDist

from agent.ledger.database.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.loop.budget import kept_back
from agent.loop.search.evidence import Evidence
from agent.loop.start_or_resume.baseline import FLOOR
from agent.policy.alpha_spending import levels
from agent.policy.confirmation import FIRST_LOOK, ErrorBudget
from agent.policy.night import GUARD_FREEDOM, TARGET_FREEDOM
from agent.policy.night_plan import ReadingNoise
from agent.policy.night_power import Answers, NightPower, in_words, night_power
from agent.study.load import Study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from probes.run.store import ProbeStore


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedNoise:
    """Standard deviations on the 0 to 10 scale: between runs, of a category within a run, of one answer's score around
    the mean of its category, and between judgements of one answer. ``correlation``: between the scores of the answers
    of the two sides of a pair."""

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5
    judgement: float = 0.0


@dataclass(frozen=True, slots=True)
class Design:
    """The size of a probe's evaluation: prompts, answers per prompt (``samples``), categories among the prompts,
    judgements per answer (``passes``). ``choices``: whether the two sides are compared by pairwise choices, as
    10 x (share won - share lost)."""

    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1
    choices: bool = False


@dataclass(frozen=True, slots=True)
class PairNoise:
    """The standard deviation of a pair's difference, and the ``share`` of its variance that comes from the answers."""

    deviation: float
    share: float

    @property
    def reading(self) -> float:
        """The noise of one reading, without what it shares with the other reading of its pair."""
        return self.deviation / math.sqrt(2)


def pair_noise(design: Design, noise: AssumedNoise) -> PairNoise:
    """The noise of a pair with this design and this noise of scores.

    A pairwise choice is won if the difference of the two scores is above 0. So for differences near 0, one point more
    raises (share won - share lost) by twice the normal density at 0 divided by the deviation of the difference. Without
    ties a choice counts +10 or -10, so its deviation is 10.
    """
    by_seed = math.sqrt(2 * (noise.run**2 + noise.category_by_run**2 / design.categories))
    by_answer = math.sqrt(2 * ((1 - noise.correlation) * noise.answer**2 + noise.judgement**2 / design.passes))
    if design.choices and by_answer > 0:
        by_seed, by_answer = by_seed * 10 * 2 * NormalDist().pdf(0) / by_answer, 10.0
    answers = by_answer**2 / (design.prompts * design.samples)
    whole = by_seed**2 + answers
    return PairNoise(math.sqrt(whole), answers / whole if whole else 0.0)


ASSUMED = AssumedNoise()
FEWEST_READINGS = 12  # of an earlier session, before they replace the assumption
ASSUMED_JUDGEMENT = 0.5  # points between two judgements of one answer, until an examination has measured it


@dataclass(frozen=True, slots=True)
class PowerAnalysis:
    """``designs``: category -> design, overall last. ``pairs``: category -> standard deviation of a pair's difference;
    of target and guards only if the noise was measured. ``assumed``: the noise that is used if none was measured.
    ``night``: the power of a night for the target. ``measured``: the number of readings that the noise comes from; 0 if
    it is assumed."""

    designs: dict[str, Design]
    pairs: dict[str, float]
    assumed: AssumedNoise
    night: NightPower
    measured: int

    def half_width(self, category: str, confidence: float) -> float:
        """Half the width of an interval after all pairs of a confirmation."""
        return NormalDist().inv_cdf((1 + confidence) / 2) * self.pairs[category] / math.sqrt(self.night.pairs)

    def lost(self, guard: str, error: float) -> float:
        """By how many points a guard's lower bound is below its change, after all pairs of a confirmation."""
        level = levels(error, self.night.pairs, min(FIRST_LOOK, self.night.pairs))[-1]
        return -NormalDist().inv_cdf(level) * self.pairs[guard] / math.sqrt(self.night.pairs)

    @property
    def source(self) -> str:
        """Where the noise comes from, in words."""
        if self.measured:
            return f"measured: {self.measured} readings under this probe key"
        assumed = (
            f"assumed: runs {self.assumed.run:g}, category by run {self.assumed.category_by_run:g}, answers "
            f"{self.assumed.answer:g}, correlation of the sides {self.assumed.correlation:g}"
        )
        return f"{assumed}, judgements {self.assumed.judgement:.2g}" if self.assumed.judgement else assumed


def analyse_power(study: Study, workspace: Workspace, probes: float | None = None) -> PowerAnalysis:
    """The power of a night of this study. ``probes``: of the night; by default those of [budget] for the search."""
    designs, policy = _designs(study), study.file.policy
    total = _probes(study) if probes is None else probes
    assumed = replace(ASSUMED, judgement=ASSUMED_JUDGEMENT) if study.scorer.judge else ASSUMED
    if (found := _measured(study, workspace)) is not None:
        night = night_power(found.noise, total, policy, found.answers)
        pairs = {
            name: math.sqrt(2 * _variance(found.noise, name == study.target)) for name in (study.target, *study.guards)
        }
        return PowerAnalysis(designs, pairs, assumed, night, found.readings)
    noises = {name: pair_noise(design, assumed) for name, design in designs.items()}
    target = noises[study.target]
    reading = ReadingNoise(target.reading, target.reading, TARGET_FREEDOM, GUARD_FREEDOM)
    night = night_power(reading, total, policy, Answers(designs[study.target].samples, target.share))
    return PowerAnalysis(designs, {name: noise.deviation for name, noise in noises.items()}, assumed, night, 0)


def require_power(study: Study, workspace: Workspace) -> None:
    """BadInput if ``must_see`` under [policy] is below the smallest detectable effect of the target."""
    must_see, analysis = study.file.policy.must_see, analyse_power(study, workspace)
    if must_see < analysis.night.visible:
        ways = "".join(f" ({line})" for line in in_words(analysis.night)[1:])
        raise BadInput(
            f"{study.path}: [policy] must_see={must_see:g} is below {analysis.night.visible:.2f}, the improvement of "
            f"{study.target!r} that has an even chance of a KEEP ({analysis.source}); raise must_see, or ask more "
            f"prompts of the category{ways}"
        )


def _probes(study: Study) -> float:
    """The probes that the budget gives the search."""
    budget = study.file.budget
    if budget.probes is None:
        return math.inf
    return budget.probes - kept_back(2 * study.file.policy.holdout_seeds, budget.probes)


def _designs(study: Study) -> dict[str, Design]:
    probe, prompts = study.file.probe, study.material.probe_prompts
    counts = Counter(prompt.category for prompt in prompts)
    one_prompt = Design(
        prompts=1,
        samples=probe.samples,
        passes=study.scorer.judgements,
        choices=study.scorer.chooses,
    )
    designs = {name: replace(one_prompt, prompts=number) for name, number in sorted(counts.items())}
    return {**designs, OVERALL: replace(one_prompt, prompts=len(prompts), categories=len(counts))}


def _variance(noise: ReadingNoise, is_target: bool) -> float:
    """The variance of a reading of the target; for a guard, that of its deviation from the target is added."""
    return noise.target**2 + (0.0 if is_target else noise.guard**2)


@dataclass(frozen=True, slots=True)
class _Measured:
    """``noise``: of a reading, by a session's model of the ``readings``; ``answers``: the answers' part of it; None if
    the repeats of the start do not show it."""

    noise: ReadingNoise
    answers: Answers | None
    readings: int


def _measured(study: Study, workspace: Workspace) -> _Measured | None:
    """The noise of the readings under this question and the files' present probe key; None if there are too few."""
    if not holds_sessions(workspace.ledger):
        return None
    with Ledger(workspace.ledger, read_only=True) as ledger:
        sessions = [session for name in ledger.sessions() if (session := ledger.session(name))]
        last = next((session for session in reversed(sessions) if session.question == study.question), None)
        store = ProbeStore(workspace.runs)
        if last is None or not _key_unchanged(study, ledger, last, store):
            return None
        error_budget = ErrorBudget(study.file.policy.night_error, {})
        known = Evidence(study, ledger, store, last).known(ledger.recipe(last.start), error_budget, 0)
        if len(known.target) < FEWEST_READINGS:
            return None
        floor = next(iter(ledger.checks(last.id, FLOOR)), None)
        answers = floor.data.get("answers") if floor else None
        return _Measured(known.noise, Answers(**answers) if answers else None, len(known.target))


def _key_unchanged(study: Study, ledger: Ledger, session: SessionRow, store: ProbeStore) -> bool:
    """Whether the files still give the session's probe key, with its base and device, since no worker runs."""
    for row in ledger.probes(session.id):
        outcome = store.read(row.id)
        if isinstance(outcome, Reading) and outcome.key.digest == session.key:
            machine = outcome.key.environment.rpartition(" nightlane=")[0]
            return study.material.key(machine, outcome.key.base) == outcome.key
    return False
