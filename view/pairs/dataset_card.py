"""The dataset card of an export: what is in it, where it comes from, what its audit found, under which licence."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from preferences.export.dataset import Exported
from preferences.export.record import tags
from preferences.store.rows import SIDES
from view.pairs.audit import audit_sections
from view.report.markdown import code, count, table, text

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
FORM = {"jsonl": "json", "parquet": "parquet"}
LISTED = 10


def export_data(exported: Exported) -> dict[str, Any]:
    """What was written, as plain JSON values."""
    return {
        "kind": exported.kind,
        "file": str(exported.file),
        "card": str(exported.card),
        "rows": len(exported.rows),
        "held_back": exported.held_back,
        "repeated": exported.repeated,
        "ids": [one.id for one in exported.rows],
    }


def card_markdown(exported: Exported, licence: str) -> str:
    columns = ("prompt", *SIDES[exported.kind], *(["score"] if exported.kind == "reward" else []))
    sections = [
        _held_back(exported),
        ["## Where they come from", "", *_provenance(exported)],
        ["## What the audit found"],
        *audit_sections(exported.audit),
    ]
    return dataset_card(exported.kind, exported.file, columns, len(exported.rows), licence, sections)


def dataset_card(
    kind: str, file: Path, columns: Sequence[str], rows: int, licence: str, sections: Iterable[Sequence[str]]
) -> str:
    """A card as hubs read it: front matter, how to load the data, these sections, the licence."""
    around = [
        _front_matter(kind, file, rows, licence),
        [
            f"# {kind} rows of nightlane",
            "",
            f"{count(rows, 'row')} with the columns "
            f"{', '.join(f'`{name}`' for name in columns)}, as TRL trains on them:",
        ],
        [
            "```python",
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset({json.dumps(str(file.parent.name or file.parent))}, split="train")',
            "```",
        ],
    ]
    last = f"{text(licence)}. The texts are by models and people; nightlane licenses none of them."
    return "\n\n".join("\n".join(lines) for lines in [*around, *sections, ["## Licence", "", last]] if lines) + "\n"


def _front_matter(kind: str, file: Path, rows: int, licence: str) -> list[str]:
    """YAML; texts are quoted as JSON, which is YAML too."""
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    return [
        "---",
        f"license: {json.dumps(licence)}",
        tags(kind),
        f"size_categories: [{json.dumps(size)}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        f"    path: {file.name}",
        "---",
    ]


def _held_back(exported: Exported) -> list[str]:
    why = {
        "with more votes down than up": exported.held_back,
        "that say what another one says, or its opposite": exported.repeated,
    }
    told = [f"{count(number, 'row')} {which}" for which, number in why.items() if number]
    return [f"Left out: {', '.join(told)}."] if told else []


def _provenance(exported: Exported) -> list[str]:
    rows = [one.row.provenance for one in exported.rows]
    sides = [side for one in exported.rows for side in one.sides]
    named: dict[str, Iterable[str]] = {
        "sessions": (row.session for row in rows),
        "decisions": (row.decision for row in rows),
        "recipes": (side.recipe for side in sides),
        "probes": (side.probe for side in sides),
        "scorers": (row.scorer for row in rows),
    }
    origins = Counter(
        (name, side.origin) for one in exported.rows for name, side in zip(SIDES[exported.kind], one.sides, strict=True)
    )
    cells = [(name, origin, str(number)) for (name, origin), number in sorted(origins.items())]
    flipped = sum(one.flipped for one in exported.rows)
    certified = sum((one.row.receipt or {}).get("certified") is True for one in exported.rows)
    return [
        *table(("side", "origin", "rows"), cells, right=(2,)),
        "",
        *(f"- {name}: {listed(found)}" for name, found in named.items()),
        f"- certified by the gate: {certified} of {len(exported.rows)}",
        f"- sides swapped by a vote: {flipped}",
    ]


def listed(names: Iterable[str]) -> str:
    """Each name once, the first few of many."""
    found = [name for name in dict.fromkeys(names) if name]
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return (", ".join(map(code, found[:LISTED])) + more) or "none"
