"""From a session's record to its figures: pure functions, each for one part of view/figures.py."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from agent.budget import left
from agent.decision import room
from agent.ledger import DecisionRow, ProposalRow
from agent.rows import value_of
from lanes import Recipe, Value, show
from lanes.errors import BadInput
from lanes.mixture import manifest_name
from probes.comparison import OVERALL, Comparison, compare
from probes.evaluation.breakdown import Breakdown, break_down
from probes.reading import Reading, Timing
from probes.variance import Sources, sources
from view.figures import (
    Change,
    Cost,
    Crash,
    Decided,
    Figures,
    GuardChange,
    KnobDifference,
    KnobSearch,
    LaneSearch,
    Level,
    Noise,
    Outcomes,
    Profile,
    ProposerCount,
    Question,
    Total,
)
from view.judging import gather_judging
from view.session_record import SessionRecord


def gather(record: SessionRecord) -> Figures:
    """Every figure of the session."""
    decisions = tuple(_decided(record, decision) for decision in record.decided)
    changes = [decision.target for decision in decisions if decision.target]
    session, policy = record.session, record.study.file.policy
    return Figures(
        session=session.id, study=session.study, study_path=session.study_path, state=record.state,
        holder=record.holder, started=session.started, finished=session.finished,
        finish_reason=session.finish_reason,
        baseline_failure=_baseline_failure(record),
        question=_question(record), decisions=decisions,
        in_flight=tuple(f"{row.knob} {shown(row.before)} -> {shown(row.after)}" for row in record.in_flight),
        incumbent=record.incumbent.digest, differences=differences(record), total=_total(record),
        compared=len(changes), expected_false_keeps=len(changes) * (1 - policy.confidence) / 2,
        half_width=median(widths) if (widths := [c.half_width for c in changes if c.half_width > 0]) else None,
        searched=_searched(record), noise=_noise(record), profiles=_profiles(record), outcomes=_outcomes(record),
        breakdown=_breakdown(record), judging=gather_judging(record), sources=_sources(record),
        proposers=proposer_counts(record), cost=_cost(record),
        budget_left=left(record.budget, record.spent),
        missing=record.missing,
    )  # fmt: skip


def shown(stored: object) -> str:
    """A knob's value, as the ledger holds it, for reading."""
    value: Value = value_of(stored)
    return show(value)


def _baseline_failure(record: SessionRecord) -> str | None:
    """Why the starting recipe has no reading, when that ended the session."""
    if not any(decision.turn == 0 and decision.status == "CRASH" for decision in record.decisions):
        return None
    failures = record.failures(record.session.start)
    return f"{failures[0].kind}: {failures[0].message}" if failures else "its probe directories are gone"


def _question(record: SessionRecord) -> Question:
    file = record.study.file
    compared = next((decision.comparison for decision in record.decided if decision.comparison), None)
    if compared:
        prompts = {name: difference["n"] for name, difference in compared["differences"].items()}
    else:
        prompts = {noise.category: noise.prompts for noise in _noise(record)}
    return Question(
        file.model.path, record.study.target, dict(record.study.guards), file.policy.confidence,
        file.policy.smallest_effect, file.probe.steps, file.probe.seeds, file.probe.samples, prompts,
        record.session.start,
    )  # fmt: skip


def _decided(record: SessionRecord, decision: DecisionRow) -> Decided:
    proposal = record.proposals[decision.id]
    differences = (decision.comparison or {}).get("differences", {})
    target = differences.get(record.study.target)
    guards = {name: _change(differences[name]) for name in record.study.guards if name in differences}
    return Decided(
        id=decision.id, turn=decision.turn, time=decision.time, status=decision.status, reason=decision.reason,
        lane=proposal.lane, knob=proposal.knob, before=proposal.before, after=proposal.after,
        hypothesis=proposal.hypothesis, proposer=proposal.proposer, predicted=proposal.predicted,
        baseline=target["baseline"] if target else None, candidate=target["candidate"] if target else None,
        target=_change(target), overall=_change(differences.get(OVERALL)),
        guards=_guards(guards, record),
        critical_candidate=decision.comparison["critical_candidate"] if decision.comparison else None,
        critical_incumbent=decision.comparison["critical_baseline"] if decision.comparison else None,
        crash=_crash(record, decision, proposal) if decision.status == "CRASH" else None,
    )  # fmt: skip


