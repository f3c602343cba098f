"""What the trainers have in common beyond TRL's: a warm-up that begins above 0, a resumed adapter in its own data type,
and weights by tokens."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR


class WarmStart:
    """For a Trainer: its learning rates are those of ``warm_start``."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        scheduler: Any = super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        args: Any = self.args  # type: ignore[attr-defined]
        self.lr_scheduler = warm_start(scheduler, args.lr_scheduler_type, args.get_warmup_steps(num_training_steps))
        return self.lr_scheduler


def warm_start(scheduler: Any, kind: str, warmup: int) -> Any:
    """A scheduler of transformers with another warm-up. transformers begins it at a learning rate of 0, which wastes
    one of the few steps of a probe: here step n of W warm-up steps has n / (W + 1) of the peak. A schedule without a
    warm-up is as it was."""
    if warmup == 0 or kind == "constant":
        return scheduler
    return LambdaLR(scheduler.optimizer, [_rising(warmup, own) for own in scheduler.lr_lambdas])


def _rising(warmup: int, after: Callable[[int], float]) -> Callable[[int], float]:
    """The share of the peak at a step, counted from 0: it rises in the warm-up, and then it is ``after``."""
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else after(step)


class OwnTypes:
    """For a Trainer. PEFT loads the adapter of a checkpoint in float32; here it goes on in the type that it had.

    ``examples_of_a_row``: what the trainer makes of a row.
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
    """The mean of a figure over the processes that train together; each makes equally many forward passes."""
    if trainer.accelerator.num_processes == 1:
        return value
    own = torch.tensor(value, dtype=torch.float32, device=trainer.accelerator.device)
    return float(trainer.accelerator.reduce(own, "mean"))


class TokenWeights:
    """For a Trainer whose loss has a mean over the tokens of a forward pass. ``token_share`` is the weight with which a
    pass makes the loss that of the whole effective batch, however it is divided, also among processes."""

    _tokens_of_a_pass = 0.0

    def mean_tokens(self, batch: Any) -> int:
        """The tokens that the mean is over."""
        raise NotImplementedError

    def get_batch_samples(self, *args: Any) -> Any:
        batches, items = super().get_batch_samples(*args)  # type: ignore[misc]
        mean = sum(map(self.mean_tokens, batches)) / max(1, len(batches))
        self._tokens_of_a_pass = mean_of_processes(self, mean)
        return batches, items

    def token_share(self, batch: Any) -> float:
        return self.mean_tokens(batch) / self._tokens_of_a_pass if self._tokens_of_a_pass else 1.0
