"""The LLM judge: its examinations, the bias of its own overall scores, and its cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.ledger.tables import ExaminationRow
from probes.endpoint.spending import NO_USAGE, Usage
from probes.result.reading import Reading, Score
from probes.scoring.judge.examination import Examination, examination_from
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeExamination:
    """An examination of the judge after ``after`` decisions, in figures and words."""

    after: int
    time: str
    passed: bool
    wanted: int
    findings: int
    spread: float | None
    shift: float | None
    epoch: int
    why: str


@dataclass(frozen=True, slots=True)
class Bias:
    """The judge's own overall score minus the weighted one, over the ``number`` answers for which it gave one."""

    answers: str
    mean: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """``spent``: for all readings that this session measured. ``tallies``: choices won, lost and tied, per stack or, in
    an older session, per decision."""

    model: str
    examined: tuple[JudgeExamination, ...]
    bias: tuple[Bias, ...]
    missing: int
    answers: int
    spent: Usage
    readings: int
    total_dollars: float
    priced: bool
    tallies: tuple[tuple[str, int, int, int], ...]


def judging_figures(record: SessionRecord) -> Judging | None:
    """The figures; None if no model judged."""
    readings = [o for row in record.probes if isinstance(o := record.outcomes.get(row.id), Reading)]
    spent = sum((reading.judging for reading in readings), NO_USAGE)
    if not record.examinations and spent == NO_USAGE:
        return None
    scores = [score for reading in readings for score in reading.scores]
    missing = sum(len(reading.missing) for reading in readings)
    return Judging(
        model=record.study.scorer.judge,
        examined=tuple(map(_examined, record.examinations)),
        bias=_bias(scores),
        missing=missing,
        answers=len(scores) + missing,
        spent=spent,
        readings=len(readings),
        total_dollars=record.judging_dollars,
        priced=record.study.scorer.priced,
        tallies=_tallies(record),
    )


def _tallies(record: SessionRecord) -> tuple[tuple[str, int, int, int], ...]:
    found = {}
    for decision in record.decisions_on_changes:
        if decision.comparison and (tally := decision.comparison.tally):
            stack = decision.row.get("stack")
            found[f"stack {stack}" if stack else f"{decision.turn:03d}"] = (tally.won, tally.lost, tally.tied)
    return tuple((name, *counts) for name, counts in found.items())


def _examined(row: ExaminationRow) -> JudgeExamination:
    found: Examination = examination_from(row.data)
    wanted = sum(finding.passed for finding in found.findings)
    return JudgeExamination(
        after=row.turn,
        time=row.time,
        passed=row.passed,
        wanted=wanted,
        findings=len(found.findings),
        spread=found.spread,
        shift=found.shift,
        epoch=found.epoch,
        why=found.unfit or found.moved,
    )


def _bias(scores: Sequence[Score]) -> tuple[Bias, ...]:
    given = [score for score in scores if "judge_overall" in score.components]
    parts = {
        "all": given,
        "without a critical failure": [score for score in given if not score.critical],
        "with a critical failure": [score for score in given if score.critical],
    }
    return tuple(
        Bias(name, fmean(score.components["judge_overall"] - score.value for score in own), len(own))
        for name, own in parts.items()
        if own
    )
