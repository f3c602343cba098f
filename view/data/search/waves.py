"""The waves of a session: recipes that each moved several knobs, and what became of their probes."""

from dataclasses import dataclass

from agent.ledger.designs import RecordedWave
from agent.ledger.tables import ProbeRow
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFigures:
    """``design``: "spread" for a first wave, which moves every knob in many recipes, or "drawn" for a wave that was
    drawn from what the model knew. ``changes``: how many its recipes carried; ``new``: how many of them no earlier wave
    had. ``failed``: the kind of each failed probe; ``waiting``: probes without an outcome."""

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
    """The waves in their order."""
    rows = {(row.recipe, row.seed): row for row in (*record.borrowed, *record.probes) if row.key == record.session.key}
    found, seen = [], set[str]()
    for wave in record.waves:
        found.append(_figures(wave, rows, len(wave.proposals - seen)))
        seen |= wave.proposals
    return tuple(found)


def _figures(wave: RecordedWave, rows: dict[tuple[str, int], ProbeRow], new: int) -> WaveFigures:
    own = [rows.get((made.digest, wave.seed)) for made in wave.recipes]
    return WaveFigures(
        number=wave.number,
        time=wave.time,
        design=wave.design,
        seed=wave.seed,
        recipes=len(wave.recipes),
        changes=len(wave.proposals),
        new=new,
        failed=tuple(sorted(row.kind for row in own if row is not None and row.kind != "reading")),
        waiting=sum(row is None for row in own),
    )
