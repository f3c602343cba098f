"""Log probabilities of tokens from hidden states, in chunks, so that the logits of all tokens never exist at once.
Imports torch."""

from collections.abc import Callable
from typing import Any

import torch

CHUNK = 2**22
"""Most logits at once."""


class TokenLogps(torch.autograd.Function):
    """The log probabilities [P] in float32 of tokens after their hidden states, and whether each token is the most
    likely one [P]. Takes hidden states [P, D], tokens [P], and the ``weight`` [V, D] and ``bias`` [V] (or None) of the
    frozen head.

    The gradient of a log probability by its hidden state, W[token] - softmax(W h) W, is computed in the forward pass,
    where the logits exist.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logps = hidden.new_empty(len(hidden), dtype=torch.float32)
        is_argmax = torch.empty_like(targets, dtype=torch.bool)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        size = max(1, CHUNK // len(weight))
        for start in range(0, len(hidden), size):
            own = slice(start, start + size)
            logits = torch.nn.functional.linear(hidden[own], weight, bias).float()
            chosen = targets[own].unsqueeze(1)
            top = logits.amax(1, keepdim=True)
            picked = logits.gather(1, chosen)
            is_argmax[own] = (picked == top).squeeze(1)
            odds = logits.sub_(top).exp_()
            total = odds.sum(1, keepdim=True)
            logps[own] = (picked - top - total.log()).squeeze(1)
            if gradient is not None:
                odds.div_(-total)
                odds.scatter_add_(1, chosen, torch.ones_like(picked))
                gradient[own] = odds.to(weight.dtype) @ weight
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(is_argmax)
        return logps, is_argmax

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradients[0].unsqueeze(1).to(gradient.dtype) * gradient, None, None, None


token_logps: Callable[..., tuple[torch.Tensor, torch.Tensor]] = TokenLogps.apply
