"""Power analysis: what a night of this study can show, before anything is trained.

The noise comes from earlier confirmations of this workspace, else from assumptions. An answer's score is taken as
recipe + run + category by run + prompt + answer + judgement; a run is a recipe trained with one seed. The answers of
both sides of a pair have a part in common (the prompt, the random numbers), which cancels. What follows from the noise
is computed as at the start of a session (agent/policy/night_power.py).

It leaves out that a change helps some prompts and harms others, so the real noise is larger.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from agent.ledger.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.loop.budget import kept_back
from agent.policy.alpha_spending import levels
from agent.policy.confirmation import FIRST_LOOK
from agent.policy.night import GUARD_FREEDOM, TARGET_FREEDOM
from agent.policy.night_plan import Noise as ReadingNoise
from agent.policy.night_power import Answers, NightPower, in_words, night_power
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
    """What a probe asks: prompts, answers per prompt, categories among the prompts, judgements per answer. ``choices``:
    whether sides are compared by pairwise choices, 10 x (share won minus share lost)."""

    prompts: int
    samples: int
    categories: int = 1
    passes: int = 1
    choices: bool = False


@dataclass(frozen=True, slots=True)
class PairNoise:
    """The standard deviation of a pair's difference, and the ``share`` of its variance that comes from the answers;
    None where that is not known."""

    deviation: float
    share: float | None

    @property
    def reading(self) -> float:
        """Of one side: a reading's own, beside its pair."""
        return self.deviation / math.sqrt(2)


def pair_noise(design: Design, noise: Noise) -> PairNoise:
    """Of a pair of this design under this noise.

    A pairwise choice is won where the difference of the scores is above 0. Near a difference of 0, one point more wins
    more often by twice the normal density over the deviation. Without ties a choice is +10 or -10, with deviation 10.
    """
    by_seed = math.sqrt(2 * (noise.run**2 + noise.category_by_run**2 / design.categories))
    by_answer = math.sqrt(2 * ((1 - noise.correlation) * noise.answer**2 + noise.judgement**2 / design.passes))
    if design.choices and by_answer > 0:
        by_seed, by_answer = by_seed * 10 * 2 * NormalDist().pdf(0) / by_answer, 10.0
    answers = by_answer**2 / (design.prompts * design.samples)
    whole = by_seed**2 + answers
    return PairNoise(math.sqrt(whole), answers / whole if whole else 0.0)


ASSUMED = Noise()
FEWEST_FREEDOM = 6  # of earlier confirmations together, before they replace the assumption
ASSUMED_JUDGEMENT = 0.5  # points between two judgements of one answer, until an examination has measured it


@dataclass(frozen=True, slots=True)
class PowerAnalysis:
    """``designs``, ``pairs``: the design and the noise of a pair, by category, overall last. ``night``: what a night
    can show in the target. ``measured``: the number of confirmations that the noise comes from; 0 if it is assumed."""

    designs: dict[str, Design]
    pairs: dict[str, PairNoise]
    noise: Noise
    night: NightPower
    measured: int

    def half_width(self, category: str, confidence: float) -> float:
        """Half the width of an interval after all pairs of a confirmation."""
        return NormalDist().inv_cdf((1 + confidence) / 2) * self.pairs[category].deviation / math.sqrt(self.night.pairs)

    def lost(self, guard: str, error: float) -> float:
        """By how much a guard's lower bound is below its change, after all pairs of a confirmation."""
        level = levels(error, self.night.pairs, FIRST_LOOK)[-1]
        return -NormalDist().inv_cdf(level) * self.pairs[guard].deviation / math.sqrt(self.night.pairs)

    @property
    def source(self) -> str:
        """Where the noise comes from, in words."""
        if self.measured:
            return f"measured: pooled over {self.measured} confirmation{'s' * (self.measured > 1)} under this probe key"
        assumed = (
            f"assumed: runs {self.noise.run:g}, category by run {self.noise.category_by_run:g}, answers "
            f"{self.noise.answer:g}, correlation of the sides {self.noise.correlation:g}"
        )
        return f"{assumed}, judgements {self.noise.judgement:.2g}" if self.noise.judgement else assumed


def analyse_power(study: Study, workspace: Workspace, probes: float | None = None) -> PowerAnalysis:
    """What a night of this study can show. ``probes``: that it has, if another limit than [budget] probes tells."""
    designs, policy = _designs(study), study.file.policy
    noise = replace(ASSUMED, judgement=ASSUMED_JUDGEMENT) if study.scorer.judge else ASSUMED
    count, spreads = _spreads(study, workspace, designs)
    pairs = {name: pair_noise(design, noise) for name, design in designs.items()}
    if all(sum(spread.freedom for spread in own) >= FEWEST_FREEDOM for own in spreads.values()):
        pairs = {name: PairNoise(math.sqrt(pooled(own).variance), None) for name, own in spreads.items()}
    else:
        count = 0
    target = pairs[study.target]
    reading = ReadingNoise(target.reading, target.reading, TARGET_FREEDOM, GUARD_FREEDOM)
    answers = None if target.share is None else Answers(designs[study.target].samples, target.share)
    night = night_power(reading, _probes(study) if probes is None else probes, policy, answers)
    return PowerAnalysis(designs, pairs, noise, night, count)


def require_power(study: Study, workspace: Workspace) -> None:
    """BadInput if ``must_see`` under [policy] is below the smallest detectable effect of the target."""
    must_see, analysis = study.file.policy.must_see, analyse_power(study, workspace)
    if must_see < analysis.night.visible:
        ways = "; ".join(in_words(analysis.night))
        raise BadInput(
            f"{study.path}: [policy] must_see={must_see:g} is below {analysis.night.visible:.2f}, the improvement of "
            f"{study.target!r} that has an even chance of a KEEP ({analysis.source}); raise must_see, the prompts of "
            f"the category or what the last part names: {ways}"
        )


def _probes(study: Study) -> float:
    """That the budget gives the search."""
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


def _spreads(
    study: Study, workspace: Workspace, categories: Collection[str]
) -> tuple[int, dict[str, Sequence[Spread]]]:
    """The number of confirmations under this question and under the probe key that the files give now; and by category
    the variance between seeds of those that changed anything."""
    spreads = {name: list[Spread]() for name in categories}
    seen = set[str]()
    if not holds_sessions(workspace.ledger):
        return 0, dict(spreads)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        sessions = [session for name in ledger.sessions() if (session := ledger.session(name))]
        same = [session for session in sessions if session.question == study.question]
        if not same or not _key_unchanged(study, ledger, same[-1], ProbeStore(workspace.runs)):
            return 0, dict(spreads)
        for comparison in ledger.comparisons(study.question, same[-1].key):
            if (own := json.dumps(comparison, sort_keys=True)) in seen:
                continue  # that of another member of the same stack
            seen.add(own)
            for name in categories:
                variance = comparison["differences"][name].get("variance", 0.0)
                if variance > 0:
                    spreads[name].append(Spread(variance, len(comparison["seeds"]) - 1))
    return len(seen), dict(spreads)


def _key_unchanged(study: Study, ledger: Ledger, session: SessionRow, store: ProbeStore) -> bool:
    """Whether the files give the session's probe key again, for the same base and device, since no worker runs."""
    for row in ledger.probes(session.id):
        outcome = store.read(row.id)
        if isinstance(outcome, Reading) and outcome.key.digest == session.key:
            machine = outcome.key.environment.rpartition(" nightlane=")[0]
            return study.material.key(machine, outcome.key.base) == outcome.key
    return False