def _change(difference: Mapping[str, Any] | None) -> Change | None:
    return Change(difference["delta"], difference["low"], difference["high"]) if difference else None


def _guards(changes: Mapping[str, Change | None], record: SessionRecord) -> tuple[GuardChange, ...]:
    """The guards of a comparison, the one nearest to (or furthest past) its margin first."""
    margins = record.study.guards
    found = [
        GuardChange(name, change, margins[name], room(change.low, margins[name]) > 0)
        for name, change in changes.items()
        if change
    ]
    return tuple(sorted(found, key=lambda guard: room(guard.change.low, guard.margin)))


def _crash(record: SessionRecord, decision: DecisionRow, proposal: ProposalRow) -> Crash:
    kind = decision.reason.partition(":")[2]
    failures = record.failures(proposal.child)
    same = [failure for failure in failures if failure.kind == kind] or failures
    if not same:
        return Crash(kind, "the probe's directory and its message are gone", ())
    return Crash(kind, same[0].message, tuple(sorted(failure.seed for failure in failures)))


def differences(record: SessionRecord) -> tuple[KnobDifference, ...]:
    """How the recipe that stands differs from the one the session started from."""
    start, incumbent = record.start, record.incumbent
    names = [name for name in Recipe.model_fields if getattr(start, name) != getattr(incumbent, name)]
    return tuple(KnobDifference(name, _field(record, start, name), _field(record, incumbent, name)) for name in names)


def _field(record: SessionRecord, recipe: Recipe, name: str) -> str:
    if name != "mixture":
        return show(getattr(recipe, name))
    manifest = manifest_name(recipe, record.study.file.data.manifests)
    shares = ", ".join(f"{source} {share:.0%}" for source, share in recipe.shares.items())
    return shares if manifest == "custom" else f"{manifest} ({shares})"


def _total(record: SessionRecord) -> Total | None:
    """The end compared with the start; None when nothing was kept or readings are gone."""
    seeds = tuple(sorted(record.study.file.probe.seeds))
    start, end = record.readings(record.session.start), record.readings(record.incumbent.digest)
    whole = all(tuple(reading.seed for reading in side) == seeds for side in (start, end))
    if record.incumbent == record.start or not whole:
        return None
    comparison: Comparison = compare(end, start, record.study.file.policy.confidence)
    changes = {name: Change(d.delta, d.low, d.high) for name, d in comparison.differences.items()}
    target = comparison.differences[record.study.target]
    guards = _guards({name: changes[name] for name in record.study.guards}, record)
    return Total(changes[record.study.target], changes[OVERALL], guards, target.baseline, target.candidate)


def _searched(record: SessionRecord) -> tuple[LaneSearch, ...]:
    space, made = record.study.lanes, [record.proposals[decision.id] for decision in record.decided]
    total = sum(space.shares.values())
    found = []
    for lane, share in space.shares.items():
        knobs = []
        for knob in (knob for knob in space.knobs if knob.lane == lane):
            legal = {
                knob.write(recipe, value).digest
                for recipe in record.recipes.values()
                for value in space.moves(recipe, lane).get(knob.name, ())
            }
            tried = sum(proposal.knob == knob.name for proposal in made)
            knobs.append(KnobSearch(knob.name, tried, len(legal - {record.session.start})))
        mine = sum(proposal.lane == lane for proposal in made)
        found.append(LaneSearch(lane, share / total, mine / len(made) if made else None, tuple(knobs)))
    return tuple(found)


def _noise(record: SessionRecord) -> tuple[Noise, ...]:
    """Per category and overall, between the training seeds of the starting recipe."""
    readings = record.readings(record.session.start)
    if not readings:
        return ()
    categories = sorted({score.category for score in readings[0].scores})
    found = []
    for category in (*categories, OVERALL):
        means = {str(reading.seed): reading.mean(category) for reading in readings}
        prompts = {score.prompt for score in readings[0].scores if category in (OVERALL, score.category)}
        spread = stdev(means.values()) if len(means) > 1 else None
        found.append(Noise(category, len(prompts), means, fmean(means.values()), spread))
    return tuple(found)


