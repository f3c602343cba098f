"""The estimate of a probe's memory: against what the trainers make of real tensors, and what it says of a machine."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
import tiny
from lazily import Lazily
from long_cases import all_but

from common.errors import BadInput
from probes.inputs.settings import MemorySettings, ModelSettings, RunnerSettings
from probes.inputs.training_rows import TrainingRow
from probes.memory.estimate import MemoryEstimate, estimate
from probes.memory.fit import Machine, fit, largest_recipe
from probes.memory.workload import Workload
from probes.model.load import load_base

if TYPE_CHECKING:
    import torch
    import transformers

    from probes.memory import training
    from probes.train import trl
else:
    torch, transformers, trl = Lazily("torch"), Lazily("transformers"), Lazily("probes.train.trl")
    training = Lazily("probes.memory.training")

pytestmark = [pytest.mark.usefixtures("one_thread")]
WORK = Workload(recipe=tiny.recipe(), rows=4, length=100, answers=8, prompt=20, new_tokens=16)


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> Any:
    return transformers.AutoConfig.from_pretrained(tiny_folder / "model")


def test_the_tracker_counts_what_lives_at_once_and_no_view() -> None:
    with torch.device("meta"), training.PeakTracker() as seen:
        first = torch.empty(100, 10)
        kept = (first * 2)[:5].view(-1)
        del first
        assert seen.now == 4000
        torch.empty(50)
    assert seen.peak == 8000
    assert kept.device.type == "meta"


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "orpo"},
        {"objective": "dpo"},
        {"objective": "orpo", "lora_dropout": 0.0, "lora_rank": 64},
        {"objective": "dpo", "lora_variant": "dora"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
@pytest.mark.parametrize("checkpointing", all_but([False], [False, True]))
def test_the_passes_without_data_make_as_much_as_the_trainers_do(
    config: Any, tiny_folder: Path, tmp_path: Path, changes: dict[str, Any], checkpointing: bool
) -> None:
    base = load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")
    recipe = tiny.recipe(**changes, max_length=200)
    pair = TrainingRow("Two? " * 4, " four five six" * 9, " seven eight" * 10, "s", 1)
    job = trl.TrainingJob(recipe, [pair] * 8, 1, tmp_path, lambda step, loss: None)
    with training.PeakTracker() as seen:
        (trained,) = trl.train(base, [job], MemorySettings(gradient_checkpointing=checkpointing))
    assert isinstance(trained, trl.Trained), trained
    length = base.renderer.row(pair).length
    work = replace(WORK, recipe=recipe, length=length, checkpointing=checkpointing)
    model = training.build(config, work)
    adapter = training.adapter_size(model, work) * 4 * 3
    found = (
        training.train_peak(model, replace(work, device="cuda")) + adapter
    )  # with the whole buffer, which is untouched
    assert found == pytest.approx(seen.peak, rel=0.15)


@pytest.mark.long
@pytest.mark.slow
def test_more_work_needs_more_and_each_remedy_needs_less(config: Any) -> None:
    @cache
    def of(**changes: Any) -> MemoryEstimate:
        return estimate(config, replace(WORK, **changes))

    plain = of()
    assert plain.peak == plain.process + plain.weights + plain.adapter + max(plain.training, plain.answering)
    assert of(rows=8).training > 1.8 * plain.training
    assert of(rows=1).training < 0.4 * plain.training
    assert of(length=200).training > 1.8 * plain.training
    assert of(checkpointing=True).training < plain.training
    assert of(checkpointing=True).training > 1.5 * of(checkpointing=True, device="cuda").training
    assert of(device="cuda", gpus=2).weights < 0.8 * of(device="cuda").weights
    assert of(device="cuda", gpus=2).training < of(device="cuda").training
    assert of(answers=16).answering > 1.8 * plain.answering
    assert of(answers=0).answering == 0
    assert of(attention="eager").training > plain.training
    assert of(dtype="bfloat16").weights == pytest.approx(plain.weights / 2)
    quantised = tiny.recipe(quantization="nf4", optimizer="adamw_8bit")
    assert of(recipe=quantised, device="cuda").weights < of(dtype="bfloat16", device="cuda").weights
    assert of(recipe=quantised).adapter < plain.adapter / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "gemma2", "phi3", "qwen2"])
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_architectures_are_estimated_without_a_formula_of_their_own(tmp_path: Path, name: str, objective: str) -> None:
    architectures.write(name, tmp_path, architectures.byte_tokenizer())
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    found = estimate(config, replace(WORK, recipe=tiny.recipe(objective=objective), length=40, rows=2))
    assert min(found.weights, found.adapter, found.training, found.answering) > 0


def pretended(config: Any, work: Workload, trust: bool) -> MemoryEstimate:
    """A GiB per row and hundred tokens, half with recomputed activations; weights of 16 or 4 GiB on all GPUs."""
    training = work.rows * work.length / 100 * (0.5 if work.checkpointing else 1)
    return MemoryEstimate(
        weights=(4.0 if work.quantised else 16.0) / work.gpus,
        adapter=0.1,
        training=training,
        answering=work.answers / 32,
        process=0.6 if work.device == "cpu" else 0,
    )


GPU, ON_GPU = Machine("cuda", 24.0, 1), replace(WORK, device="cuda")


def test_what_fits_is_said_with_its_parts() -> None:
    found = fit(None, ON_GPU, replace(ON_GPU, rows=16), GPU, estimator=pretended)
    found.require()
    assert found.sentence == (
        "about 20.1 GiB at its peak (weights 16.0, adapter 0.1, training 4.0, answering 0.2); one GPU per worker: "
        "21.8 of 24.0 GiB; the largest recipe of [lanes] needs about 34.4 and would end as crash:oom"
    )


@pytest.mark.parametrize(
    ("room", "remedy"),
    [
        (21.0, "set micro_batch = 1 under [runner], which needs about 18.7"),
        (
            18.2,
            "set micro_batch = 1 under [runner], gradient_checkpointing = true under [runner], which needs about 18.1",
        ),
        (
            6.0,
            'gradient_checkpointing = true under [runner], quantization = "nf4" under [recipe], which needs about 5.5',
        ),
        (3.0, "take a smaller model, or a larger machine"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cheapest_changes_that_help(room: float, remedy: str) -> None:
    found = fit(None, ON_GPU, ON_GPU, replace(GPU, room=room), estimator=pretended)
    with pytest.raises(BadInput) as refused:
        found.require()
    assert f"fit in {room:.1f} GiB (one GPU per worker), and those of the starting recipe need about 21.8" in str(
        refused.value
    )
    assert str(refused.value).endswith(remedy)


def test_a_workload_is_estimated_once() -> None:
    asked: list[Workload] = []

    def noted(config: Any, work: Workload, trust: bool) -> MemoryEstimate:
        asked.append(work)
        return pretended(config, work, trust)

    fit(None, ON_GPU, ON_GPU, GPU, estimator=noted).require()
    assert asked == [ON_GPU]


def test_a_base_that_no_gpu_holds_alone_goes_to_several() -> None:
    found = fit(None, ON_GPU, ON_GPU, replace(GPU, room=16.0, workers=4), estimator=pretended)
    with pytest.raises(BadInput, match=r"gpus_per_worker = 2 under \[runner\], which needs about 9\.7$"):
        found.require()
    two = fit(None, replace(ON_GPU, gpus=2), ON_GPU, replace(GPU, workers=2, gpus=2), estimator=pretended)
    assert "each of the 2 GPUs of a worker: 13.4 of 24.0 GiB" in two.sentence


def test_on_a_cpu_all_workers_share_the_memory() -> None:
    two = fit(None, WORK, WORK, Machine("cpu", 30.0, 2), estimator=pretended)
    with pytest.raises(BadInput, match=r"2 workers on the CPU.* workers = 1 under \[runner\], which needs about"):
        two.require()
    fit(None, WORK, WORK, Machine("cpu", 30.0, 1), estimator=pretended).require()


def test_the_largest_recipe_has_what_takes_most_memory_of_the_lanes() -> None:
    from situations import space

    start = tiny.recipe(objective="dpo", quantization="nf4")
    lane: dict[str, Any] = {"lora_rank": {}, "objective": {}, "quantization": {}, "beta": {}}
    found = largest_recipe(start, space({"hyperparameters": lane}).knobs)
    assert (found.lora_rank, found.objective, found.quantization) == (128, "orpo", "none")
    assert (found.beta, found.max_length) == (start.beta, start.max_length)


def test_a_recipe_divides_its_batch_evenly() -> None:
    assert [MemorySettings(micro_batch=8).rows_at_once(batch) for batch in (1, 4, 8, 12, 14, 16)] == [1, 4, 8, 6, 7, 8]
    assert RunnerSettings(micro_batch=3).halved(9).micro_batch == 1
