"""Which rows a person should review: the quarter with the lowest coverage, or score where there is no coverage."""

from collections.abc import Callable, Sequence
from math import ceil

from preferences.store.annotations import ENOUGH_REVIEWS, AnnotatedRow, is_judged, set_digest, usable_rows

QUARTER = 0.25


def select_for_review(rows: Sequence[AnnotatedRow], most: int = ENOUGH_REVIEWS) -> tuple[AnnotatedRow, ...]:
    """At most ``most`` of the rows in use: those not yet judged in this set first, then by rank from the lowest.

    Rows with a coverage are ranked by it, the others by their margin (rewards by score). The lowest quarter of each
    group is selected, and more where that is fewer than ``most``.
    """
    used, digest = usable_rows(rows), set_digest(rows)
    covered = [row for row in used if row.coverage is not None]
    others = [row for row in used if row.coverage is None]
    lowest = [*_lowest(covered, lambda row: row.coverage), *_lowest(others, _score)]
    if len(lowest) < most:
        taken = {row.id for row in lowest}
        ranked = [*_ranked(covered, lambda row: row.coverage), *_ranked(others, _score)]
        lowest += [row for row in ranked if row.id not in taken]
    return tuple(sorted(lowest, key=lambda row: is_judged(row, digest))[:most])


def _lowest(rows: Sequence[AnnotatedRow], figure: Callable[[AnnotatedRow], float | None]) -> list[AnnotatedRow]:
    return _ranked(rows, figure)[: ceil(len(rows) * QUARTER)]


def _ranked(rows: Sequence[AnnotatedRow], figure: Callable[[AnnotatedRow], float | None]) -> list[AnnotatedRow]:
    """Lowest first, ties by id; rows without a figure come last."""

    def place(row: AnnotatedRow) -> tuple[bool, float, str]:
        value = figure(row)
        return value is None, value or 0.0, row.id

    return sorted(rows, key=place)


def _score(row: AnnotatedRow) -> float | None:
    return row.scores[0] if len(row.scores) == 1 else row.margin