def _sources(record: SessionRecord) -> Sources | None:
    """Of the starting recipe's readings in the target; the judge's part from the first examination. None where scores
    do not decide."""
    if record.study.scorer.chooses:
        return None
    spread = next((row.data["spread"] for row in record.examinations), None)
    readings = record.readings(record.session.start)
    return sources(readings, record.study.target, spread, record.study.scorer.judgements)


def _profiles(record: SessionRecord) -> tuple[Profile, ...]:
    """Of the starting recipe and, where another stands, of the incumbent."""
    found, difficulties = [], _difficulties(record)
    for digest in dict.fromkeys((record.session.start, record.incumbent.digest)):
        readings = record.readings(digest)
        if readings:
            scored, missing = (
                sum(map(len, own)) for own in zip(*((r.scores, r.missing) for r in readings), strict=True)
            )
            critical = sum(reading.critical_failures for reading in readings)
            found.append(Profile(digest, _levels(readings, difficulties), scored + missing, critical, missing))
    return tuple(found)


def _levels(readings: Sequence[Reading], difficulties: Mapping[str, int]) -> tuple[Level, ...]:
    asked = {(s.prompt, s.category) for reading in readings for s in reading.scores if s.prompt in difficulties}
    prompts = Counter((category, difficulties[prompt]) for prompt, category in asked)
    means = [reading.means(difficulties) for reading in readings]
    return tuple(
        Level(*group, number, fmean(own[group] for own in means if group in own))
        for group, number in sorted(prompts.items())
    )


def _difficulties(record: SessionRecord) -> Mapping[str, int]:
    """By prompt, from the study's prompts file; empty where that is gone or broken."""
    try:
        return {prompt.id: prompt.difficulty for prompt in record.study.material.probe_prompts}
    except (BadInput, OSError):
        return {}


def _outcomes(record: SessionRecord) -> tuple[Outcomes, ...]:
    """Of the starting recipe and, where another stands, of the incumbent."""
    found = []
    for digest in dict.fromkeys((record.session.start, record.incumbent.digest)):
        scores = [score for reading in record.readings(digest) for score in reading.scores]
        words = Counter(score.outcome or "no word" for score in scores)
        critical = Counter(flag for score in scores for flag in score.critical)
        if scores:
            found.append(Outcomes(digest, len(scores), dict(words.most_common()), dict(critical.most_common())))
    return tuple(found)


def _breakdown(record: SessionRecord) -> Breakdown | None:
    """From the starting recipe to the incumbent, where another stands and the scorer says what passes."""
    before, after = (record.answers[digest] for digest in (record.session.start, record.incumbent.digest))
    return break_down(before, after) if before and after and before != after else None


def proposer_counts(record: SessionRecord) -> tuple[ProposerCount, ...]:
    """Who proposed what was decided, the busiest first."""
    decided = [(record.proposals[decision.id].proposer, decision.status) for decision in record.decided]
    pairs, names = Counter(decided), Counter(name for name, _ in decided)
    return tuple(
        ProposerCount(name, number, *(pairs[name, status] for status in ("KEEP", "DISCARD", "CRASH")))
        for name, number in names.most_common()
    )


def _cost(record: SessionRecord) -> Cost:
    measured = (record.outcomes.get(row.id) for row in record.probes)
    readings: Sequence[Reading] = [outcome for outcome in measured if isinstance(outcome, Reading)]
    timings = [reading.timing for reading in readings]
    time = Timing(
        sum(t.train for t in timings), sum(t.generate for t in timings), sum(t.score for t in timings),
        sum(t.total for t in timings),
    )  # fmt: skip
    tokens = sum(reading.tokens for reading in readings)
    return Cost(
        active=record.active_seconds, probes=len(record.probes), readings=len(readings),
        borrowed=len(record.borrowed), train=time.train, generate=time.generate, score=time.score, total=time.total,
        other_share=time.other_share if time.total else None,
        seconds_per_probe=time.total / len(readings) if time.total else None,
        tokens_per_second=tokens / time.train if time.train else None,
        peak_gb=max((reading.peak_gb for reading in readings), default=None),
        dollars=record.spent.dollars if record.priced else None,
    )  # fmt: skip
