"""Power analysis: the smallest effect that a study can detect, before anything is trained.

The noise comes from earlier decisions of this workspace, else from assumptions. An answer's score is taken as recipe +
run + category by run + prompt + answer + judgement; a run is a recipe trained with one seed. The answers of both sides
have a part in common (the prompt, the random numbers), which cancels. A change is kept on its confirmation, so the
analysis is about a confirmation with all its fresh pairs, as if the noise were known by then.

It leaves out that a change helps some prompts and harms others, so the real error is larger.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from agent.ledger.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.policy.alpha_spending import levels
from agent.policy.confirmation import FIRST_LOOK
from agent.policy.settings import Policy
from agent.study.load import Study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from probes.result.variance_pooling import Spread, pooled
from probes.run.store import ProbeStore


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations on the 0 to 10 scale: between runs, of a category within a run, of one answer's score around
    the mean of its category, and between judgements of one answer. ``correlation``: between the answers of the two
    sides."""

    run: float = 0.35
    category_by_run: float = 0.15
    answer: float = 1.6
    correlation: float = 0.5
    judgement: float = 0.0


@dataclass(frozen=True, slots=True)
class Design:
    """The size of a comparison: pairs of training seeds, prompts, answers per prompt, categories among the prompts,
    judgements per answer. ``choices``: whether it compares by pairwise choices, 10 x (share won minus share lost)."""

    seeds: int
    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1
    choices: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """The standard error of a difference, half the typical width of its interval, and the minimum detectable effect:
    the true effect that passes with an even chance."""

    standard_error: float
    half_width: float
    detectable: float


def predict_resolution(design: Design, noise: Noise, confidence: float, level: float) -> Resolution:
    """The resolution of a comparison of this design under this noise, which must pass a one-sided ``level``."""
    by_seed, by_answer = _deviations(design, noise)
    error = math.sqrt((by_seed**2 + by_answer**2 / (design.prompts * design.samples)) / design.seeds)
    normal = NormalDist()
    return Resolution(error, normal.inv_cdf((1 + confidence) / 2) * error, -normal.inv_cdf(level) * error)


def _deviations(design: Design, noise: Noise) -> tuple[float, float]:
    """The standard deviations of a difference between seeds, and of one answer.

    A pairwise choice is won where the difference of the scores is above 0. Near a difference of 0, one point more wins
    more often by twice the normal density over the deviation. Without ties a choice is +10 or -10, with deviation 10.
    """
    by_seed = math.sqrt(2 * (noise.run**2 + noise.category_by_run**2 / design.categories))
    by_answer = math.sqrt(2 * ((1 - noise.correlation) * noise.answer**2 + noise.judgement**2 / design.passes))
    if not design.choices or by_answer == 0:
        return by_seed, by_answer
    return by_seed * 10 * 2 * NormalDist().pdf(0) / by_answer, 10.0


def improvements(design: Design, noise: Noise, level: float) -> dict[str, float]:
    """The detectable effect with twice the seeds, prompts, answers or judgements, the smallest first."""
    twice = {
        f"confirming_seeds to {2 * design.seeds}": replace(design, seeds=2 * design.seeds),
        f"prompts to {2 * design.prompts}": replace(design, prompts=2 * design.prompts),
        f"samples to {2 * design.samples}": replace(design, samples=2 * design.samples),
    }
    if noise.judgement and not design.choices:
        twice[f"passes to {2 * design.passes}"] = replace(design, passes=2 * design.passes)
    detectable = {name: predict_resolution(doubled, noise, 0.95, level).detectable for name, doubled in twice.items()}
    return dict(sorted(detectable.items(), key=lambda item: item[1]))


ASSUMED = Noise()
FEWEST_COMPARISONS = 3  # with a change in them, before they replace the assumption
ASSUMED_JUDGEMENT = 0.5  # points between two judgements of one answer, until an examination has measured it


@dataclass(frozen=True, slots=True)
class PowerAnalysis:
    """The design and the resolution of each category, overall last. ``measured``: the number of decisions that the
    noise comes from; 0 if it is assumed."""

    designs: dict[str, Design]
    noise: Noise
    resolutions: dict[str, Resolution]
    smallest_effect: float
    measured: int

    def detectable(self, category: str) -> float:
        """The true effect that passes the target's rule with an even chance."""
        return min(10.0, self.resolutions[category].detectable + self.smallest_effect)

    @property
    def source(self) -> str:
        """Where the noise comes from, in words."""
        if self.measured:
            return f"measured: pooled over {self.measured} comparison{'s' * (self.measured > 1)} under this probe key"
        assumed = (
            f"assumed: runs {self.noise.run:g}, category by run {self.noise.category_by_run:g}, answers "
            f"{self.noise.answer:g}, correlation of the sides {self.noise.correlation:g}"
        )
        return f"{assumed}, judgements {self.noise.judgement:.2g}" if self.noise.judgement else assumed


