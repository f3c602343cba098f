"""Adds files of every kind that has digests to a workspace, so that tests can damage them.

add_files_with_digests(workspace)
"""

import json
from collections.abc import Iterable
from pathlib import Path

from agent.workspace.choices_file import choices_path, write_choices
from common.digests import file_digest, with_own_digest
from evaluation.results import write_figures
from finetune.export import RECORD as EXPORTED
from finetune.manifest import Manifest, saved, write_manifest
from finetune.promotion import RECORD as PROMOTION
from finetune.start import RunStart, write_start
from lanes import Recipe
from preferences.export.record import ExportRecord, write_record
from probes.result.comparison import Choice
from probes.result.reading import Probe, Reading
from probes.run.store import ProbeStore
from probes.train.curve import NAME as CURVE


def add_files_with_digests(workspace: Path) -> None:
    """Add the adapter of a probe, choices of the last session, an evaluation, an export of pairs (``mined``), a
    full-length run (``model``), a promotion, and an exported adapter (``exported``)."""
    _add_adapter(ProbeStore(workspace / "runs"))
    choices = [Choice(1, f"prompt {number}", 0, (-1.0, 0.0, 1.0)[number % 3]) for number in range(9)]
    write_choices(choices_path(max((workspace / "runs").glob("session-*")), "a-b"), choices, None)
    evaluation = workspace / "runs" / "evaluation-1"
    evaluation.mkdir()
    for name in ("results.jsonl", "answers-1.jsonl"):
        (evaluation / name).write_text('{"problem": "T/1"}\n' * 9, encoding="utf-8")
    (evaluation / "report.md").write_text(
        "# All answers passed\n\nNo failure was found among them.\n", encoding="utf-8"
    )
    write_figures(evaluation, {"problems": 1})
    _add_export(workspace / "mined")
    _add_full_length_run(workspace / "model")
    _add_recorded(workspace / "runs" / "promotion-1", "report.md", PROMOTION)
    _add_recorded(workspace / "exported", "adapter.gguf", EXPORTED)


def _add_adapter(store: ProbeStore) -> None:
    """An adapter beside the first reading of a probe that was trained."""
    for folder in sorted(store.runs.glob("probe-*")):
        outcome = store.read(folder.name.removeprefix("probe-"))
        if not isinstance(outcome, Reading):
            continue
        recipe = Recipe.from_toml((folder / "recipe.toml").read_text(encoding="utf-8"))
        probe = Probe(recipe, outcome.key, outcome.seed)
        if probe.id == outcome.probe:
            _write_weights(folder / "adapter")
            store.put(probe, outcome)
            return


def _add_export(folder: Path) -> None:
    folder.mkdir()
    data = folder / "train.jsonl"
    data.write_text('{"prompt": "one"}\n' * 9, encoding="utf-8")
    record = ExportRecord(
        kind="dpo",
        set_digest="0123",
        in_use=9,
        file=data.name,
        file_digest=file_digest(data),
        rows=("a row",) * 9,
        flipped=(),
        reviewed=True,
    )
    write_record(folder, record)


def _add_full_length_run(folder: Path) -> None:
    _write_weights(folder / "adapter")
    recipe = Recipe.model_validate({"mixture": {"good": 1.0}})
    start = RunStart(
        study="a study",
        origin="the study",
        recipe=recipe.digest,
        objective="orpo",
        seed=1,
        steps=2,
        base="a base",
        data={},
        environment="here",
        rows_at_once=1,
        gradient_checkpointing=False,
        unreviewed=False,
        save_every=1,
        spot_check=0,
    )
    write_start(folder, start, recipe)
    manifest = Manifest(
        study="a study",
        recipe="a recipe",
        origin="the study",
        seed=1,
        steps=2,
        sources=(),
        base="a base",
        final={},
        seconds=1.0,
        tokens=1,
        files=saved(folder / "adapter"),
    )
    write_manifest(folder, manifest)


def _add_recorded(folder: Path, name: str, record: str) -> None:
    """A file of some lines, and the record with its digest."""
    folder.mkdir()
    (folder / name).write_text("a line of a file that has a digest\n" * 9, encoding="utf-8")
    digests = {name: file_digest(folder / name)}
    (folder / record).write_text(with_own_digest(json.dumps({"files": digests})), encoding="utf-8")


def _write_weights(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"weights" * 99)


def write_curve(folder: Path, steps: Iterable[int], target: int) -> None:
    """Append to the train.jsonl of a run or a probe, as training does; the figures depend on the step alone."""
    with (folder / CURVE).open("a", encoding="utf-8") as stream:
        for step in steps:
            row = {
                "step": step,
                "seconds": 0.5 * step,
                "loss": round(0.7 - 0.3 * step / target + 0.02 * (step % 3), 4),
                "token_accuracy": round(0.9 + 0.05 * step / target, 4),
                "grad_norm": round(1.5 + 0.1 * (step % 5), 4),
                "learning_rate": 1e-4 * (1 - step / target),
                "seconds_left": 0.5 * (target - step),
            }
            stream.write(json.dumps(row) + "\n")
