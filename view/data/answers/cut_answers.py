"""How many answers of a session were cut at max_new_tokens, in all and by recipe."""

from dataclasses import dataclass

from probes.result.cut_answers import REMEDY, CutAnswers, cut_answers
from probes.result.reading import Reading
from view.data.search.replicates import measured_pairs
from view.data.search.stacks import ConfirmedStack
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFigures:
    """``session``: all probes of this session; ``start``: the starting recipe; ``incumbent``: the incumbent, if it is
    another recipe. Each is None if no reading recorded which answers were cut."""

    max_new_tokens: int
    session: CutAnswers | None
    start: CutAnswers | None
    incumbent: CutAnswers | None


def cut_figures(record: SessionRecord) -> CutFigures:
    """Reads the outcomes of all probes of the session."""
    measured = (record.outcomes.get(row.id) for row in record.probes)
    return _figures(record, cut_answers(outcome for outcome in measured if isinstance(outcome, Reading)))


def cut_by_recipe(record: SessionRecord) -> CutFigures:
    """The same without the figure of the whole session, so that only the probes of two recipes are read."""
    return _figures(record, None)


def _figures(record: SessionRecord, session: CutAnswers | None) -> CutFigures:
    start, incumbent = record.session.start, record.incumbent.digest
    return CutFigures(
        max_new_tokens=record.study.file.probe.max_new_tokens,
        session=session,
        start=cut_answers(record.readings(start)),
        incumbent=cut_answers(record.readings(incumbent)) if incumbent != start else None,
    )


def cut_text(found: CutAnswers) -> str:
    return f"{found.cut} of {found.answers} answers ({found.share:.1%})".replace("%", " %")


def remedy(found: CutAnswers) -> str:
    """What to do about cut answers, as the end of a sentence; "" if few were cut."""
    return f": their ends are missing, {REMEDY}" if found.noticeable else ""


def cut_by_side(record: SessionRecord, stack: ConfirmedStack) -> tuple[CutAnswers | None, CutAnswers | None]:
    """The cut answers of the stack's recipe and of the incumbent, in the pairs of its confirmation."""
    pairs = measured_pairs(record, stack)
    return cut_answers(mine for mine, _ in pairs), cut_answers(theirs for _, theirs in pairs)
