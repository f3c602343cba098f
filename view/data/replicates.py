"""The replicates behind a decision: each seed's paired difference, from the probe directories."""

from dataclasses import dataclass

from agent.ledger.tables import DecisionRow, ProposalRow
from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """A pair of probes; ``candidate_seed`` differs from ``seed`` in an A/A test only. Scores and
    difference are None where a probe directory is gone, or where choices decide."""

    stage: str
    seed: int
    candidate_seed: int
    candidate: float | None
    baseline: float | None
    difference: float | None


def replicates(record: SessionRecord, decision: DecisionRow) -> tuple[Replicate, ...]:
    """In the target, screening first."""
    proposal, course = record.proposals.get(decision.id), decision.course
    if proposal is None or course is None:
        return ()
    return tuple(
        _replicate(record, proposal, stage, *seeds) for stage, pairs in course["seeds"].items() for seeds in pairs
    )


def screening_seeds(record: SessionRecord, recipe: str) -> set[int]:
    """The seeds that a recipe was selected by in screening; its scores under them are biased upwards."""
    rows = [
        row for row in record.decisions_on_changes if row.status == "KEEP" and record.proposals[row.id].child == recipe
    ]
    return {one.seed for row in rows for one in replicates(record, row) if one.stage == "screening"}


def _reading(record: SessionRecord, recipe: str, seed: int) -> Reading | None:
    return next((reading for reading in record.readings(recipe) if reading.seed == seed), None)


def _replicate(record: SessionRecord, proposal: ProposalRow, stage: str, own: int, seed: int) -> Replicate:
    sides = _reading(record, proposal.child, own), _reading(record, proposal.parent, seed)
    if sides[0] is None or sides[1] is None or record.study.scorer.chooses:
        return Replicate(
            stage=stage,
            seed=seed,
            candidate_seed=own,
            candidate=None,
            baseline=None,
            difference=None,
        )
    candidate, baseline = _means(sides[0], sides[1], record.study.target)
    return Replicate(
        stage=stage,
        seed=seed,
        candidate_seed=own,
        candidate=candidate,
        baseline=baseline,
        difference=candidate - baseline,
    )


def _means(mine: Reading, theirs: Reading, category: str) -> tuple[float, float]:
    """Over prompts, of what both sides have a score for."""
    scores = [
        {(s.prompt, s.sample): s.value for s in side.scores if category in (OVERALL, s.category)}
        for side in (mine, theirs)
    ]
    shared = scores[0].keys() & scores[1].keys()
    prompts = {prompt for prompt, _ in shared}
    found = []
    for side in scores:
        own = {prompt: [side[key] for key in shared if key[0] == prompt] for prompt in prompts}
        found.append(sum(sum(values) / len(values) for values in own.values()) / len(own))
    return found[0], found[1]
