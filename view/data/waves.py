"""The waves of a session: recipes that each moved several knobs, and what became of their probes."""

from dataclasses import dataclass

from agent.ledger.tables import CheckRow, ProbeRow
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFigures:
    """``design``: "spread" of a first wave, which moves every knob in most recipes, or "drawn" by what was known.
    ``changes``: that its recipes carried, ``new`` of them in no wave before. ``failed``: kinds of failures, a probe
    each; ``waiting``: probes without an outcome."""

    number: int
    time: str
    design: str
    seed: int
    recipes: int
    changes: int
    new: int
    failed: tuple[str, ...]
    waiting: int


def wave_figures(record: SessionRecord) -> tuple[WaveFigures, ...]:
    """In their order."""
    rows = {(row.recipe, row.seed): row for row in (*record.borrowed, *record.probes) if row.key == record.session.key}
    found, seen = [], set[str]()
    for check in record.waves:
        carried = {name for made in check.data["recipes"] for name in made["proposals"]}
        found.append(_figures(check, rows, carried, len(carried - seen)))
        seen |= carried
    return tuple(found)


def _figures(check: CheckRow, rows: dict[tuple[str, int], ProbeRow], carried: set[str], new: int) -> WaveFigures:
    made, seed = check.data["recipes"], int(check.data["seed"])
    own = [rows.get((one["recipe"], seed)) for one in made]
    return WaveFigures(
        number=int(check.subject),
        time=check.time,
        design=check.data["design"],
        seed=seed,
        recipes=len(made),
        changes=len(carried),
        new=new,
        failed=tuple(sorted(row.kind for row in own if row is not None and row.kind != "reading")),
        waiting=sum(row is None for row in own),
    )
