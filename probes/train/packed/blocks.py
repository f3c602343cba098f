"""A block: rows of one adapter for one forward pass, packed one after the other without padding.

A block has as many rows as TRL would have in a forward pass. Its loss is a function of the log probabilities of its
predicted tokens only. Imports torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from lanes import Recipe
from lanes.rules import losses
from probes.train.job import Ids
from probes.train.packed.attention import Extent
from probes.train.reference_store import Logps

SHARED_AT_LEAST = 0.05
"""Prompts are shared if that saves more than this share of a block's tokens."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """B rows as 2B sequences, the chosen ones first, with N tokens, of which P are predicted.

    ``ids``, ``positions`` [N]: of the tokens. ``sequences``: where the sequences are; a rejected one may share the
    prompt's tokens with the chosen one. ``targets`` [P]: the predicted tokens; ``sources`` [P]: the places in [0, N)
    of the tokens before them. ``chosen`` [P]: whether a predicted token belongs to a chosen answer.

    ``answer_weights`` [2B, P]: times the tokens' log probabilities [P], this gives those of the answers: sums with DPO,
    means with ORPO. ``mean_weights`` [P]: times the same, this gives the block's part of the mean over the tokens of
    the whole effective batch. ``answer_lengths`` [2B]: in tokens. ``references`` [2, B]: log probabilities of the
    answers by the base. ``loss_weight``: weight of this block in the loss of a step. ``places`` [N], ``width``: the
    tokens' places in TRL's padded layout and its width, for dropout; without meaning if prompts are shared.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sequences: tuple[Extent, ...]
    sources: torch.Tensor
    targets: torch.Tensor
    answer_weights: torch.Tensor
    chosen: torch.Tensor
    mean_weights: torch.Tensor
    answer_lengths: torch.Tensor
    places: torch.Tensor
    width: int
    references: torch.Tensor | None = None
    loss_weight: float = 1.0

    @property
    def tokens(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class _Sequence:
    """A prompt with an answer, cut at max_length. ``start``: where the answer begins."""

    ids: list[int]
    start: int

    @property
    def first(self) -> int:
        """The index of the answer's first predicted token; nothing predicts the first token of a sequence."""
        return max(1, self.start)

    @property
    def predicted(self) -> int:
        """The number of the answer's tokens that are predicted."""
        return len(self.ids) - self.first


def blocks_of_step(
    rows: Sequence[Ids], recipe: Recipe, at_once: int, device: torch.device, references: Sequence[Logps] | None = None
) -> list[Block]:
    """The blocks of one step, of ``at_once`` rows each. ``references``: of each row, with DPO."""
    parts = [rows[place : place + at_once] for place in range(0, len(rows), at_once)]
    dropout = recipe.lora_dropout > 0  # with it, each sequence has its own masks, so prompts cannot be shared
    sequences = [_sequences(part, recipe.max_length) for part in parts]
    tokens_of_mean = sum(_in_mean(one, recipe) for part in sequences for one in part[: len(part) // 2]) / len(parts)
    found = []
    for number, part in enumerate(sequences):
        own = None if references is None else references[number * at_once : (number + 1) * at_once]
        shared = not dropout and _worth_sharing(part)
        found.append(_block(part, recipe, tokens_of_mean, own, 1 / len(parts), shared, device))
    return found


def plain_block(row: Mapping[str, list[int]], recipe: Recipe, device: torch.device) -> Block:
    """One row alone, for the log probabilities of its answers."""
    return _block(_sequences([row], recipe.max_length), recipe, 1.0, None, 1.0, True, device)


def _sequences(rows: Sequence[Mapping[str, list[int]]], most: int) -> list[_Sequence]:
    return [
        _Sequence((row["prompt_ids"] + row[side])[:most], len(row["prompt_ids"]))
        for side in ("chosen_ids", "rejected_ids")
        for row in rows
    ]


def _worth_sharing(sequences: Sequence[_Sequence]) -> bool:
    """Whether sharing the prompts saves enough tokens to pay for laying out their copies."""
    rejected = sequences[len(sequences) // 2 :]
    return sum(one.start for one in rejected) > SHARED_AT_LEAST * sum(len(one.ids) for one in sequences)


def _in_mean(chosen: _Sequence, recipe: Recipe) -> int:
    """The number of a chosen sequence's tokens in the mean of the likelihood term: with ORPO those of prompt and answer
    except the first, with DPO (the "sft" loss) the predicted ones of the answer."""
    return len(chosen.ids) - 1 if recipe.objective == "orpo" else chosen.predicted


def _extents(sequences: Sequence[_Sequence], prompts_shared: bool) -> list[Extent]:
    """The extents of all sequences. With shared prompts, a rejected one has only the tokens of its answer as own."""
    rows = len(sequences) // 2
    found = [Extent(len(one.ids)) for one in sequences]
    if prompts_shared:
        starts = accumulate((one.own for one in found[:rows]), initial=0)
        for place, start in zip(range(rows, 2 * rows), starts, strict=False):
            one = sequences[place]
            found[place] = Extent(len(one.ids) - one.start, one.start, start)
    return found


def _block(
    sequences: Sequence[_Sequence],
    recipe: Recipe,
    tokens_of_mean: float,
    references: Sequence[Logps] | None,
    share: float,
    prompts_shared: bool,
    device: torch.device,
) -> Block:
    rows, width = len(sequences) // 2, max(len(one.ids) for one in sequences)
    extents = _extents(sequences, prompts_shared)
    starts = [0, *accumulate(one.own for one in extents)][:-1]
    with_prompt = recipe.objective == "orpo"
    has_mean = with_prompt or "sft" in losses(recipe)
    sources: list[int] = []
    targets: list[int] = []
    chosen: list[bool] = []
    mean: list[float] = []
    spans: list[tuple[int, int]] = []  # of each sequence's answer among the predicted tokens
    for place, (one, extent, start) in enumerate(zip(sequences, extents, starts, strict=True)):
        is_chosen = place < rows
        first = 1 if is_chosen and with_prompt else one.first
        spans.append((len(sources) + one.first - first, len(sources) + len(one.ids) - first))
        sources += [extent.place(token, start) for token in range(first - 1, len(one.ids) - 1)]
        targets += one.ids[first:]
        chosen += [is_chosen and token >= one.first for token in range(first, len(one.ids))]
        mean += [1 / tokens_of_mean if is_chosen and has_mean else 0.0] * (len(one.ids) - first)
    answer_weights = torch.zeros(len(sequences), len(sources))
    for place, (begin, end) in enumerate(spans):
        if with_prompt:
            answer_weights[place, begin:end] = 1 / (end - begin)
            continue
        other = spans[(place + rows) % len(spans)]
        shared = min(end - begin, other[1] - other[0])
        answer_weights[place, begin : begin + shared] = 1.0
        answer_weights[place, begin + shared : end] = recipe.ld_alpha
    return Block(
        ids=torch.tensor(
            [token for one, own in zip(sequences, extents, strict=True) for token in one.ids[own.shared :]],
            device=device,
        ),
        positions=torch.cat([torch.arange(one.shared, one.length) for one in extents]).to(device),
        sequences=tuple(extents),
        sources=torch.tensor(sources, device=device),
        targets=torch.tensor(targets, device=device),
        answer_weights=answer_weights.to(device),
        chosen=torch.tensor(chosen, device=device),
        mean_weights=torch.tensor(mean, device=device),
        answer_lengths=torch.tensor([float(len(one.ids) - one.start) for one in sequences], device=device),
        places=torch.cat([torch.arange(len(one.ids)) + n * width for n, one in enumerate(sequences)]).to(device),
        width=width,
        references=None if references is None else torch.tensor(references, device=device).T,
        loss_weight=share,
    )
