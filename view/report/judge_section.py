"""The report's section about the judge: was it fit, how do its own overalls differ, what did it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.ledger.tables import ExaminationRow
from probes.endpoint.spending import NO_USAGE, Usage
from probes.result.reading import Reading, Score
from probes.scoring.judge.examination import Examination, examination_from
from view.data.session_record import SessionRecord
from view.report.markdown import count, dollars, table, text


@dataclass(frozen=True, slots=True)
class Examined:
    """An examination after so many decisions, in figures and words."""

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
    """The judge's own overall minus the weighted one, on answers where it gave one: mean and number."""

    answers: str
    mean: float
    number: int


@dataclass(frozen=True, slots=True)
class Judging:
    """``spent``: of all readings that this session measured. ``tallies``: won, lost and tied per decision."""

    model: str
    examined: tuple[Examined, ...]
    bias: tuple[Bias, ...]
    missing: int
    answers: int
    spent: Usage
    readings: int
    total_dollars: float
    priced: bool
    tallies: tuple[tuple[str, int, int, int], ...]


def gather_judging(record: SessionRecord) -> Judging | None:
    """None where nothing was judged by a model."""
    readings = [o for row in record.probes if isinstance(o := record.outcomes.get(row.id), Reading)]
    spent = sum((reading.judging for reading in readings), NO_USAGE)
    if not record.examinations and spent == NO_USAGE:
        return None
    scores = [score for reading in readings for score in reading.scores]
    missing = sum(len(reading.missing) for reading in readings)
    tallies = tuple(
        (f"{decision.turn:03d}", tally["won"], tally["lost"], tally["tied"])
        for decision in record.decided
        if (tally := (decision.comparison or {}).get("tally"))
    )
    return Judging(
        record.study.scorer.judge, tuple(map(_examined, record.examinations)), _bias(scores),
        missing, len(scores) + missing, spent, len(readings), record.judging_dollars,
        record.study.scorer.priced, tallies,
    )  # fmt: skip


def _examined(row: ExaminationRow) -> Examined:
    found: Examination = examination_from(row.data)
    wanted = sum(finding.passed for finding in found.findings)
    return Examined(
        row.turn, row.time, row.passed, wanted, len(found.findings), found.spread, found.shift, found.epoch,
        found.unfit or found.moved,
    )  # fmt: skip


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


def judging_markdown(found: Judging | None) -> list[str]:
    if found is None:
        return []
    lines = ["## The judge", "", *_examinations(found)]
    if found.bias:
        rows = [(text(bias.answers), str(bias.number), f"{round(bias.mean, 2) + 0.0:+.2f}") for bias in found.bias]
        lines += [
            "", "Overalls are computed from the components. The judge's own, minus these:", "",
            *table(("answers", "number", "mean difference"), rows, right=(1, 2)),
        ]  # fmt: skip
    if found.tallies:
        duels = [(name, str(won), str(lost), str(tied)) for name, won, lost, tied in found.tallies]
        lines += [
            "", "Choices between the candidate's answers and the incumbent's; one that turned with the order is a tie:",
            "", *table(("decision", "won", "lost", "tied"), duels, right=(1, 2, 3)),
        ]  # fmt: skip
    return [*lines, "", *_spent(found)]


def _examinations(found: Judging) -> list[str]:
    """Each examination; what was decided since the last that passed is in doubt."""
    rows = [
        (
            _when(place, item),
            "passed" if item.passed else "FAILED",
            f"{item.wanted} of {item.findings}", _figure(item.spread), _figure(item.shift), str(item.epoch),
        )
        for place, item in enumerate(found.examined)
    ]  # fmt: skip
    if not rows:
        return ["It was not examined in this session."]
    headings = ("examined", "result", "answers as wanted", "spread", "moved", "epoch")
    lines = [
        f"Model {text(found.model)}, examined with canaries and the study's calibration set. Spread: standard "
        "deviation between judgements of one answer. Moved: by how many points (root mean square) its marks of the "
        "calibration set went since the comparison epoch began.", "", *table(headings, rows, right=(2, 3, 4, 5)),
    ]  # fmt: skip
    if failed := [item for item in found.examined if not item.passed]:
        lines += ["", f"It failed after {count(failed[0].after, 'decision')}: {text(failed[0].why, 400)}."]
    return lines


def _when(place: int, item: Examined) -> str:
    if item.after == 0:
        return "at the start" if place == 0 else "on resuming"
    return f"after {count(item.after, 'decision')}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _spent(found: Judging) -> list[str]:
    """Per probe and in all; what examinations and choices took is in the dollars of the session only."""
    spent, each = found.spent, max(1, found.readings)
    rows = [
        ("calls per probe", f"{spent.calls / each:.1f} ({spent.cache_hits / each:.1f} more had from the cache)"),
        ("tokens per probe", f"{spent.prompt_tokens / each:,.0f} in, {spent.completion_tokens / each:,.0f} out"),
        ("dollars per probe", dollars(spent.dollars / each) if found.priced else "no price under [scorer]"),
        ("dollars in all", f"{dollars(found.total_dollars)}, examinations included" if found.priced else ""),
        ("answers without a score", f"{found.missing} of {found.answers}"),
    ]  # fmt: skip
    return table(("what", "value"), rows)
