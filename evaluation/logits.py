"""Compares the logits that two models give the same tokens. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Logits = Sequence[torch.Tensor]
"""For each prompt, its logits: float32 on the CPU, shape [positions, vocabulary]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitDifference:
    """How far a model's logits are from those of a reference, over all positions of the prompts.

    relative: root mean square of the differences, divided by the root mean square of the reference's logits.
    divergence: the mean KL(reference || model) of the next token, in nats. same_top: the share of positions with the
    same likeliest token.
    """

    prompts: int
    positions: int
    relative: float
    divergence: float
    same_top: float


@torch.inference_mode()
def logits(model: Any, prompts: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """One forward pass for each prompt's token ids."""
    found = []
    for ids in prompts:
        output = model(input_ids=torch.tensor([list(ids)], device=model.device)).logits[0]
        found.append(output.float().cpu())
    return found


def difference(reference: Logits, other: Logits) -> LogitDifference:
    """Compare the columns that both vocabularies have; they may differ by padding. Sums are in float64."""
    apart = size = divergence = 0.0
    same = positions = 0
    for one, two in zip(reference, other, strict=True):
        width = min(one.shape[1], two.shape[1])
        a, b = one[:, :width].double(), two[:, :width].double()
        apart += float((a - b).square().sum())
        size += float(a.square().sum())
        log_a, log_b = a.log_softmax(-1), b.log_softmax(-1)
        divergence += float((log_a.exp() * (log_a - log_b)).sum())
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        positions += a.shape[0]
    return LogitDifference(
        prompts=len(reference),
        positions=positions,
        relative=(apart / size) ** 0.5 if size else 0.0,
        divergence=max(0.0, divergence / positions),
        same_top=same / positions,
    )
