"""From a session's record to its figures: each part of view/data/figures.py from where it is found."""

from collections.abc import Sequence
from statistics import median

from agent.ledger.tables import BAD_ROWS
from agent.loop.budget import budget_left
from probes.result.reading import Reading, Timing
from view.data import checks
from view.data.alpha_spending import spendings
from view.data.decisions import decision_figures, proposer_counts, searched
from view.data.figures import Cost, DecisionFigures, Figures, Question, Rule, shown
from view.data.harvest import harvest_figures
from view.data.judge import judging_figures
from view.data.measurements import breakdown, differences, noise, noise_sources, outcomes, profiles
from view.data.session_record import SessionRecord
from view.data.survey import survey_figures


def session_figures(record: SessionRecord) -> Figures:
    """Every figure of the session."""
    decisions, session = (
        tuple(decision_figures(record, decision) for decision in record.decisions_on_changes),
        record.session,
    )
    floor, rule = checks.floor(record), _rule(record)
    return Figures(
        session=session.id,
        study=session.study,
        study_path=session.study_path,
        state=record.state,
        holder=record.holder,
        started=session.started,
        finished=session.finished,
        finish_reason=session.finish_reason,
        baseline_failure=_baseline_failure(record),
        question=_question(record),
        decisions=decisions,
        in_flight=tuple(f"{row.knob} {shown(row.before)} -> {shown(row.after)}" for row in record.in_flight),
        incumbent=record.incumbent.digest,
        differences=differences(record),
        rule=rule,
        visible=floor.visible if floor else _detectable_in_older_session(decisions, rule),
        retractions=checks.retractions(record),
        calibration=checks.calibration(record),
        spendings=spendings(record),
        floor=floor,
        survey=survey_figures(record),
        harvests=harvest_figures(record),
        left_out=checks.left_out(record),
        holdout=checks.holdout(record),
        searched=searched(record),
        noise=noise(record),
        profiles=profiles(record),
        outcomes=outcomes(record),
        breakdown=breakdown(record),
        judging=judging_figures(record),
        sources=noise_sources(record),
        proposers=proposer_counts(record),
        cost=_cost(record),
        budget_left=budget_left(record.budget, record.spent),
        missing=record.missing,
    )


def _baseline_failure(record: SessionRecord) -> str | None:
    """Why the starting recipe has no reading, when that ended the session."""
    if not any(decision.turn == 0 and decision.status == "CRASH" for decision in record.decisions):
        return None
    failures = record.failures(record.session.start)
    return f"{failures[0].kind}: {failures[0].message}" if failures else "its probe directories are gone"


def _question(record: SessionRecord) -> Question:
    file, floor = record.study.file, checks.floor(record)
    compared = next((decision.comparison for decision in record.decisions_on_changes if decision.comparison), None)
    if compared:
        prompts = {name: difference["n"] for name, difference in compared["differences"].items()}
    else:
        prompts = {item.category: item.prompts for item in noise(record)}
    return Question(
        base_model=file.model.path,
        target=record.study.target,
        guards=dict(record.study.guards),
        steps=file.probe.steps,
        seeds=file.probe.seeds,
        samples=floor.samples if floor else file.probe.samples,
        prompts=prompts,
        start=record.session.start,
        left_out=tuple(str(check.data["told"]) for check in record.checks if check.kind == BAD_ROWS),
    )


def _rule(record: SessionRecord) -> Rule:
    """Sessions without a course took each interval by itself."""
    policy, floor = record.study.file.policy, checks.floor(record)
    older = bool(record.decisions_on_changes) and not any(decision.course for decision in record.decisions_on_changes)
    digest = next((str(row.policy["digest"]) for row in record.decisions if "digest" in row.policy), "")
    return Rule(
        confidence=policy.confidence,
        smallest_effect=policy.smallest_effect,
        night_error=None if older else policy.night_error,
        later_error=policy.later_error,
        screening_pairs=policy.screening_seeds,
        confirming_pairs=floor.pairs if floor else policy.confirming_seeds,
        digest=digest,
    )


def _detectable_in_older_session(decisions: Sequence[DecisionFigures], rule: Rule) -> float | None:
    """Of an older session: half the width of the target's interval, and the smallest effect."""
    if rule.night_error is not None:
        return None
    widths = [width for one in decisions if one.target and (width := (one.target.high - one.target.low) / 2) > 0]
    return median(widths) + rule.smallest_effect if widths else None


def _cost(record: SessionRecord) -> Cost:
    measured = (record.outcomes.get(row.id) for row in record.probes)
    readings: Sequence[Reading] = [outcome for outcome in measured if isinstance(outcome, Reading)]
    timings = [reading.timing for reading in readings]
    time = Timing(
        sum(t.train for t in timings),
        sum(t.generate for t in timings),
        sum(t.score for t in timings),
        sum(t.total for t in timings),
    )
    tokens = sum(reading.tokens for reading in readings)
    return Cost(
        active=record.active_seconds,
        probes=len(record.probes),
        readings=len(readings),
        borrowed=len(record.borrowed),
        train=time.train,
        generate=time.generate,
        score=time.score,
        total=time.total,
        other_share=time.other_share if time.total else None,
        seconds_per_probe=time.total / len(readings) if time.total else None,
        tokens_per_second=tokens / time.train if time.train else None,
        peak_gb=max((reading.peak_gb for reading in readings), default=None),
        dollars=record.spent.dollars if record.priced else None,
    )
