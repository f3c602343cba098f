"""Options of the trainers and of PEFT are accepted and have an effect, on the tiny model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny
from lazily import Lazily

from lanes import Recipe
from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.train.curve_writer import CurveWriter
from probes.train.job import tokenised

if TYPE_CHECKING:
    import datasets
    import torch

    from probes.train import trl
else:
    datasets, torch, trl = Lazily("datasets"), Lazily("torch"), Lazily("probes.train.trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def base(one_thread: None, tiny_folder: Path) -> Base:
    return load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")


def recipe(**changes: Any) -> Recipe:
    return tiny.recipe(
        **{"objective": "dpo", "learning_rate": 0.01, "lora_dropout": 0.0, "effective_batch": 2, **changes}
    )


def curve(base: Base, tiny_folder: Path, folder: Path, of: Recipe) -> tuple[list[float], dict[str, Any]]:
    """The losses of the second step and after, and PEFT's configuration."""
    rows = order(of, tiny.material(tiny_folder).sources, 3 * of.effective_batch, 1)
    folder.mkdir(exist_ok=True)
    (trained,) = trl.train(base, [trl.TrainingJob(of, rows, 1, folder, lambda step, loss: None)], MemorySettings())
    assert isinstance(trained, trl.Trained), trained
    losses = [json.loads(line)["loss"] for line in (folder / "train.jsonl").read_text().splitlines()]
    return losses, json.loads((trained.adapter / "adapter_config.json").read_text())


@pytest.fixture(scope="module")
def plain_losses() -> dict[tuple[str, str], list[float]]:
    """Without any option, by quantization and objective: each is trained once."""
    return {}


@pytest.mark.parametrize(
    ("changes", "configured"),
    [
        ({"dpo_loss": "sigmoid_norm"}, {}),
        ({"second_loss": "sft", "second_weight": 0.5}, {}),
        ({"second_loss": "bco_pair", "third_loss": "sft", "third_weight": 0.5}, {}),
        ({"ld_alpha": 0.3}, {}),
        ({"lora_scaling": "rslora"}, {"use_rslora": True}),
        ({"lora_variant": "dora"}, {"use_dora": True}),
        ({"lora_init": "gaussian"}, {"init_lora_weights": "gaussian"}),
        ({"lora_init": "orthogonal"}, {"init_lora_weights": "orthogonal"}),
        ({"lora_variant": "dora", "quantization": "nf4", "objective": "orpo"}, {"use_dora": True}),
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_an_option_is_used(
    base: Base,
    tiny_folder: Path,
    tmp_path: Path,
    plain_losses: dict[tuple[str, str], list[float]],
    changes: dict[str, Any],
    configured: dict[str, Any],
) -> None:
    of = recipe(**changes)
    loaded = base if of.quantization == "none" else load_base(ModelSettings(path="model"), tiny_folder, "nf4", "cpu")
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    kind = (of.quantization, of.objective)
    if kind not in plain_losses:
        without = recipe(quantization=of.quantization, objective=of.objective)
        plain_losses[kind], _ = curve(loaded, tiny_folder, tmp_path / "plain", without)
    plain = plain_losses[kind]
    losses, config = curve(loaded, tiny_folder, tmp_path / "with", of)
    assert losses[1:] != plain[1:], "the same seeds give the same losses to the last digit"
    assert configured.items() <= config.items()
    after = loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before), "the base is as it was"
    if set(changes) & {"lora_scaling", "lora_variant", "lora_init"}:
        assert losses[0] == pytest.approx(plain[0], rel=1e-2), "the adapter begins without an effect"


@pytest.mark.parametrize("objective", ["orpo", "dpo"])
@pytest.mark.parametrize("scheduler", ["linear", "cosine", "constant_with_warmup", "constant"])
def test_a_warm_up_begins_above_zero_and_other_schedules_are_transformers_own(
    base: Base, tiny_folder: Path, tmp_path: Path, objective: str, scheduler: str
) -> None:
    from transformers import get_scheduler

    def rates(warmup: float) -> list[float]:
        of = recipe(objective=objective, scheduler=scheduler, warmup=warmup, learning_rate=1.0 - 1e-9)
        given = trl.TrainingJob(of, order(of, tiny.material(tiny_folder).sources, 16, 1), 1, tmp_path, lambda *_: None)
        made = CurveWriter(tmp_path / "train.jsonl", given.on_step)
        kept = trl._BaseState.of(base.model)
        try:
            trainer = trl._trainer(
                base, given, MemorySettings(), datasets.Dataset.from_list(tokenised(base, given)), made
            )
            trainer.create_optimizer_and_scheduler(8)
            return steps(trainer.optimizer, trainer.lr_scheduler)
        finally:
            made.close()
            kept.restore(base)

    def steps(optimizer: Any, schedule: Any) -> list[float]:
        found = []
        for _ in range(8):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    def own(warmup: int) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        return steps(optimizer, get_scheduler(scheduler, optimizer, warmup, 8))

    assert rates(0.0) == pytest.approx(own(0))
    rising = [1 / 3, 2 / 3] if scheduler != "constant" else own(2)[:2]
    assert rates(0.25) == pytest.approx([*rising, *own(2)[2:]])
