"""``nightlane pairs score``: asks a study's scorer about the rows of a plan, and records its scores in the stores."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from common.clock import now
from preferences.scoring.plan import NEEDS_CHECKS, RowToScore, ScoringPlan, prompts_with_checks
from preferences.store.annotations import AnnotatedRow, text_digest
from preferences.store.scorings import Scoring, StoredMark, marks_to_json
from preferences.store.stores import Stores
from probes.endpoint.spending import NO_USAGE, SpendingMeter, Usage
from probes.inputs.material import Material
from probes.scoring import Context, Mark, Missing, Scorer, scorer_class
from probes.scoring.failures import scorer_failures_reported

BATCH = 100

Note = Callable[[str], None]
OnProgress = Callable[[int, int], None]
"""Called with the number of rows that are done, and of all."""


@dataclass(frozen=True)
class StoreScoring:
    """``scored``: the rows that were scored, with their scores. ``missing``: the number of rows with an answer that
    could not be judged, by reason; they stay without scores. ``spent``: what a judge used."""

    plan: ScoringPlan
    scored: tuple[AnnotatedRow, ...]
    missing: Mapping[str, int]
    spent: Usage

    @property
    def reversed(self) -> tuple[str, ...]:
        """Ids of the rows whose rejected side scores as much as the chosen one, or more."""
        return tuple(row.id for row in self.scored if row.margin is not None and row.margin <= 0)


def score_rows(
    stores: Stores, plan: ScoringPlan, material: Material, study: str, note: Note, progress: OnProgress
) -> StoreScoring:
    """Score the rows batch by batch. Each batch is on the disk before the next begins, so that Ctrl-C loses little.

    MissingRequirement if the scorer fails, EndpointUnavailable if the judge's endpoint does.
    """
    if not plan.rows:
        return StoreScoring(plan, (), {}, NO_USAGE)
    scored, missing = set[str](), Counter[str]()
    kind = scorer_class(material.scorer.kind)
    if material.scorer.kind == NEEDS_CHECKS:
        kind.check(material.scorer, material.folder, prompts_with_checks(plan))
    scorer, meter = kind(material.scorer, material.folder), SpendingMeter()
    if scorer.about:
        note(scorer.about)
    try:
        with scorer_failures_reported(), meter:
            for start in range(0, len(plan.rows), BATCH):
                batch = plan.rows[start : start + BATCH]
                new = _score_batch(batch, scorer, Context(note, meter), missing)
                stores.score(
                    [
                        Scoring(row=id_, marks=marks, scorer=plan.scorer, kind=scorer.kind, study=study, time=now())
                        for id_, marks in new.items()
                    ]
                )
                scored |= new.keys()
                progress(start + len(batch), len(plan.rows))
    finally:
        scorer.close()
    rows = tuple(row for row in stores.read(plan.kind) if row.id in scored)
    return StoreScoring(plan, rows, dict(missing), meter.spent)


def _score_batch(
    batch: Sequence[RowToScore], scorer: Scorer, context: Context, missing: Counter[str]
) -> dict[str, str]:
    """Id of each row whose texts all have a mark -> the marks as JSON; the other rows are counted in ``missing``."""
    judged = iter(scorer.score([answer for row in batch for answer in row.answers], context))
    found = {}
    for planned in batch:
        marks = [next(judged) for _ in planned.answers]
        reasons = [mark.reason for mark in marks if isinstance(mark, Missing)]
        if reasons:
            missing[reasons[0]] += 1
            continue
        texts = zip(planned.row.row.texts, marks, strict=True)
        found[planned.row.id] = marks_to_json({text_digest(t): _stored(m) for t, m in texts if isinstance(m, Mark)})
    return found


def _stored(mark: Mark) -> StoredMark:
    components = {name: float(value) for name, value in mark.components.items()}
    return StoredMark(float(mark.value), components, tuple(mark.critical), mark.note)
