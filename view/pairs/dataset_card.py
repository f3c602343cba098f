"""The dataset card of an export (pairs of answers, or of proposals): content, origin, audit and licence."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.ledger.tables import ProposalRow
from agent.proposers.preference_data import ProposerExport, prediction
from preferences.export.dataset import PROPOSER, ExportedDataset
from preferences.export.record import tags
from preferences.store.annotations import judged_bad
from preferences.store.audit import CONFIDENCE
from preferences.store.rows import PAIR, SIDES
from view.templating import render

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def export_data(exported: ExportedDataset) -> dict[str, Any]:
    """What was written, as plain JSON values."""
    return {
        "kind": exported.kind,
        "file": str(exported.file),
        "card": str(exported.card),
        "rows": len(exported.rows),
        "held_back": exported.held_back,
        "repeated": exported.repeated,
        "reviewed": exported.audit.reviewed,
        "judged_bad": list(judged_bad(exported.rows)),
        "ids": [row.id for row in exported.rows],
    }


def export_warnings(exported: ExportedDataset) -> list[str]:
    """Warnings for a person before training on an export, one sentence each."""
    warnings = []
    if not exported.audit.reviewed:
        warnings.append(f"nobody has reviewed this set; run nightlane pairs review --kind {exported.kind}")
    for row in judged_bad(exported.rows):
        warnings.append(f"a reviewer judged row {row} bad; nightlane pairs vote {row} drop takes it out")
    return warnings


def card_markdown(exported: ExportedDataset, licence: str) -> str:
    names, rows = SIDES[exported.kind], exported.rows
    origins = Counter((name, side.origin) for row in rows for name, side in zip(names, row.sides, strict=True))
    provenances = [row.row.provenance for row in rows]
    sides = [side for row in rows for side in row.sides]
    return dataset_card(
        "dataset_card",
        kind=exported.kind,
        file=exported.file,
        columns=("prompt", *names, *(["score"] if exported.kind == "reward" else [])),
        rows=len(rows),
        licence=licence,
        exported=exported,
        audit=exported.audit,
        confidence=CONFIDENCE,
        origins=sorted(origins.items()),
        provenance={
            "sessions": distinct(one.session for one in provenances),
            "decisions": distinct(one.decision for one in provenances),
            "recipes": distinct(side.recipe for side in sides),
            "probes": distinct(side.probe for side in sides),
            "scorers": distinct(one.scorer for one in provenances),
        },
        certified=sum((row.row.receipt or {}).get("certified") is True for row in rows),
        flipped=sum(row.flipped for row in rows),
    )


def dataset_card(
    template: str, *, kind: str, file: Path, columns: Sequence[str], rows: int, licence: str, **values: object
) -> str:
    """The card from a template that extends ``card.md.jinja``, below the YAML front matter that hubs read."""
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    front_matter = f"""---
license: {json.dumps(licence)}
{tags(kind)}
size_categories: [{json.dumps(size)}]
configs:
- config_name: default
  data_files:
  - split: train
    path: {file.name}
---

"""
    folder = json.dumps(str(file.parent.name or file.parent))
    return front_matter + render(
        template, kind=kind, folder=folder, columns=columns, rows=rows, licence=licence, **values
    )


def distinct(names: Iterable[str]) -> list[str]:
    """Each name once, in order, without empty ones."""
    return [name for name in dict.fromkeys(names) if name]


def proposer_data(exported: ProposerExport) -> dict[str, Any]:
    """What was written, as plain JSON values."""
    return {
        "kind": PROPOSER,
        "file": str(exported.file),
        "card": str(exported.card),
        "rows": len(exported.pairs),
        "decisions": [{"chosen": pair.kept.id, "rejected": pair.discarded.id} for pair in exported.pairs],
    }


def proposer_card(exported: ProposerExport, licence: str) -> str:
    pairs = exported.pairs
    sides = [(name, row) for pair in pairs for name, row in zip(PAIR, (pair.kept, pair.discarded), strict=True)]
    return dataset_card(
        "proposer_card",
        kind=PROPOSER,
        file=exported.file,
        columns=("prompt", *PAIR),
        rows=len(pairs),
        licence=licence,
        proposers=sorted(Counter((name, row.proposer, _predicted(row)) for name, row in sides).items()),
        reasons=sorted(Counter((pair.kept.lane, pair.reason) for pair in pairs).items()),
        sessions=distinct(pair.kept.session for pair in pairs),
        keeps=distinct(pair.kept.id for pair in pairs),
    )


def _predicted(row: ProposalRow) -> str:
    return "0, for none" if prediction(row) is None else "the proposer's"
