"""Which rows a person should look at: those of the lowest quarter of coverage, or of score where there is none."""

from collections.abc import Callable, Sequence
from math import ceil

from preferences.store.overlay import ENOUGH, Standing, in_use, judged, set_digest

QUARTER = 0.25


def to_review(found: Sequence[Standing], rows: int = ENOUGH) -> tuple[Standing, ...]:
    """At most ``rows`` of the rows in use, the lowest first, those that nobody judged on this set before the others.

    Rows with a receipt that states a coverage are ranked by it, the others by their margin (a reward by its score);
    the lowest quarter of each is looked at, and no fewer than ``rows`` where there are so many.
    """
    used, digest = in_use(found), set_digest(found)
    covered = [one for one in used if one.coverage is not None]
    others = [one for one in used if one.coverage is None]
    lowest = [*_lowest(covered, lambda one: one.coverage), *_lowest(others, _score)]
    if len(lowest) < rows:
        taken = {one.id for one in lowest}
        lowest += [one for one in [*_ranked(covered, lambda one: one.coverage), *_ranked(others, _score)]
                   if one.id not in taken]  # fmt: skip
    return tuple(sorted(lowest, key=lambda one: judged(one, digest))[:rows])


def _lowest(rows: Sequence[Standing], figure: Callable[[Standing], float | None]) -> list[Standing]:
    return _ranked(rows, figure)[: ceil(len(rows) * QUARTER)]


def _ranked(rows: Sequence[Standing], figure: Callable[[Standing], float | None]) -> list[Standing]:
    """Lowest first, without a figure last, equal ones by id."""

    def place(one: Standing) -> tuple[bool, float, str]:
        value = figure(one)
        return value is None, value or 0.0, one.id

    return sorted(rows, key=place)


def _score(one: Standing) -> float | None:
    return one.scores[0] if len(one.scores) == 1 else one.margin
