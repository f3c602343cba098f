"""The model card of an export: from what and how it was made, how good it is, and how to serve it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas

from common.printable import printable
from evaluation.own_study.evaluate import KIND
from evaluation.results import FIGURES, altered_files
from finetune.export.exported import Exported, record
from probes.model.load import adapter_digest
from view.data.results import read_results
from view.templating import render

UNKNOWN = "unknown"
DECIDED = ("KEEP", "RETRACT")
TITLES = {"adapter": "LoRA adapter", "gguf": "LoRA adapter as GGUF", "merged": "Merged model"}
LIBRARIES = {"adapter": "peft", "gguf": "gguf", "merged": "transformers"}


@dataclass(frozen=True)
class Licences:
    """Of the adapter, of its base and of its training data, as the user names them."""

    adapter: str = UNKNOWN
    base: str = UNKNOWN
    data: str = UNKNOWN


@dataclass(frozen=True)
class Background:
    """``evaluation``: the latest evaluation.json that has the adapter, and ``side``: what it says of it; None if there
    is none. ``decided``: the rows of results.tsv that led to the recipe."""

    evaluation: Mapping[str, Any] | None = None
    side: Mapping[str, Any] | None = None
    decided: tuple[Mapping[str, Any], ...] = ()


def background(adapter: Path, run: Mapping[str, Any], workspace: Path) -> Background:
    """What a workspace knows of an adapter."""
    digest = adapter_digest(adapter)
    decided = tuple(_decided(str(run.get("origin", "")), workspace / "results.tsv"))
    for found in _evaluations(workspace / "runs"):
        side = next((one for one in found["sides"] if one.get("digest") == digest and not one.get("form")), None)
        if side is not None and side.get("changes"):
            return Background(found, side, decided)
    return Background(decided=decided)


def _evaluations(runs: Path) -> Iterator[dict[str, Any]]:
    """The undamaged evaluations of studies, the latest first."""
    for path in sorted(runs.glob(f"evaluation-*/{FIGURES}"), reverse=True):
        if not altered_files(path.parent):
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.get("kind") == KIND:
                yield found


def _decided(origin: str, results: Path) -> Iterator[dict[str, Any]]:
    """The rows of the session that a run's recipe comes from."""
    if not results.is_file():
        return
    table = read_results(results)
    rows = table[table["status"].isin(DECIDED) & table["session"].map(lambda name: origin.endswith(f"session {name}"))]
    for row in rows.to_dict("records"):
        yield {str(name): None if pandas.isna(value) else value for name, value in row.items()}


def card_markdown(done: Exported, licences: Licences, known: Background) -> str:
    run = done.trained.run
    return _front_matter(done, licences) + render(
        "model_card",
        done=done,
        title=TITLES[done.kind],
        run=run,
        recipe=dict(done.trained.recipe),
        config=done.trained.config,
        licences=licences,
        known=known,
        change=done.checks[0].difference,
    )


def _front_matter(done: Exported, licences: Licences) -> str:
    """What hubs read; a base that is a folder of this machine has no name there."""
    objective = done.trained.recipe.get("objective")
    lines = [f"license: {json.dumps(licences.adapter)}"]
    if done.base.hub_id:
        lines += [
            f"base_model: {json.dumps(done.base.hub_id)}",
            f"base_model_relation: {'merge' if done.kind == 'merged' else 'adapter'}",
        ]
    lines += [f"library_name: {LIBRARIES[done.kind]}", "pipeline_tag: text-generation"]
    lines += ["tags:", *(f"- {json.dumps(tag)}" for tag in ("nightlane", "lora", *([objective] if objective else [])))]
    return "\n".join(["---", *lines, "---", "", ""])


def export_data(done: Exported) -> dict[str, Any]:
    """The result of ``nightlane export`` as plain JSON values."""
    return {"folder": str(done.folder), **record(done), "commands": [asdict(one) for one in done.commands]}


def export_text(done: Exported) -> str:
    """The checks and the commands, for the terminal."""
    return printable(render("export", done=done, title=TITLES[done.kind]))
