"""Plays planted nights with every policy, and reports its KEEPs, its wrong KEEPs and its share of the headroom.

    nightlane bench decisions [--quick] [--probes 24,48,96,200] [--json] [--landscapes MODULE:NAME] [--output DIR]

The table goes to stdout (JSON with --json), progress to stderr. --output writes decisions.md and decisions.json too.
Exit status 0: the nights were played. The table shows whether the targets are met.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.decisions.figures import by_family
from bench.decisions.play import BUDGETS, Cell, full, played, quick, tasks
from bench.decisions.record import NightRecord
from bench.decisions.table import Results, markdown, targets
from common.errors import BadInput

SHORT = BUDGETS[:2]
"""The budgets, in probes, of the nights that --quick plays."""
FEWEST = 16
"""The smallest budget, in probes, in which every rival can make its first step."""


def main(
    few: bool = False,
    as_json: bool = False,
    landscapes: str | None = None,
    output: Path | None = None,
    probes: str | None = None,
) -> int:
    """``few``: play only a few nights. ``probes``: the budgets of the nights, separated by commas."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # so that --landscapes finds a file in the current folder
    begun = time.perf_counter()
    results = measure(quick(budgets_of(probes, SHORT)) if few else full(budgets_of(probes, BUDGETS)), landscapes)
    data = as_data(results, time.perf_counter() - begun)
    text = "\n".join(markdown(results))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "decisions.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        (output / "decisions.md").write_text(text + "\n", encoding="utf-8")
    print(json.dumps(data) if as_json else text)
    return 0


def budgets_of(probes: str | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """The budgets that an option names, or the default; BadInput unless they are numbers of FEWEST probes or more."""
    if probes is None:
        return default
    try:
        found = tuple(dict.fromkeys(int(part) for part in probes.split(",")))
    except ValueError:
        found = ()
    if not found or min(found) < FEWEST:
        raise BadInput(f"--probes takes whole numbers of {FEWEST} or more and was {probes!r}; write 24,48,96,200")
    return found


def measure(cells: Sequence[Cell], landscapes: str | None = None, processes: int | None = None) -> list[Results]:
    """Play all nights of the cells, and compute their figures."""
    wanted = tasks(cells, landscapes)
    nights: dict[Cell, list[NightRecord]] = {}
    begun = shown = time.perf_counter()
    for done, (task, record) in enumerate(played(wanted, processes), start=1):
        nights.setdefault(task.cell, []).append(record)
        if time.perf_counter() - shown > 5 or done == len(wanted):
            shown = time.perf_counter()
            left = (shown - begun) / done * (len(wanted) - done)
            print(
                f"bench decisions: {done} of {len(wanted)} nights, {left:.0f} s left ...", file=sys.stderr, flush=True
            )
    return [Results(cell, tuple(by_family(records))) for cell, records in nights.items()]


def as_data(results: Sequence[Results], seconds: float) -> dict[str, Any]:
    """The figures for JSON, with null for NaN."""
    cells = [
        {"cell": asdict(result.cell), "name": result.cell.name, "figures": [asdict(f) for f in result.figures]}
        for result in results
    ]
    reached = [asdict(target) for target in targets(results)]
    data: dict[str, Any] = _finite(
        {"seconds": round(seconds, 1), "cores": os.cpu_count(), "targets": reached, "cells": cells}
    )
    return data


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
