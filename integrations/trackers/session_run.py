"""What is logged of a session: a run for each probe, the decisions as a table, and the report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.ledger.results.columns import COLUMNS
from agent.ledger.tables import ProbeRow
from common.redaction import redacted
from probes.result.reading import Reading
from probes.train.curve import NAME, read_curve
from view.data.figures import shown
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """A probe as a run of its session's group. ``config``: its recipe and seed. ``curve``: figures by training step.
    ``figures``: its means by category on the scale from 0 to 10, seconds, tokens and memory; empty for a failure.
    ``kind``: "reading", or a failure's kind."""

    name: str
    group: str
    kind: str
    config: Mapping[str, str | int | float]
    curve: tuple[tuple[int, Mapping[str, float]], ...]
    figures: Mapping[str, float]


def probe_run(record: SessionRecord, row: ProbeRow) -> ProbeRun:
    folder, outcome = record.store.directory(row.id), record.outcomes.get(row.id)
    return ProbeRun(
        name=f"probe-{row.id}",
        group=record.session.id,
        kind=row.kind,
        config={**_recipe(record, row.recipe), "seed": row.seed, "recipe": row.recipe},
        curve=_curve(folder / NAME),
        figures=_figures(outcome) if isinstance(outcome, Reading) else {},
    )


def decision_table(record: SessionRecord) -> list[dict[str, str | int | float | None]]:
    """The session's rows of results.tsv."""
    return [{name: _cell(decision.row.get(name)) for name in COLUMNS} for decision in record.decisions]


def totals(record: SessionRecord) -> dict[str, float]:
    """The figures of the run that stands for the session itself."""
    counts = [decision.status for decision in record.decisions_on_changes]
    return {
        "kept": float(counts.count("KEEP") - len(record.retractions)),
        "decisions": float(len(counts)),
        "probes": float(len(record.probes)),
        "active_hours": record.spent.hours,
        "dollars": record.spent.dollars,
    }


def _recipe(record: SessionRecord, digest: str) -> dict[str, str | int | float]:
    from agent.ledger.store import Ledger

    with Ledger(record.workspace.ledger, read_only=True) as ledger:
        recipe = ledger.recipe(digest)
    return {knob.name: _plain(knob.read(recipe)) for knob in record.study.lanes.knobs}


def _figures(reading: Reading) -> dict[str, float]:
    categories = sorted({score.category for score in reading.scores})
    means = {f"score/{name}": reading.mean(name) for name in ("overall", *categories)}
    found = {**means, "seconds": reading.timing.total, "tokens": float(reading.tokens), "peak_gb": reading.peak_gb}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _curve(path: Path) -> tuple[tuple[int, Mapping[str, float]], ...]:
    """The finite figures of each whole line of train.jsonl."""
    return tuple(
        (
            int(line["step"]),
            {f"train/{name}": float(value) for name, value in line.items() if name != "step" and _is_finite(value)},
        )
        for line in read_curve(path)
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) else shown(value)


def _cell(value: Any) -> str | int | float | None:
    return redacted(value) if isinstance(value, str) else value
