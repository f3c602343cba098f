"""The model card of an export: what it was made from and how, how good it is, and how to serve it."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from common.printable import printable
from finetune.export.exported import ExportedModel, record
from view.export.background import Background
from view.templating import render

UNKNOWN = "unknown"
TITLES = {"adapter": "LoRA adapter", "gguf": "LoRA adapter as GGUF", "merged": "Merged model"}
LIBRARIES = {"adapter": "peft", "gguf": "gguf", "merged": "transformers"}


@dataclass(frozen=True)
class Licences:
    """Of the adapter, of its base and of its training data, as the user names them."""

    adapter: str = UNKNOWN
    base: str = UNKNOWN
    data: str = UNKNOWN


def card_markdown(done: ExportedModel, licences: Licences, known: Background) -> str:
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


def _front_matter(done: ExportedModel, licences: Licences) -> str:
    """The YAML front matter that hubs read. It names no base that is a folder of this machine."""
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


def export_data(done: ExportedModel) -> dict[str, Any]:
    """The result of ``nightlane export`` as plain JSON values."""
    return {"folder": str(done.folder), **record(done), "commands": [asdict(one) for one in done.commands]}


def export_text(done: ExportedModel) -> str:
    """The checks and the commands, for the terminal."""
    return printable(render("export", done=done, title=TITLES[done.kind]))
