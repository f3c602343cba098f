"""Real TRL training of the tiny model: ORPO and DPO, plain and NF4."""

import gc
import json
import math
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
import tiny
from lazily import Lazily
from tokenizers_of_all_kinds import KINDS

from lanes import Recipe
from probes.inputs.settings import MemorySettings, ModelSettings, ProbeSettings
from probes.inputs.training_rows import TrainingRow, order
from probes.model.load import load_base
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.execute import measure
from probes.run.workbench import Workbench
from probes.train.curve_writer import CurveWriter
from probes.train.job import tokenised

if TYPE_CHECKING:
    import datasets
    import torch

    from probes.train import trl
else:
    datasets, torch, trl = Lazily("datasets"), Lazily("torch"), Lazily("probes.train.trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


SHORT = {"steps": 2, "max_new_tokens": 6}
"""Enough for what is compared to the digit."""


@pytest.fixture(scope="module")
def bench(one_thread: None, tiny_folder: Path) -> Iterator[Workbench]:
    bench = Workbench(tiny.material(tiny_folder), "cpu", {})
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def short_bench(one_thread: None, tiny_folder: Path) -> Iterator[Workbench]:
    bench = Workbench(tiny.material(tiny_folder, **SHORT), "cpu", {})
    yield bench
    bench.close()


def run(bench: Workbench, recipe: Recipe, folder: Path, seed: int = 42) -> Outcome:
    key = bench.material.key("test")
    return measure(bench, [Probe(recipe, key, seed)], lambda name: folder / name, lambda progress: None)[0]


def same(one: Outcome, other: Outcome) -> bool:
    assert isinstance(one, Reading)
    assert isinstance(other, Reading)
    return (one.scores, one.final, one.tokens) == (other.scores, other.final, other.tokens)


@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_a_probe_trains_with_trl_and_writes_its_curve(bench: Workbench, tmp_path: Path, objective: str) -> None:
    reading = run(bench, tiny.recipe(objective=objective), tmp_path)
    assert isinstance(reading, Reading)
    assert len(reading.scores) == 8 * 2
    assert reading.tokens > 0
    lines = [json.loads(line) for line in (tmp_path / reading.probe / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for name in ("loss", "token_accuracy", "grad_norm", "learning_rate", "rewards_chosen", "rewards_margin"):
        assert all(math.isfinite(line[name]) for line in lines)
    assert all(0 <= line["token_accuracy"] <= 1 for line in lines)
    assert (tmp_path / reading.probe / "adapter" / "adapter_model.safetensors").exists()
    answers = (tmp_path / reading.probe / "answers.jsonl").read_text().splitlines()
    assert len(answers) == len(reading.scores)


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "orpo"},
        {"objective": "dpo"},
        {"objective": "orpo", "quantization": "nf4", "optimizer": "adamw_8bit"},
        {"objective": "dpo", "quantization": "nf4", "optimizer": "adamw_8bit"},
    ],
)
def test_every_lora_parameter_moves_and_no_base_parameter_does(
    tiny_folder: Path, tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file
    from trl.trainer.base_trainer import _BaseTrainer

    recipe = tiny.recipe(lora_dropout=0.0, learning_rate=0.01, warmup=0.0, scheduler="constant", **changes)
    material = tiny.material(tiny_folder)
    base = load_base(ModelSettings(path="model"), tiny_folder, recipe.quantization, "cpu")
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    started: dict[str, torch.Tensor] = {}
    original = _BaseTrainer.train

    def spy(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        started.update({n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad})
        return original(trainer, *args, **kwargs)

    monkeypatch.setattr(_BaseTrainer, "train", spy)
    rows = order(recipe, material.sources, 16, 1)
    trained = trl.train(base, [trl.TrainingJob(recipe, rows, 1, tmp_path, lambda step, loss: None)], MemorySettings())[
        0
    ]
    assert isinstance(trained, trl.Trained)
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    saved = load_file(trained.adapter / "adapter_model.safetensors")
    assert started
    assert all("lora_" in name for name in started)
    assert len(saved) == len(started) == 2 * 2 * 7
    for name, value in started.items():
        ended = saved[name.replace(".default", "")]
        assert ended.dtype == (torch.float32 if recipe.quantization == "none" else torch.bfloat16)
        assert not torch.equal(ended, value), f"{name} did not move"


@pytest.mark.parametrize("objective", ["dpo", "orpo"])
@pytest.mark.parametrize("kind", ["ChatML base", "plain, eos only", "strictly alternating", "eos behind the end"])
def test_the_loss_is_on_the_answer_with_its_end_and_on_nothing_else(tmp_path: Path, kind: str, objective: str) -> None:
    architectures.write("llama", tmp_path / "model", KINDS[kind](), vocab_size=1024)
    base = load_base(ModelSettings(path="model"), tmp_path, "none", "cpu")
    recipe = tiny.recipe(objective=objective, effective_batch=2, max_length=200)
    pairs = (
        TrainingRow("Two?", "It is four.", "It is five, I think.", "s", 1),
        TrainingRow("What is two?", "Yes", "No", "s", 2),
    )
    job = trl.TrainingJob(recipe, pairs, 1, tmp_path, lambda step, loss: None)
    rows = datasets.Dataset.from_list(tokenised(base, job))
    curve = CurveWriter(tmp_path / "train.jsonl", job.on_step)
    trainer = trl._trainer(base, job, MemorySettings(micro_batch=2), rows, curve)
    batch = next(iter(trainer.get_train_dataloader()))
    curve.close()
    if objective == "dpo":  # chosen above rejected
        in_loss = [
            ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
        ]
    else:
        labels = [ids for side in ("chosen", "rejected") for ids in batch[f"{side}_labels"]]
        in_loss = [ids[ids != -100].tolist() for ids in labels]
    rendered = [base.renderer.row(pair) for pair in pairs]
    assert in_loss == [row.chosen for row in rendered] + [row.rejected for row in rendered]
    assert all(ids[-1] in base.renderer.stop.ids and ids[-2] not in base.renderer.stop.ids for ids in in_loss)


@pytest.mark.long
def test_a_used_workbench_gives_bit_for_bit_what_a_fresh_one_gives(tiny_folder: Path, tmp_path: Path) -> None:
    recipes = [
        tiny.recipe(objective="orpo"),
        tiny.recipe(objective="dpo"),
        tiny.recipe(objective="dpo", learning_rate=0.9, beta=90.0, max_grad_norm=1e9),
        tiny.recipe(objective="orpo", quantization="nf4", optimizer="adamw_8bit"),
        tiny.recipe(objective="dpo", quantization="nf4"),
        tiny.recipe(objective="orpo", lora_rank=8, lora_targets=("q_proj", "v_proj")),
    ]
    used = Workbench(tiny.material(tiny_folder, **SHORT), "cpu", {})
    order_of_use = [*recipes, *reversed(recipes)]
    served = [run(used, recipe, tmp_path / f"used{place}") for place, recipe in enumerate(order_of_use)]
    used.close()
    for place, recipe in enumerate(recipes):
        fresh = Workbench(tiny.material(tiny_folder, **SHORT), "cpu", {})
        alone = run(fresh, recipe, tmp_path / f"fresh{place}")
        fresh.close()
        assert same(alone, served[place])
        assert same(alone, served[-1 - place])
        for file in ("adapter/adapter_model.safetensors", "answers.jsonl"):
            one = (tmp_path / f"fresh{place}" / alone.probe / file).read_bytes()
            assert one == (tmp_path / f"used{place}" / alone.probe / file).read_bytes()


def test_another_seed_gives_another_reading(bench: Workbench, tmp_path: Path) -> None:
    assert not same(run(bench, tiny.recipe(), tmp_path, 1), run(bench, tiny.recipe(), tmp_path, 2))


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "orpo"},
        {"objective": "dpo"},
        {"objective": "dpo", "dpo_loss": "ipo"},
        {"objective": "dpo", "dpo_loss": "aot"},
        {"objective": "dpo", "second_loss": "sft"},
        {"objective": "orpo", "quantization": "nf4"},
    ],
    ids=lambda changes: "-".join(changes.values()),
)
def test_no_result_depends_on_how_a_batch_is_divided(
    short_bench: Workbench, tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass of 8 rows, four of 2, and eight of 1 with recomputed activations: curve, adapter and answers."""
    recipe = tiny.recipe(lora_dropout=0.0, learning_rate=0.003, effective_batch=8, **changes)
    exact = 1e-4 if recipe.quantization == "none" else 0.02  # NF4 computes in bfloat16
    found = []
    for place, memory in enumerate(
        MemorySettings(micro_batch=micro, generation_batch=answers, gradient_checkpointing=again)
        for micro, answers, again in ((8, 256, False), (2, 3, False), (1, 1, True))
    ):
        monkeypatch.setattr(short_bench, "memory", memory)
        reading = run(short_bench, recipe, tmp_path / str(place))
        assert isinstance(reading, Reading), reading
        folder = tmp_path / str(place) / reading.probe
        lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
        curve = [line[name] for line in lines for name in ("loss", "grad_norm", "rewards_chosen", "rewards_rejected")]
        found.append((curve, (folder / "answers.jsonl").read_text()))
    for curve, answers in found[1:]:
        assert curve == pytest.approx(found[0][0], rel=exact, abs=exact / 10)
        assert answers == found[0][1] or recipe.quantization == "nf4"


def test_the_memory_settings_are_in_no_probe_key_and_no_question(tmp_path: Path) -> None:
    assert not set(MemorySettings.model_fields) & {*ProbeSettings.model_fields, *Recipe.model_fields}


def test_a_diverged_run_is_a_typed_failure_and_leaves_the_base_usable(bench: Workbench, tmp_path: Path) -> None:
    before = run(bench, tiny.recipe(), tmp_path / "before")
    with torch.no_grad():
        weight = bench.base("none").model.model.layers[0].mlp.up_proj.weight
        kept = weight.clone()
        weight[0, 0] = float("nan")
    failure = run(bench, tiny.recipe(), tmp_path / "nan")
    with torch.no_grad():
        weight.copy_(kept)
    assert isinstance(failure, Failure)
    assert failure.kind == "diverged"
    assert "step 1" in failure.message
    line = json.loads((tmp_path / "nan" / failure.probe / "train.jsonl").read_text().splitlines()[0])
    assert line["loss"] is None
    assert same(before, run(bench, tiny.recipe(), tmp_path / "after"))


@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_rows_that_the_trainer_would_drop_are_a_failure_and_no_reading(
    bench: Workbench, tmp_path: Path, objective: str
) -> None:
    failure = run(bench, tiny.recipe(objective=objective, max_length=8), tmp_path)
    assert isinstance(failure, Failure)
    assert failure.kind == "untrainable"
    assert failure.permanent
    assert "raise max_length" in failure.message


def test_an_adapter_that_cannot_be_loaded_leaves_the_base_as_it_was(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.train import trl as training

    before = run(bench, tiny.recipe(), tmp_path / "before")
    original = training._train_one

    def truncate(*arguments: Any) -> Any:
        trained = original(*arguments)
        (trained.adapter / "adapter_model.safetensors").write_bytes(b"short")
        return trained

    with monkeypatch.context() as patched:
        patched.setattr(training, "_train_one", truncate)
        base = bench.base("none")
        assert isinstance(run(bench, tiny.recipe(), tmp_path / "bad"), Failure)
        assert not any("lora" in name for name, _ in base.model.named_modules())
    assert same(before, run(bench, tiny.recipe(), tmp_path / "after"))


def test_a_full_disk_is_told_from_a_bad_recipe() -> None:
    from probes.run.classify import classify

    assert classify(OSError(28, "No space left on device")) == "disk"
    assert classify(RuntimeError("I/O error: No space left on device (os error 28)")) == "disk"


def test_out_of_memory_and_unknown_errors_are_classified(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.train import trl as training

    for error, kind in ((torch.OutOfMemoryError("CUDA out of memory"), "oom"), (ValueError("odd"), "error")):

        def fail(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(training, "_trainer", fail)
        failure = run(bench, tiny.recipe(), tmp_path)
        assert isinstance(failure, Failure)
        assert failure.kind == kind


@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_after_a_failure_nothing_holds_the_old_base_while_the_next_is_loaded(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    """In the middle of training, when the trainer, the exception's frames and the model's own cycles all hold it."""
    from probes.run import workbench

    old: list[weakref.ref[Any]] = []
    held: list[int] = []

    def load(*arguments: Any) -> Any:
        held.append(sum(model() is not None for model in old))
        base = load_base(*arguments)
        old.append(weakref.ref(base.model))
        return base

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(workbench, "load_base", load)
    bench.drop_bases()
    gc.collect()
    gc.disable()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(torch.Tensor, "backward", full)
            failure = run(bench, tiny.recipe(objective=objective), tmp_path)
        assert isinstance(failure, Failure)
        assert failure.kind == "oom"
        assert isinstance(run(bench, tiny.recipe(objective=objective), tmp_path), Reading)
    finally:
        gc.enable()
    assert held == [0, 0]
