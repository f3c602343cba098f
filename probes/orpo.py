"""TRL's ORPO trainer behind one file: it is experimental there, and logs no token accuracy.

Imported only where a model is trained; it imports torch and trl.
"""

import os
from typing import Any

import torch

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

__all__ = ["MeasuredORPOTrainer", "ORPOConfig"]


class MeasuredORPOTrainer(ORPOTrainer):  # type: ignore[misc]
    """ORPOTrainer that also logs ``mean_token_accuracy`` over the chosen completions, as DPOTrainer does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # compute_loss returns the mean of a micro-batch, so the trainer must divide by the accumulation steps.
        self.model_accepts_loss_kwargs = False
        self._accuracy = 0.0

    def get_batch_logps(self, logits: Any, labels: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = labels.shape[0] // 2
        targets = labels[:chosen, 1:]
        counted = targets != -100
        hits = (logits[:chosen, :-1].detach().argmax(-1) == targets) & counted
        self._accuracy = (hits.sum() / counted.sum().clamp(min=1)).item()
        return ORPOTrainer.get_batch_logps(logits, labels, *args, **kwargs)

    def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: Any = "train") -> Any:
        loss, metrics = super().get_batch_loss_metrics(model, batch, train_eval)
        if not torch.is_grad_enabled() or train_eval != "train":
            return loss, metrics
        return loss, {**metrics, "mean_token_accuracy": self._accuracy}
