"""What a study can see before it starts: from earlier decisions of this workspace, else from assumed noise."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from agent.ledger.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, SessionRow
from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import FIRST_LOOK
from agent.policy.settings import Policy
from agent.study.schema import Study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.result.comparison import OVERALL
from probes.result.detectable_effect import Design, Noise, Resolution, predict, remedies
from probes.result.reading import Reading
from probes.result.variance_pooling import Spread, pooled
from probes.run.store import ProbeStore

ASSUMED = Noise()
FEWEST = 3  # comparisons, in which something changed, that an assumption gives way to
ASSUMED_OF_JUDGES = 0.5  # points between two judgements of one answer, until an examination has measured it


@dataclass(frozen=True, slots=True)
class Foresight:
    """By category, overall last: the design and what will be seen. ``measured``: decisions this rests on, 0: none."""

    designs: dict[str, Design]
    noise: Noise
    sights: dict[str, Resolution]
    smallest_effect: float
    measured: int

    def visible(self, category: str) -> float:
        """The true effect that passes the target's rule with an even chance."""
        return min(10.0, self.sights[category].visible + self.smallest_effect)

    @property
    def source(self) -> str:
        """Where the noise comes from, in words."""
        if self.measured:
            return f"measured: pooled over {self.measured} comparison{'s' * (self.measured > 1)} under this probe key"
        told = (
            f"assumed: runs {self.noise.run:g}, category by run {self.noise.category_by_run:g}, answers "
            f"{self.noise.answer:g}, correlation of the sides {self.noise.correlation:g}"
        )
        return f"{told}, judgements {self.noise.judgement:.2g}" if self.noise.judgement else told


def foresee(study: Study, workspace: Workspace) -> Foresight:
    """What comparisons of this study will show, per category and overall."""
    decisions = _compared(study, workspace)
    designs, policy = _designs(study), study.file.policy
    noise = replace(ASSUMED, judgement=ASSUMED_OF_JUDGES) if study.scorer.judge else ASSUMED
    level = _level(policy)
    measured = {name: _measured(decisions, name, policy.confirming_seeds, level) for name in designs}
    if any(sight is None for sight in measured.values()):
        decisions, measured = [], {}
    sights = {
        name: measured.get(name) or predict(design, noise, policy.confidence, level) for name, design in designs.items()
    }
    return Foresight(designs, noise, sights, policy.smallest_effect, len(decisions))


def require_sight(study: Study, workspace: Workspace) -> None:
    """BadInput when ``must_see`` under [policy] is below what the target can show."""
    must_see = study.file.policy.must_see
    found = foresee(study, workspace)
    visible = found.visible(study.target)
    if must_see < visible:
        raise BadInput(
            f"{study.path}: [policy] must_see={must_see:g} is below {visible:.2f}, the smallest effect that is visible "
            f"in {study.target!r} ({found.source}); raise {advice(study, found)}, or must_see"
        )


def advice(study: Study, found: Foresight) -> str:
    """What to raise so that the target shows more: figures where the noise is assumed, else the rule."""
    if found.measured:
        return (
            "confirming_seeds, which narrow all of the interval, or prompts and samples, which narrow the answers' part"
        )
    narrower = remedies(found.designs[study.target], found.noise, _level(study.file.policy))
    return " or ".join(f"{name} ({seen + found.smallest_effect:.2f})" for name, seen in narrower.items())


def _designs(study: Study) -> dict[str, Design]:
    probe, prompts = study.file.probe, study.material.probe_prompts
    counts = Counter(prompt.category for prompt in prompts)
    one = Design(
        study.file.policy.confirming_seeds,
        1,
        probe.samples,
        passes=study.scorer.judgements,
        choices=study.scorer.chooses,
    )
    designs = {name: replace(one, prompts=number) for name, number in sorted(counts.items())}
    return {**designs, OVERALL: replace(one, prompts=len(prompts), categories=len(counts))}


def _level(policy: Policy) -> float:
    """The one-sided level that the first confirmation of a night must pass in the end."""
    return levels(policy.night_error * policy.spend, policy.confirming_seeds, FIRST_LOOK)[-1]


def _measured(decisions: Sequence[DecisionRow], category: str, pairs: int, level: float) -> Resolution | None:
    """From the variance between seeds of comparisons in which something changed; None for too few of them."""
    found = [row.comparison for row in decisions if row.comparison]
    parts = [Spread(one["differences"][category].get("variance", 0.0), len(one["seeds"]) - 1) for one in found]
    parts = [part for part in parts if part.variance > 0]
    if len(parts) < FEWEST:
        return None
    error = math.sqrt(pooled(parts).variance / pairs)
    normal = NormalDist()
    return Resolution(error, normal.inv_cdf(0.975) * error, -normal.inv_cdf(level) * error)


def _compared(study: Study, workspace: Workspace) -> list[DecisionRow]:
    """The decisions with a comparison under this question and under the probe key that the files would give now."""
    if not holds_sessions(workspace.ledger):
        return []
    with Ledger(workspace.ledger, read_only=True) as ledger:
        sessions = [session for name in ledger.sessions() if (session := ledger.session(name))]
        asked = [session for session in sessions if session.question == study.question]
        if not asked or not _still_holds(study, ledger, asked[-1], ProbeStore(workspace.runs)):
            return []
        return [row for *_, row in ledger.history(study.question, asked[-1].key) if row.comparison]


def _still_holds(study: Study, ledger: Ledger, session: SessionRow, store: ProbeStore) -> bool:
    """Would the files give the session's probe key again? Base and device are taken as they were: no worker is up."""
    for row in ledger.probes(session.id):
        outcome = store.read(row.id)
        if isinstance(outcome, Reading) and outcome.key.digest == session.key:
            machine = outcome.key.environment.rpartition(" nightlane=")[0]
            return study.material.key(machine, outcome.key.base) == outcome.key
    return False
