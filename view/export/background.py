"""What a workspace knows of an adapter: its evaluation, its promotion, and the rows that led to its recipe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from common.digests import require_own_digest
from evaluation.own_study.evaluate import KIND
from evaluation.results import FIGURES, altered_files
from finetune.promotion import RECORD as PROMOTION
from probes.model.load import adapter_digest
from view.data.results import read_results

DECIDED = ("KEEP", "RETRACT")


@dataclass(frozen=True)
class Background:
    """``evaluation``: the latest evaluation.json that contains the adapter, and ``side``: the adapter's part of it;
    None if there is none. ``promotion``: the promotion.json of its recipe. ``decided``: the rows of results.tsv that
    led to the recipe."""

    evaluation: Mapping[str, Any] | None = None
    side: Mapping[str, Any] | None = None
    promotion: Mapping[str, Any] | None = None
    decided: tuple[Mapping[str, Any], ...] = ()


def background(adapter: Path, run: Mapping[str, Any], workspace: Path) -> Background:
    """``run``: finetune.json of the run that trained the adapter; empty without one."""
    runs, digest = workspace / "runs", adapter_digest(adapter)
    promotion = _promotion(run, runs)
    decided = tuple(_decided(str(run.get("origin", "")), workspace / "results.tsv"))
    for found in _evaluations(runs):
        side = next((one for one in found["sides"] if one.get("digest") == digest and not one.get("form")), None)
        if side is not None and side.get("changes"):
            return Background(found, side, promotion, decided)
    return Background(promotion=promotion, decided=decided)


def _evaluations(runs: Path) -> Iterator[dict[str, Any]]:
    """The undamaged evaluations of studies, the latest first."""
    for path in sorted(runs.glob(f"evaluation-*/{FIGURES}"), reverse=True):
        if not altered_files(path.parent):
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.get("kind") == KIND:
                yield found


def _promotion(run: Mapping[str, Any], runs: Path) -> dict[str, Any] | None:
    """The undamaged promotion of a run's recipe: the latest of the run's own length, else the latest of another."""
    found = []
    for path in runs.glob(f"promotion-*/{PROMOTION}"):
        try:
            text = path.read_text(encoding="utf-8")
            require_own_digest(text)
            one = dict(json.loads(text))
        except (OSError, ValueError):
            continue
        if run and (one["study"], one["stands"]) == (run.get("study"), run.get("recipe")):
            found.append((one["steps"] == run.get("steps"), path.stat().st_mtime_ns, one))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _decided(origin: str, results: Path) -> Iterator[dict[str, Any]]:
    """The rows of the session that a run's recipe comes from."""
    if not results.is_file():
        return
    table = read_results(results)
    rows = table[table["status"].isin(DECIDED) & table["session"].map(lambda name: origin.endswith(f"session {name}"))]
    for row in rows.to_dict("records"):
        yield {str(name): None if pandas.isna(value) else value for name, value in row.items()}
