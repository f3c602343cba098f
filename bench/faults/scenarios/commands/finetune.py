"""Full-length runs: with a stub in place of the trainer, and resumed with the real one on a small model."""

import json
import signal
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.commands.full_runs import die_at, run_files, train, write_small_study
from bench.faults.scenarios.commands.material import with_stores, write_stores
from bench.faults.scenarios.commands.pairs import export_as
from bench.faults.scenarios.commands.recovery import files, repeat_in_empty_folder, require_success
from bench.faults.scenarios.scenario import Command, Misbehaved, Run, Scenario, nightlane, repeat


def _refuse_partial_export(root: Path, run: Run) -> Sequence[ProcessResult]:
    """finetune must refuse a partial export, because nobody has reviewed its rows. Then repeat the export."""
    if (root / "out" / "train.jsonl").exists():
        result = run(_finetune(root, "trained"))
        if result.code not in (2, -signal.SIGKILL):
            raise Misbehaved(f"finetune accepted an export that nobody has reviewed, exit {result.code}")
    return repeat_in_empty_folder(export_as("jsonl"))(root, run)


def _write_export_study(root: Path, run: Run) -> None:
    """A study whose only source is the export at ``out``."""
    write_stores(root, run)
    (root / "study" / "none").mkdir()
    path = root / "study" / "study.toml"
    text = path.read_text("utf-8").replace('"good.jsonl"', '"../out/train.jsonl"')
    path.write_text(text.replace('mixture = "even"', 'mixture = "good_only"'), encoding="utf-8")


def _write_export(root: Path, run: Run) -> None:
    _write_export_study(root, run)
    require_success(run(export_as("jsonl")(root)))
    (root / "out").rename(root / "mined")
    path = root / "study" / "study.toml"
    path.write_text(path.read_text("utf-8").replace("../out/", "../mined/"), encoding="utf-8")


def _finetune(root: Path, output: str, *more: str) -> Command:
    study = root / "study" / "study.toml"
    asked = ("--output", root / output, "--steps", 2, "--spot-check", 0, *more, "--workspace", root)
    return nightlane("finetune", study, *asked, before=_replace_trainer)


def _replace_trainer() -> None:
    """Full-length runs have no model: a stub writes the files of the trainer."""
    from common.files import write_durably
    from finetune import plan, run

    def train(base: object, jobs: Sequence[Any], settings: object) -> list[object]:
        job = jobs[0]
        (job.directory / "adapter").mkdir()
        adapter = job.directory / "adapter" / "adapter_model.safetensors"
        with (job.directory / "train.jsonl").open("w", encoding="utf-8") as stream:
            for step in (1, 2):
                stream.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
                stream.flush()
        write_durably(adapter, "weights " * 1000)
        return [types.SimpleNamespace(adapter=adapter.parent, seconds=1.0, tokens=100, final={"loss": 0.5})]

    stub: Any = types.ModuleType("probes.train.trl")
    stub.TrainingJob = lambda recipe, rows, seed, directory, *_: types.SimpleNamespace(directory=directory)
    stub.Trained, stub.train = types.SimpleNamespace, train
    sys.modules["probes.train.trl"] = stub
    values: dict[str, Any] = {
        "base_digest": lambda *_: "none",
        "load_base": lambda *_: types.SimpleNamespace(adapter=None, renderer=None),
        "use_few_threads": lambda *_: None,
        "note_prompt_format": lambda *_: None,
        "load_quietly": lambda: None,
        "prepare_device": lambda *_: "cpu",
        "monotonic": lambda: 0.0,
    }
    patch.multiple(run, **values).start()  # AttributeError for a name that does not exist
    patch.multiple(run._BegunRun, _long_run=lambda *_: None).start()
    patch.multiple(plan, require_fit=lambda *_: None).start()


def _finetune_unreviewed(root: Path) -> Command:
    return _finetune(root, "out", "--unreviewed")


STEPS, EVERY = 4, 2


def _write_cut_run(root: Path, run: Run) -> None:
    """A run of the real trainer that was killed before its second checkpoint counts."""
    write_small_study(root, run)
    asked = ("--steps", STEPS, "--save-every", EVERY, "--spot-check", 2)
    killed = run(train(root, "out", *asked, before=die_at("finetune.watch.callback", "seal", 2)))
    if killed.code != -signal.SIGKILL:
        raise RuntimeError(f"a run does not reach its second checkpoint: exit {killed.code}, {killed.stderr[-2000:]}")


def _resume(root: Path) -> Command:
    return train(root, "out", "--resume")


FULL_RUNS = (
    Scenario(
        "pairs export, then finetune",
        _write_export_study,
        export_as("jsonl"),
        _refuse_partial_export,
        with_stores(files("out")),
        weight=8,
    ),
    Scenario(
        "finetune",
        _write_export,
        _finetune_unreviewed,
        repeat_in_empty_folder(_finetune_unreviewed),
        with_stores(files("out", "mined")),
        weight=8,
    ),
    Scenario("finetune --resume", _write_cut_run, _resume, repeat(_resume), run_files("out"), weight=1),
)
