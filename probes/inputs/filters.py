"""Filters of a source's rows: what a recipe leaves out of a source before rows are drawn from it.

A filter is a pure function of the rows and of the recipe's ``filters``, so it belongs to the recipe's digest and needs
no seed. A stricter value keeps a part of what a milder one keeps.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from common.errors import IllegalRecipe
from lanes import Recipe, SourceFilter, show
from probes.inputs.duplicates import Wordings
from probes.inputs.rows.turns import plain
from probes.inputs.seeded_random import unit
from probes.inputs.sources import TrainingRow

FEWEST_ROWS = 32
"""Rows that a filter leaves at least: with fewer, a probe sees the same ones over and over."""
Rows = tuple[TrainingRow, ...]


def filtered(recipe: Recipe, sources: Mapping[str, Rows]) -> dict[str, Rows]:
    """The rows of every source that the recipe's filters keep, in their order. IllegalRecipe if too few are left of a
    source that the recipe weighs."""
    return {
        name: kept_rows(name, rows, recipe.filters[name]) if name in recipe.mixture and name in recipe.filters else rows
        for name, rows in sources.items()
    }


def kept_rows(name: str, rows: Rows, settings: SourceFilter) -> Rows:
    """The rows of a source that one filter keeps; IllegalRecipe if they are too few."""
    if refusal := refusal_of(name, rows, settings):
        raise IllegalRecipe(refusal)
    return passing(rows, settings)


def refusal_of(name: str, rows: Rows, settings: SourceFilter) -> str | None:
    """Why a filter leaves too few rows of a source, or None."""
    if (kept := len(passing(rows, settings))) >= FEWEST_ROWS:
        return None
    without = sum(row.margin is None for row in rows) if settings.min_margin else 0
    scores = f" ({without} rows have no chosen_score and rejected_score)" if without else ""
    values = ", ".join(f"{key}={show(value)}" for key, value in settings.model_dump().items())
    return (
        f"a filter leaves {FEWEST_ROWS} rows or more and {values} leaves {kept} of the {len(rows)} rows of the source "
        f"{name!r}{scores}; make the filter milder"
    )


@lru_cache(maxsize=64)
def passing(rows: Rows, settings: SourceFilter) -> Rows:
    """The rows that a filter keeps, in their order, however few."""
    kept = [row for row in rows if _passes(row, settings)]
    if settings.duplicates != "keep":
        texts = ((_wording(row, settings.duplicates), place) for place, row in enumerate(kept))
        repeated = {place for place, _, _ in Wordings(texts).repeats()}
        kept = [row for place, row in enumerate(kept) if place not in repeated]
    if settings.subset < 1:
        most = round(settings.subset * len(kept))
        first = sorted(range(len(kept)), key=lambda place: _draw(kept, place))[:most]
        kept = [kept[place] for place in sorted(first)]
    return tuple(kept)


def _passes(row: TrainingRow, settings: SourceFilter) -> bool:
    if settings.min_margin and (row.margin is None or row.margin < settings.min_margin):
        return False
    lengths = sorted((len(plain(row.chosen)), len(plain(row.rejected))))
    return lengths[0] >= settings.length_ratio * lengths[1]


def _wording(row: TrainingRow, what: str) -> str:
    return "\n".join(
        plain(text) for text in ((row.prompt,) if what == "prompts" else (row.prompt, row.chosen, row.rejected))
    )


def _draw(rows: Sequence[TrainingRow], place: int) -> float:
    """A pseudo-random number in [0, 1) of a row, by its texts, so that one more row in a file moves no other."""
    row = rows[place]
    return unit("subset", row.source, row.prompt, row.chosen, row.rejected)
