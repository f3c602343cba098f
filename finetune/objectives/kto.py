"""KTO (Ethayarajh et al. 2024) with TRL's trainer: each answer of a pair by itself, desirable or not.

Imports torch and trl.
"""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer

from probes.train.shared import OwnTypes, WarmStart


class TokenKTOTrainer(OwnTypes, WarmStart, KTOTrainer):  # type: ignore[misc]
    """KTOTrainer on rows of token ids."""

    examples_of_a_row = 2

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def kto_trainer(rows: Dataset, common: Mapping[str, Any], arguments: Mapping[str, Any], batch: int) -> Any:
    """The trainer. ``batch``: pairs of an optimizer step. Both answers of a pair are in one forward pass."""
    passes = {**common, "per_device_train_batch_size": 2 * common["per_device_train_batch_size"]}
    return TokenKTOTrainer(args=KTOConfig(**passes), **{**arguments, "train_dataset": unpaired(rows, batch)})


def unpaired(rows: Dataset, batch: int) -> Dataset:
    """Two examples for each pair. KL_completion_ids: the same side's answer to another prompt of the batch, from which
    the trainer estimates the KL divergence from the reference model."""
    pairs, examples = list(rows), []
    for place, row in enumerate(pairs):
        start = place - place % batch
        other = pairs[start + (place - start - 1) % batch]
        for side in ("chosen_ids", "rejected_ids"):
            examples.append(
                {
                    "prompt_ids": row["prompt_ids"],
                    "completion_ids": row[side],
                    "KL_completion_ids": other[side],
                    "label": side == "chosen_ids",
                }
            )
    return Dataset.from_list(examples)
