"""TRL's (experimental) ORPO trainer with token accuracy in its log. Imports torch and trl."""

import os
from typing import Any

import torch
from datasets import Dataset

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
from trl.experimental.orpo import ORPOConfig, ORPOTrainer
from trl.trainer.utils import selective_log_softmax

from probes.train.shared import OwnTypes, TokenWeights, WarmStart, mean_of_processes

__all__ = ["ORPOConfig", "TokenORPOTrainer"]


class TokenORPOTrainer(TokenWeights, WarmStart, OwnTypes, ORPOTrainer):  # type: ignore[misc]
    """ORPOTrainer on rows of token ids, like TokenDPOTrainer. It also logs ``mean_token_accuracy`` over the chosen
    completions, like DPOTrainer."""

    def __init__(self, *args: Any, train_dataset: Dataset, **kwargs: Any) -> None:
        texts = [""] * len(train_dataset)  # columns that the constructor needs; tokenize_row gets them with the ids
        for name in ("prompt", "chosen", "rejected"):
            train_dataset = train_dataset.add_column(name, texts)
        super().__init__(*args, train_dataset=train_dataset, **kwargs)
        # compute_loss returns the mean of a micro-batch, so the trainer must divide by the accumulation steps.
        self.model_accepts_loss_kwargs = False
        self._accuracy = 0.0

    def mean_tokens(self, batch: Any) -> int:
        """The tokens of the NLL term: the chosen rows with their prompts, except the first token of each."""
        return int(batch["chosen_attention_mask"][:, 1:].sum())

    def concatenated_forward(self, model: Any, batch: Any) -> Any:
        """Weight the NLL term, a mean over tokens, so that the passes add up to the mean over the effective batch."""
        found = list(super().concatenated_forward(model, batch))
        if torch.is_grad_enabled():
            found[4] = found[4] * self.token_share(batch)
        return tuple(found)

    def tokenize_row(self, feature: dict[str, Any], model: Any = None) -> dict[str, Any]:
        """The columns for the collator: each side with the prompt before it, cut at max_length, and its labels."""
        prompt, found = feature["prompt_ids"], {"prompt_input_ids": feature["prompt_ids"]}
        found["prompt_attention_mask"] = [1] * len(prompt)
        for side in ("chosen", "rejected"):
            answer = feature[f"{side}_ids"]
            found[f"{side}_input_ids"] = (prompt + answer)[: self.max_length]
            found[f"{side}_attention_mask"] = [1] * len(found[f"{side}_input_ids"])
            found[f"{side}_labels"] = ([-100] * len(prompt) + answer)[: self.max_length]
        return found

    def get_batch_logps(self, logits: Any, labels: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = labels.shape[0] // 2
        targets = labels[:chosen, 1:]
        counted = targets != -100
        hits = (logits[:chosen, :-1].detach().argmax(-1) == targets) & counted
        self._accuracy = (hits.sum() / counted.sum().clamp(min=1)).item()
        return row_logps(logits, labels)

    def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: Any = "train") -> Any:
        loss, metrics = super().get_batch_loss_metrics(model, batch, train_eval)
        if not torch.is_grad_enabled() or train_eval != "train":
            return loss, metrics
        return loss, {**metrics, "mean_token_accuracy": mean_of_processes(self, self._accuracy)}


def row_logps(logits: torch.Tensor, labels: torch.Tensor) -> Any:
    """The mean log probability of each row's answer: ORPOTrainer's own in float32, else ``mean_logps``."""
    if logits.dtype == torch.float32:
        return ORPOTrainer.get_batch_logps(logits, labels, average_log_prob=True)
    return mean_logps(logits, labels)


def mean_logps(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean log probability of each row, as ORPOTrainer computes it, but averaged in float32. In bfloat16 a mean
    near -5 has a precision of 0.03, and chosen and rejected may differ by less. The logits keep their type."""
    targets = labels[:, 1:]
    counted = targets != -100
    each: torch.Tensor = selective_log_softmax(logits[:, :-1], targets.where(counted, 0)).float()
    return (each * counted).sum(-1) / counted.sum(-1)
