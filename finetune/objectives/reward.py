"""A reward model with TRL's trainer: the base with a head that gives an answer one number, and LoRA.

Imports torch, transformers, trl and peft.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer

from lanes import Recipe
from probes.model.adapter import lora_config
from probes.model.load import Base
from probes.train.shared import OwnTypes, WarmStart

HEAD = "score"


class TokenRewardTrainer(OwnTypes, WarmStart, RewardTrainer):  # type: ignore[misc]
    """RewardTrainer on rows of token ids. Its figures have the names of the other trainers."""

    _metrics: dict[str, defaultdict[str, list[float]]]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        found = self._metrics["train"]
        for name, own in (("rewards/accuracies", "accuracy"), ("rewards/margins", "margin")):
            if own in found:
                found[name] = list(found[own])
        super().log(logs, start_time)


def reward_trainer(
    base: Base, recipe: Recipe, rows: Dataset, common: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Any:
    """The trainer. The head is trained as a whole and saved with the adapter."""
    config = lora_config(base.model, recipe)
    config.task_type, config.modules_to_save = "SEQ_CLS", [HEAD]
    own = {name: value for name, value in common.items() if name != "beta"}
    given = {
        **arguments,
        "model": with_head(base.model, base.quantised, int(common["seed"])),
        "peft_config": config,
        "train_dataset": whole_sides(rows, recipe.max_length),
    }
    return TokenRewardTrainer(args=RewardConfig(**own), **given)


def with_head(model: Any, quantised: bool, seed: int) -> Any:
    """A new head with one output on the layers of a causal language model, which are shared, not copied."""
    config = type(model.config).from_dict({**model.config.to_dict(), "num_labels": 1})
    with torch.device("meta"):
        judge = AutoModelForSequenceClassification.from_config(config)
    setattr(judge, judge.base_model_prefix, model.base_model)
    head = torch.nn.Linear(config.get_text_config().hidden_size, 1, bias=False)
    torch.nn.init.normal_(head.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
    setattr(judge, HEAD, head.to(model.device, model.dtype))
    judge.is_loaded_in_4bit = quantised
    judge.generation_config = model.generation_config
    return judge


def whole_sides(rows: Dataset, max_length: int) -> Dataset:
    """Each side with the prompt before it, cut at max_length."""
    return Dataset.from_list(
        [
            {f"{side}_ids": (row["prompt_ids"] + row[f"{side}_ids"])[:max_length] for side in ("chosen", "rejected")}
            for row in rows
        ]
    )
