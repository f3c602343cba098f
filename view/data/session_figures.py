"""Computes the figures of a session (view/data/figures.py) from its record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from agent.ledger.tables import BAD_ROWS
from agent.loop.budget import budget_left
from agent.loop.start_or_resume.baseline import FLOOR
from agent.policy.night_power import in_words, power_from
from probes.result.comparison import OVERALL
from view.data.answers.cut_answers import cut_by_side, cut_figures
from view.data.answers.examples import answer_examples
from view.data.changes import change_of, guards_of
from view.data.decisions import decision_figures, proposer_counts, searched
from view.data.figures import DecisionFigures, DecisionRule, SessionFigures, SessionQuestion, StackFigures, shown
from view.data.search.alpha_spending import spendings
from view.data.search.incumbents import Confirmation, progress_points
from view.data.search.knobs import knob_curves, promises
from view.data.search.stacks import ConfirmedStack, stacks
from view.data.search.waves import wave_figures
from view.data.sections import checks
from view.data.sections.cost import session_cost
from view.data.sections.forecasts import forecasts
from view.data.sections.harvest import harvest_figures
from view.data.sections.judge import judging_figures
from view.data.sections.measurements import (
    breakdown,
    categories,
    differences,
    flipped_prompts,
    noise,
    noise_sources,
    outcomes,
    profiles,
)
from view.data.sections.reproduction import reproduction
from view.data.sections.requests import request_lines
from view.data.session_record import SessionRecord


def session_figures(record: SessionRecord) -> SessionFigures:
    """Every figure of the session."""
    decisions, session = (
        tuple(decision_figures(record, decision) for decision in record.decisions_on_changes),
        record.session,
    )
    floor, rule, curves = checks.floor(record), _rule(record), knob_curves(record)
    tested, failures = _stacks(record, decisions), breakdown(record)
    return SessionFigures(
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
        power=_power(record),
        stacks=tested,
        progress=progress_points(record, _confirmations(tested, decisions)),
        waves=wave_figures(record),
        requests=request_lines(record.requests),
        curves=curves,
        promises=tuple(promises(curves, rule.member_chance, _discarded(decisions))),
        retractions=checks.retractions(record),
        calibration=checks.calibration(record),
        spendings=spendings(record),
        floor=floor,
        harvests=harvest_figures(record),
        left_out=checks.left_out(record),
        holdout=checks.holdout(record),
        searched=searched(record),
        noise=noise(record),
        categories=categories(record),
        profiles=profiles(record),
        outcomes=outcomes(record),
        cut=cut_figures(record),
        answers=answer_examples(record),
        breakdown=failures,
        flipped=flipped_prompts(record, failures),
        judging=judging_figures(record),
        sources=noise_sources(record),
        proposers=proposer_counts(record),
        forecasts=forecasts(decisions),
        declined=dict(Counter(why for wave in record.waves for why in wave.declined)),
        cost=session_cost(record),
        budget_left=budget_left(record.budget, record.spent),
        missing=record.missing,
        reproduction=reproduction(record),
    )


def _baseline_failure(record: SessionRecord) -> str | None:
    """Why the starting recipe has no reading, when that ended the session."""
    if not any(decision.turn == 0 and decision.status == "CRASH" for decision in record.decisions):
        return None
    failures = record.failures(record.session.start)
    return f"{failures[0].kind}: {failures[0].message}" if failures else "its probe directories are gone"


def _question(record: SessionRecord) -> SessionQuestion:
    file, floor = record.study.file, checks.floor(record)
    compared = next((decision.comparison for decision in record.decisions_on_changes if decision.comparison), None)
    if compared:
        prompts = {name: difference.n for name, difference in compared.differences.items()}
    else:
        prompts = {item.category: item.prompts for item in noise(record)}
    return SessionQuestion(
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


def _rule(record: SessionRecord) -> DecisionRule:
    """The thresholds; decisions of older sessions, which have no basis, tested each change by itself."""
    policy = record.study.file.policy
    older = bool(record.decisions_on_changes) and not any(decision.basis for decision in record.decisions_on_changes)
    digest = next((str(row.policy["digest"]) for row in record.decisions if "digest" in row.policy), "")
    return DecisionRule(
        confidence=policy.confidence,
        smallest_effect=policy.smallest_effect,
        night_error=None if older else policy.night_error,
        later_error=policy.later_error,
        member_chance=policy.member_chance,
        confirming_pairs=policy.confirming_seeds,
        digest=digest,
    )


def _power(record: SessionRecord) -> tuple[str, ...]:
    """What the night could detect, in the words of its log; empty in an older session."""
    floor = record.check(FLOOR)
    return tuple(in_words(power_from(floor.data))) if floor and "doubling" in floor.data else ()


def _discarded(decisions: Sequence[DecisionFigures]) -> dict[tuple[str, str], str]:
    """Why a change was not kept, by its knob and value; the last reason counts."""
    return {(one.knob, shown(one.after)): one.reason for one in decisions if one.status == "DISCARD"}


def _stacks(record: SessionRecord, decisions: Sequence[DecisionFigures]) -> tuple[StackFigures, ...]:
    """Without A/A tests, which are part of the calibration."""
    by_id = {one.id: one for one in decisions}
    return tuple(_stack(record, stack, by_id) for stack in stacks(record) if not stack.is_aa_test)


def _stack(record: SessionRecord, stack: ConfirmedStack, by_id: Mapping[str, DecisionFigures]) -> StackFigures:
    decision, comparison, margins = stack.decision, stack.comparison, record.study.guards
    differences = comparison.differences if comparison else {}
    target = differences.get(record.study.target)
    cut_candidate, cut_incumbent = cut_by_side(record, stack)
    return StackFigures(
        number=stack.number,
        time=decision.time if decision else stack.time,
        changes=len(stack.members),
        status=decision.status if decision else None,
        reason=decision.reason if decision else None,
        expected=stack.given.expected[0],
        deviation=stack.given.expected[1],
        most_pairs=stack.given.pairs,
        pairs=len(comparison.seeds) if comparison else 0,
        effect=change_of(target),
        overall=change_of(differences.get(OVERALL)),
        baseline=target.baseline if target else None,
        candidate=target.candidate if target else None,
        guards=guards_of(differences, margins, stack.looks[-1] if stack.looks else None),
        spent=stack.confirmed.account.error if stack.confirmed else 0.0,
        critical_candidate=comparison.critical_candidate if comparison else None,
        critical_incumbent=comparison.critical_baseline if comparison else None,
        cut_candidate=cut_candidate,
        cut_incumbent=cut_incumbent,
        members=tuple(by_id[row.id] for row in stack.decisions),
    )


def _confirmations(tested: Sequence[StackFigures], decisions: Sequence[DecisionFigures]) -> list[Confirmation]:
    """The stacks that were decided on; in an older session, the decisions themselves."""
    found = [
        Confirmation(time=one.time, status=one.status, stack=one.number, effect=one.effect, stands=bool(one.standing))
        for one in tested
        if one.status
    ]
    return found or [
        Confirmation(
            time=one.time,
            status=one.status,
            stack=None,
            effect=one.target,
            stands=one.status == "KEEP" and one.retracted is None,
        )
        for one in decisions
        if one.own is None and one.target is not None
    ]


def _detectable_in_older_session(decisions: Sequence[DecisionFigures], rule: DecisionRule) -> float | None:
    """The detectable effect of an older session: half the width of the target's interval plus the smallest effect."""
    if rule.night_error is not None:
        return None
    widths = [width for one in decisions if one.target and (width := (one.target.high - one.target.low) / 2) > 0]
    return median(widths) + rule.smallest_effect if widths else None
