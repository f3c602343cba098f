"""A study of the tiny model whose source is an export of a store, for tests of full-length runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny

from finetune.plan import FinetuneRequest, TrainingPlan, plan
from preferences.export.dataset import export
from preferences.store.annotations import Review, ReviewAnswer
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row
from preferences.store.stores import Stores
from probes.inputs.prompts import load_prompts
from probes.inputs.settings import ModelSettings
from testing import simulated_study

TIME = "2026-11-21T20:00:00Z"
STUDY = """
name = "full"
[model]
path = "{model}"
[recipe]
learning_rate = 1e-3
lora_rank = 4
lora_alpha = 8
effective_batch = 4
max_length = 128
mixture = "mined_only"
[data.sources]
mined = "mined/train.jsonl"
good = "good.jsonl"
[data.manifests.mined_only]
mined = 1.0
[data.manifests.both]
mined = 3.0
good = 1.0
[prompts]
file = "prompts.jsonl"
[target]
category = "lists"
"""


def stores(folder: Path, rows: int = 8) -> Stores:
    """Stores in the workspace ``folder`` with DPO rows that repeat no prompt of the study."""
    made = Stores(folder / "runs" / "rl_data")
    simulated_study.write_data(folder)
    made.reserve(load_prompts(folder / "prompts.jsonl"))
    made.add([row(number) for number in range(rows)])
    return made


def row(number: int) -> Row:
    pair, side = simulated_study.pairs("mined")[number], TextOrigin("sampled")
    return Row(
        kind="dpo",
        time=TIME,
        prompt=pair["prompt"],
        texts=(pair["chosen"], pair["rejected"]),
        scores=(8.0 - number / 10, 4.0),
        category="arithmetic",
        source="harvest",
        provenance=Provenance((side, side), "s1", "s1-001", f"harvest-{number}", "k"),
    )


def review(found: Stores, numbers: range, verdict: ReviewAnswer = "good", by: str = "ann", of: str = "") -> None:
    for number in numbers:
        found.review(Review(row(number).id, verdict, by, TIME, of or found.digest("dpo")))


def exported(found: Stores, folder: Path) -> Path:
    """Export the rows of the store to the path that the study names."""
    return export(found, "dpo", "jsonl", folder / "mined").file


def asked(where: Path, **changes: Any) -> FinetuneRequest:
    """A request for a run on the export. ``changes``: fields of the request, or parameters of its recipe. If the folder
    has no model, the study names a hub model that is not in the cache."""
    recipe = tiny.recipe(**{"mixture": {"mined": 1.0}, **changes.pop("recipe", {})})
    material = tiny.material(where)
    data = material.data.model_copy(update={"sources": {"mined": "mined/train.jsonl", "good": "good.jsonl"}})
    material = replace(
        material, data=data, model=ModelSettings(path="model" if (where / "model").exists() else "nobody/model")
    )
    values = {
        "study": "full",
        "material": material,
        "recipe": recipe,
        "origin": "a test",
        "folder": where / "out",
        "seed": 42,
        "steps": 4,
    }
    return FinetuneRequest(**{**values, **changes})


def planned(where: Path, found: Stores, **changes: Any) -> TrainingPlan:
    return plan(asked(where, **changes), found)


def write_study(folder: Path, model: Path) -> Path:
    path = folder / "study.toml"
    path.write_text(STUDY.format(model=model), encoding="utf-8")
    return path
