"""TRL trains on the files of the stores with all their columns."""

from pathlib import Path
from typing import Any

import pytest
from some_rows import pair, reward, stores

from preferences.store.rows import StoreKind

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def trained(trainer: Any) -> float:
    trainer.train()
    losses: list[float] = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert trainer.state.global_step == 1
    return losses[0]


@pytest.mark.parametrize("kind", ["preference", "dpo", "orpo", "reward"])
def test_a_step_on_a_store_as_it_lies_there(
    tmp_path: Path, tiny_folder: Path, kind: StoreKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs with DPO or ORPO; rewards, a prompt and a completion, with supervised fine-tuning."""
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    from probes.inputs.settings import ModelSettings
    from probes.model.load import load_base

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    held = stores(tmp_path)
    held.add([reward(number) if kind == "reward" else pair(number, kind) for number in range(4)])
    rows = load_dataset("json", data_files=str(held.path(kind)), split="train", cache_dir=str(tmp_path / "cache"))
    assert {"id", "provenance", "category"} <= set(rows.column_names)
    base = load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")
    common: dict[str, Any] = {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "max_length": 128,
        "disable_tqdm": True,
        "bf16": False,
        "gradient_checkpointing": False,
    }
    makers: dict[str, Any] = {
        "orpo": (ORPOTrainer, ORPOConfig),
        "reward": (SFTTrainer, SFTConfig),
    }
    trainer, config = makers.get(kind, (DPOTrainer, DPOConfig))
    args = {
        "model": base.model,
        "args": config(**common),
        "train_dataset": rows,
        "processing_class": base.renderer.tokenizer,
    }
    assert trained(trainer(**args)) > 0
