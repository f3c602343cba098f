"""Which rows a person should review: the quarter with the lowest coverage, or score where there is no coverage."""

from collections.abc import Callable, Sequence
from math import ceil

from preferences.store.annotations import ENOUGH_REVIEWS, AnnotatedRow, is_judged, set_digest, usable_rows

QUARTER = 0.25


def select_for_review(found: Sequence[AnnotatedRow], rows: int = ENOUGH_REVIEWS) -> tuple[AnnotatedRow, ...]:
    """At most ``rows`` of the rows in use: those not yet judged in this set first, then by rank from the lowest.

    Rows with a coverage are ranked by it, the others by their margin (rewards by score). The lowest quarter of each
    group is selected, and more where that is fewer than ``rows``.
    """
    used, digest = usable_rows(found), set_digest(found)
    covered = [one for one in used if one.coverage is not None]
    others = [one for one in used if one.coverage is None]
    lowest = [*_lowest(covered, lambda one: one.coverage), *_lowest(others, _score)]
    if len(lowest) < rows:
        taken = {one.id for one in lowest}
        ranked = [*_ranked(covered, lambda one: one.coverage), *_ranked(others, _score)]
        lowest += [one for one in ranked if one.id not in taken]
    return tuple(sorted(lowest, key=lambda one: is_judged(one, digest))[:rows])


def _lowest(rows: Sequence[AnnotatedRow], figure: Callable[[AnnotatedRow], float | None]) -> list[AnnotatedRow]:
    return _ranked(rows, figure)[: ceil(len(rows) * QUARTER)]


def _ranked(rows: Sequence[AnnotatedRow], figure: Callable[[AnnotatedRow], float | None]) -> list[AnnotatedRow]:
    """Lowest first, ties by id; rows without a figure come last."""

    def place(one: AnnotatedRow) -> tuple[bool, float, str]:
        value = figure(one)
        return value is None, value or 0.0, one.id

    return sorted(rows, key=place)


def _score(one: AnnotatedRow) -> float | None:
    return one.scores[0] if len(one.scores) == 1 else one.margin