def analyse_power(study: Study, workspace: Workspace) -> PowerAnalysis:
    """What a confirmation of this study can detect, per category and overall."""
    designs, policy = _designs(study), study.file.policy
    noise = replace(ASSUMED, judgement=ASSUMED_JUDGEMENT) if study.scorer.judge else ASSUMED
    level = _level(policy)
    count, spreads = _spreads(study, workspace, designs)
    measured = {name: _measured(spreads[name], policy.confirming_seeds, level) for name in designs}
    if any(resolution is None for resolution in measured.values()):
        count, measured = 0, {}
    resolutions = {
        name: measured.get(name) or predict_resolution(design, noise, policy.confidence, level)
        for name, design in designs.items()
    }
    return PowerAnalysis(designs, noise, resolutions, policy.smallest_effect, count)


def require_power(study: Study, workspace: Workspace) -> None:
    """BadInput if ``must_see`` under [policy] is below the smallest detectable effect of the target."""
    must_see = study.file.policy.must_see
    analysis = analyse_power(study, workspace)
    detectable = analysis.detectable(study.target)
    if must_see < detectable:
        raise BadInput(
            f"{study.path}: [policy] must_see={must_see:g} is below {detectable:.2f}, the smallest effect that is "
            f"visible in {study.target!r} ({analysis.source}); raise {advice(study, analysis)}, or must_see"
        )


def advice(study: Study, analysis: PowerAnalysis) -> str:
    """What to raise to detect smaller effects in the target: with figures if the noise is assumed."""
    if analysis.measured:
        return (
            "confirming_seeds, which narrow all of the interval, or prompts and samples, which narrow the answers' part"
        )
    smaller = improvements(analysis.designs[study.target], analysis.noise, _level(study.file.policy))
    return " or ".join(f"{name} ({effect + analysis.smallest_effect:.2f})" for name, effect in smaller.items())


def _designs(study: Study) -> dict[str, Design]:
    probe, prompts = study.file.probe, study.material.probe_prompts
    counts = Counter(prompt.category for prompt in prompts)
    one_prompt = Design(
        seeds=study.file.policy.confirming_seeds,
        prompts=1,
        samples=probe.samples,
        passes=study.scorer.judgements,
        choices=study.scorer.chooses,
    )
    designs = {name: replace(one_prompt, prompts=number) for name, number in sorted(counts.items())}
    return {**designs, OVERALL: replace(one_prompt, prompts=len(prompts), categories=len(counts))}


def _level(policy: Policy) -> float:
    """The one-sided level of the last look at the first confirmation of a session."""
    return levels(policy.night_error * policy.spend, policy.confirming_seeds, FIRST_LOOK)[-1]


def _measured(spreads: Sequence[Spread], pairs: int, level: float) -> Resolution | None:
    """The resolution by the variance between seeds of earlier comparisons; None if too few of them changed anything."""
    if len(spreads) < FEWEST_COMPARISONS:
        return None
    error = math.sqrt(pooled(spreads).variance / pairs)
    normal = NormalDist()
    return Resolution(error, normal.inv_cdf(0.975) * error, -normal.inv_cdf(level) * error)


def _spreads(study: Study, workspace: Workspace, categories: Collection[str]) -> tuple[int, dict[str, list[Spread]]]:
    """The number of comparisons under this question and under the probe key that the files give now; and by category
    the variance between seeds of those that changed anything."""
    count, spreads = 0, {name: list[Spread]() for name in categories}
    if not holds_sessions(workspace.ledger):
        return count, spreads
    with Ledger(workspace.ledger, read_only=True) as ledger:
        sessions = [session for name in ledger.sessions() if (session := ledger.session(name))]
        same = [session for session in sessions if session.question == study.question]
        if not same or not _key_unchanged(study, ledger, same[-1], ProbeStore(workspace.runs)):
            return count, spreads
        for comparison in ledger.comparisons(study.question, same[-1].key):
            count, freedom = count + 1, len(comparison["seeds"]) - 1
            for name in categories:
                variance = comparison["differences"][name].get("variance", 0.0)
                if variance > 0:
                    spreads[name].append(Spread(variance, freedom))
    return count, spreads


def _key_unchanged(study: Study, ledger: Ledger, session: SessionRow, store: ProbeStore) -> bool:
    """Whether the files give the session's probe key again, for the same base and device, since no worker runs."""
    for row in ledger.probes(session.id):
        outcome = store.read(row.id)
        if isinstance(outcome, Reading) and outcome.key.digest == session.key:
            machine = outcome.key.environment.rpartition(" nightlane=")[0]
            return study.material.key(machine, outcome.key.base) == outcome.key
    return False
