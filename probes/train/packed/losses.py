"""The loss of a block from the log probabilities of its tokens, and its figures by their names in TRL's log.

The formulas are those of TRL 1.16 (DPOTrainer._compute_loss, ORPOTrainer.odds_ratio_loss), which cites the papers.
Imports torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from lanes import Recipe
from lanes.rules import losses
from probes.train.packed.blocks import Block

DISCOPOP_TAU = 0.05
Figures = dict[str, torch.Tensor]


def loss_of(block: Block, recipe: Recipe, logps: torch.Tensor, is_argmax: torch.Tensor) -> tuple[torch.Tensor, Figures]:
    """``logps`` [P]: log probabilities of the predicted tokens; ``is_argmax`` [P]: whether each is the likeliest token.

    Returns the loss of the block and, without a gradient, its figures; both are means over its rows.
    """
    answers = block.answer_weights @ logps
    likelihood = -(block.mean_weights @ logps)
    if recipe.objective == "orpo":
        loss, rewards = _orpo(answers, likelihood, recipe)
    else:
        loss, rewards = _dpo(answers, likelihood, block, recipe)
    chosen, rejected = rewards.detach().chunk(2)
    hits = (is_argmax & block.chosen).sum() / block.chosen.sum().clamp(min=1)
    return loss, {
        "loss": loss.detach(),
        "mean_token_accuracy": hits,
        "rewards/chosen": chosen.mean(),
        "rewards/rejected": rejected.mean(),
        "rewards/accuracies": (chosen > rejected).float().mean(),
        "rewards/margins": (chosen - rejected).mean(),
    }


def _orpo(answers: torch.Tensor, likelihood: torch.Tensor, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Hong et al. 2024, eq. 6 and 7."""
    chosen, rejected = answers.chunk(2)
    log_odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
    return likelihood - recipe.beta * logsigmoid(log_odds).mean(), recipe.beta * answers


def _log1mexp(x: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) without cancellation."""
    return torch.where(x < -0.6931471805599453, torch.log1p(-torch.exp(x)), torch.log(-torch.expm1(x)))


def _dpo(
    answers: torch.Tensor, likelihood: torch.Tensor, block: Block, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    assert block.references is not None
    chosen, rejected = ratios = answers.view(2, -1) - block.references
    pairs = Pairs(
        chosen=chosen,
        rejected=rejected,
        answers=answers.view(2, -1),
        references=block.references,
        lengths=block.answer_lengths.view(2, -1),
        recipe=recipe,
    )
    weights = (1.0, recipe.second_weight, recipe.third_weight)
    loss = answers.new_zeros(())
    for kind, weight in zip(losses(recipe), weights, strict=False):
        loss = loss + weight * (likelihood if kind == "sft" else LOSSES[kind](pairs).mean())
    return loss, recipe.beta * ratios.flatten()


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The inputs of a DPO loss. ``chosen``, ``rejected`` [B]: log ratios of policy and reference. ``answers``,
    ``references`` [2, B]: log probabilities by policy and reference. ``lengths`` [2, B]: tokens of the answers."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    answers: torch.Tensor
    references: torch.Tensor
    lengths: torch.Tensor
    recipe: Recipe

    @property
    def beta(self) -> float:
        return self.recipe.beta

    @property
    def smoothing(self) -> float:
        return self.recipe.label_smoothing

    @property
    def logits(self) -> torch.Tensor:
        return self.beta * (self.chosen - self.rejected)

    @property
    def per_token(self) -> torch.Tensor:
        """The difference of the log ratios per token."""
        lengths = self.lengths.clamp(min=1)
        return self.chosen / lengths[0] - self.rejected / lengths[1]

    def smoothed(self, delta: torch.Tensor) -> torch.Tensor:
        own = logsigmoid(self.beta * delta) * (1 - self.smoothing)
        return -own - logsigmoid(-self.beta * delta) * self.smoothing


def _exo_pair(pairs: Pairs) -> torch.Tensor:
    logits, smoothing = pairs.logits, torch.tensor(pairs.smoothing, device=pairs.chosen.device)
    return torch.sigmoid(logits) * (logsigmoid(logits) - torch.log1p(-smoothing)) + torch.sigmoid(-logits) * (
        logsigmoid(-logits) - torch.log(smoothing)
    )


def _nca_pair(pairs: Pairs) -> torch.Tensor:
    chosen, rejected = pairs.beta * pairs.chosen, pairs.beta * pairs.rejected
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


def _robust(pairs: Pairs) -> torch.Tensor:
    logits, smoothing = pairs.logits, pairs.smoothing
    return (-(1 - smoothing) * logsigmoid(logits) + smoothing * logsigmoid(-logits)) / (1 - 2 * smoothing)


def _aot(pairs: Pairs) -> torch.Tensor:
    answers, references = pairs.answers[0] - pairs.answers[1], pairs.references[0] - pairs.references[1]
    return pairs.smoothed(answers.sort().values - references.sort().values)


def _discopop(pairs: Pairs) -> torch.Tensor:
    logits = pairs.logits
    modulation = torch.sigmoid(logits / DISCOPOP_TAU)
    return -logsigmoid(logits) * (1 - modulation) + torch.exp(-logits) * modulation


LOSSES: dict[str, Callable[[Pairs], torch.Tensor]] = {
    "sigmoid": lambda pairs: -logsigmoid(pairs.logits),
    "hinge": lambda pairs: torch.relu(1 - pairs.logits),
    "ipo": lambda pairs: (pairs.per_token - 1 / (2 * pairs.beta)) ** 2,
    "exo_pair": _exo_pair,
    "nca_pair": _nca_pair,
    "robust": _robust,
    "bco_pair": lambda pairs: -logsigmoid(pairs.beta * pairs.chosen) - logsigmoid(-pairs.beta * pairs.rejected),
    "sppo_hard": lambda pairs: (pairs.chosen - 0.5 / pairs.beta) ** 2 + (pairs.rejected + 0.5 / pairs.beta) ** 2,
    "aot": _aot,
    "aot_unpaired": lambda pairs: pairs.smoothed(pairs.chosen.sort().values - pairs.rejected.sort().values),
    "apo_zero": lambda pairs: 1 - torch.sigmoid(pairs.beta * pairs.chosen) + torch.sigmoid(pairs.beta * pairs.rejected),
    "apo_down": lambda pairs: torch.sigmoid(pairs.beta * pairs.chosen) + 1 - torch.sigmoid(pairs.logits),
    "discopop": _discopop,
    "sigmoid_norm": lambda pairs: -logsigmoid(pairs.beta * pairs.per_token),
}
"""The losses [B], by TRL's names."""
