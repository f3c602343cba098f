"""Changes to TRL's trainers: a warm-up that begins above 0, resumed adapters in their own data type, and means over the
tokens of the whole effective batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR


class WarmStart:
    """Gives a Trainer the learning rates of ``warm_start``."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        scheduler: Any = super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        args: Any = self.args  # type: ignore[attr-defined]
        self.lr_scheduler = warm_start(scheduler, args.lr_scheduler_type, args.get_warmup_steps(num_training_steps))
        return self.lr_scheduler


def warm_start(scheduler: Any, kind: str, warmup: int) -> Any:
    """A scheduler of transformers with another warm-up. transformers begins at a learning rate of 0, which wastes one
    of a probe's few steps. Here step n of W warm-up steps, counted from 1, has n / (W + 1) of the peak. A schedule
    without a warm-up is unchanged."""
    if warmup == 0 or kind == "constant":
        return scheduler
    return LambdaLR(scheduler.optimizer, [_rising(warmup, own) for own in scheduler.lr_lambdas])


def _rising(warmup: int, after: Callable[[int], float]) -> Callable[[int], float]:
    """The share of the peak by step, counted from 0: it rises in the warm-up, and then follows ``after``."""
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else after(step)


class OwnTypes:
    """Lets a Trainer resume an adapter in its own data type; PEFT loads the adapter of a checkpoint in float32.

    ``examples_of_a_row``: how many examples the trainer makes of a row.
    """

    examples_of_a_row = 1

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        named = self.model.named_parameters  # type: ignore[attr-defined]
        types = {name: parameter.dtype for name, parameter in named()}
        super()._load_from_checkpoint(*args, **kwargs)  # type: ignore[misc]
        for name, parameter in named():
            if parameter.dtype != types[name]:
                parameter.data = parameter.data.to(types[name])


def mean_of_processes(trainer: Any, value: float) -> float:
    """The mean of a figure over the processes that train together, each with as many forward passes."""
    if trainer.accelerator.num_processes == 1:
        return value
    own = torch.tensor(value, dtype=torch.float32, device=trainer.accelerator.device)
    return float(trainer.accelerator.reduce(own, "mean"))


class TokenWeights:
    """For a Trainer whose loss has a mean over the tokens of a forward pass. Weighted with ``token_share``, the passes
    of all processes add up to the mean over the whole effective batch, however it is divided."""

    _tokens_of_a_pass = 0.0

    def mean_tokens(self, batch: Any) -> int:
        """The number of tokens of a pass that the mean is over."""
        raise NotImplementedError

    def get_batch_samples(self, *args: Any) -> Any:
        batches, items = super().get_batch_samples(*args)  # type: ignore[misc]
        mean = sum(map(self.mean_tokens, batches)) / max(1, len(batches))
        self._tokens_of_a_pass = mean_of_processes(self, mean)
        return batches, items

    def token_share(self, batch: Any) -> float:
        return self.mean_tokens(batch) / self._tokens_of_a_pass if self._tokens_of_a_pass else 1.0
